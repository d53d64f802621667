"""Draws `docs/images/watch.svg`: what `promptreel watch` shows of a real run halfway.

Run from the project's folder with a server that has the run, while it is going:
`PROMPTREEL_API_KEY=… python -m tools.watch_picture RUN`.
"""

import argparse
import inspect
import io
import re
from pathlib import Path

from rich.console import Console

from promptreel_client import Client
from promptreel_client.cli.bars import picture
from promptreel_client.cli.progress import RunProgress

PICTURE = Path(__file__).parents[1] / "docs/images/watch.svg"
COLUMNS = 96
ROWS = 20

_RICH = inspect.signature(Console.export_svg).parameters["code_format"].default
FORMAT = re.sub(r"@font-face \{\{.*?\}\}\s*|<!--.*?-->\s*", "", _RICH, flags=re.DOTALL).replace(
    "Fira Code, monospace", "monospace"
)
"""Rich's picture of a terminal in the reader's own typeface: a picture fetches nothing."""


def draw(progress: RunProgress, run_id: str) -> str:
    """Draw what a terminal shows of a run as it stands."""
    console = Console(record=True, file=io.StringIO(), width=COLUMNS, force_terminal=True)
    console.print(picture(progress, rows=ROWS))
    return console.export_svg(title=f"promptreel watch {run_id}", code_format=FORMAT)


def far_enough(progress: RunProgress, share: float) -> bool:
    """Whether so much of a run is done that its picture tells something."""
    done = progress.completed + progress.failed
    return progress.total_segments > 0 and done >= share * progress.total_segments


def main() -> None:
    """Follow a run until it is far enough, and write the picture."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run_id", metavar="RUN")
    parser.add_argument("--share", type=float, default=0.5, help="of the segments to wait for")
    parser.add_argument("--address", default="127.0.0.1:50051")
    parser.add_argument("--out", type=Path, default=PICTURE)
    asked = parser.parse_args()
    progress = RunProgress()
    with Client(address=asked.address) as client:
        for update in client.prompt_runs.watch(asked.run_id, after_sequence=0):
            progress.take(update)
            if update.event is not None and far_enough(progress, asked.share):
                break
    asked.out.write_text(draw(progress, asked.run_id))


if __name__ == "__main__":
    main()
