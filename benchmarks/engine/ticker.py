"""How long the server's event loop is held up while a run works on real models.

Run from the project's folder, with fork left alone by gRPC as `promptreel serve` does:
`GRPC_ENABLE_FORK_SUPPORT=0 python -m benchmarks.engine.ticker FILE [FILE …] [--model local]`.
A task on the server's own loop sleeps for a millisecond, again and again; how late it wakes is how
late everybody else is served. Beside it, in the same run, the same ticker before any work: what the
machine and an idle server do to it. Exits with 1 where the p99 during the run misses its target.
"""

import argparse
import asyncio
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from statistics import quantiles

import uvloop

from promptreel_client import Client
from promptreel_server.app import Serving, running
from promptreel_server.concurrency.gc_tuning import collect_seldom
from promptreel_server.settings import Settings

TICK_SECONDS = 0.001
IDLE_SECONDS = 10.0
MOST_P99 = 0.050

SCHEMA = {
    "type": "object",
    "properties": {
        "summary": {"type": "string"},
        "topics": {"type": "array", "items": {"type": "string"}},
        "mood": {"enum": ["calm", "tense", "joyful", "neutral"]},
    },
    "required": ["summary"],
}


async def ticks(seconds_late: list[float]) -> None:
    """Sleep for a tick again and again, and note how late each was, until cancelled."""
    while True:
        before = time.perf_counter()
        await asyncio.sleep(TICK_SECONDS)
        seconds_late.append(time.perf_counter() - before - TICK_SECONDS)


def run_over(serving: Serving, files: list[Path], model: str) -> str:
    """Upload files, run a prompt over them to its end; answers the status."""
    with Client(address=serving.grpc_address, api_key=serving.first_key) as client:
        index = client.indexes.create(name="Ticker")
        for path in files:
            client.videos.upload(path, index_id=index.index_id)
        prompt = client.prompts.create(
            name="Scenes", prompt_text="Say what happens in the scene.", json_schema=SCHEMA
        )
        run = client.prompt_runs.execute(
            prompt_id=prompt.prompt_id,
            target={"type": "index", "index_id": index.index_id},
            processing_model=model,
        )
        return str(client.prompt_runs.wait(run.run_id).status)


def told(name: str, seconds_late: list[float]) -> float:
    """Print how late the ticks were, in milliseconds; answers the p99 in seconds."""
    cuts = quantiles(seconds_late, n=1000)
    places = {"p50": cuts[499], "p99": cuts[989], "p99.9": cuts[998], "most": max(seconds_late)}
    late = ", ".join(f"{place} {seconds * 1000:.2f} ms" for place, seconds in places.items())
    print(f"{name}: {len(seconds_late):,} ticks, late by {late}")
    return places["p99"]


async def measure(files: list[Path], model: str) -> float:
    """Tick beside an idle server and beside a run; answers the p99 of the run in seconds."""
    idle: list[float] = []
    busy: list[float] = []
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings(data=Path(folder), grpc_port=0, gateway=False)
        async with running(settings) as serving:
            collect_seldom()  # as a server does
            with suppress(TimeoutError):
                async with asyncio.timeout(IDLE_SECONDS):
                    await ticks(idle)
            async with asyncio.TaskGroup() as tasks:
                ticker = tasks.create_task(ticks(busy))
                print(await asyncio.to_thread(run_over, serving, files, model))
                ticker.cancel()
    told("idle", idle)
    return told("run", busy)


def main() -> None:
    """Measure, print, and say by the exit code whether the target is met."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("files", nargs="+", type=Path)
    parser.add_argument("--model", default="local")
    asked = parser.parse_args()
    sys.exit(uvloop.run(measure(asked.files, asked.model)) > MOST_P99)


if __name__ == "__main__":
    main()
