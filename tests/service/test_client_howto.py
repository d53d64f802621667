"""The code of the how-to, run as a reader would."""

import re
import shutil
from pathlib import Path

import pytest

from promptreel_client import Client
from tests import footage
from tests.service.caller import Caller

HOWTO = Path(__file__).parents[2] / "docs" / "howto" / "use-the-python-client.md"
BLOCKS = re.findall(r"```python\n(.*?)```", HOWTO.read_text(), re.DOTALL)


@pytest.fixture(autouse=True)
def _reader(caller: Caller, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PROMPTREEL_ADDRESS", caller.live.address)
    monkeypatch.setenv("PROMPTREEL_API_KEY", caller.key)
    shutil.copy(footage.shots(3, 3).path, "harbour.mp4")


def followed(block: str, run_id: str) -> None:
    exec(compile(block.replace("run_…", run_id), str(HOWTO), "exec"), {"__name__": "howto"})


@pytest.mark.models
@pytest.mark.usefixtures("models_pulled")
def test_the_how_to_leads_from_a_file_to_results_and_on(
    capsys: pytest.CaptureFixture[str],
) -> None:
    first, *rest = BLOCKS
    followed(first, "")
    with Client() as client:
        (run,) = client.prompt_runs.list()
        (video,) = client.videos.list_playground()
        segments = list(client.videos.list_segments(video.video_id))
    said = capsys.readouterr().out
    assert run.status == "completed"
    assert len(re.findall(r"^\d+\.\d+ \d+\.\d+ ", said, re.MULTILINE)) == len(segments)
    for block in rest:
        followed(block, run.run_id)
    said = capsys.readouterr().out
    assert "prompt_run.completed" in said
    assert "over: completed" in said
