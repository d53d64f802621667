"""One run through the real engine over a real SQLite file, and what it took.

Run as `python -m benchmarks.engine.case SEGMENTS MEDIA_ITEMS LATENCY IN_FLIGHT`; prints a line of
JSON. Everything slow is left out: the media are facts without bytes, the model is a canned one that
sleeps, and nothing is transcribed or embedded.
"""

import asyncio
import json
import resource
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil
import uvloop

from promptreel_server.extractors.canned import CannedScript
from promptreel_server.model.run import Run, RunStatus
from promptreel_server.store.sqlite import open_sqlite
from tests.engines import Rig, rig

MOST_SECONDS = 600.0
WARM_UP = 64


@dataclass(frozen=True, kw_only=True)
class Case:
    """How many segments, of how many media items, at what latency of the model."""

    segments: int
    media_items: int
    latency: float
    in_flight: int


@dataclass(frozen=True, kw_only=True)
class Taken:
    """What a run took: seconds, CPU seconds of the process, MiB that it grew by at its peak.

    `bare` are the seconds in which as many sleeps, so many at once, are over in an empty loop.
    """

    seconds: float
    cpu: float
    grown: float
    bare: float


async def measure(case: Case, folder: Path) -> Taken:
    """Order a run and wait for its end."""
    bare = await _bare(case)
    script = CannedScript(latency_seconds=case.latency)
    async with (
        open_sqlite(folder) as database,
        rig(database, script, in_flight=case.in_flight) as made,
    ):
        await _run(made, segments=WARM_UP, media_items=1)
        made.means.lanes.lane("canned")._window = float(case.in_flight)  # as after a while
        before, cpu = psutil.Process().memory_info().rss, time.process_time()
        began = time.perf_counter()
        run = await _run(made, segments=case.segments, media_items=case.media_items)
        seconds = time.perf_counter() - began
        assert run.status is RunStatus.COMPLETED, run
        assert run.completed_segments == case.segments, run
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return Taken(
        seconds=seconds,
        cpu=time.process_time() - cpu,
        grown=(peak - before) / 2**20,
        bare=bare,
    )


async def _run(made: Rig, *, segments: int, media_items: int) -> Run:
    names = [f"{segments}/{number}" for number in range(media_items)]  # or calls would be reused
    items = [await made.add(seconds=segments // media_items, content=name) for name in names]
    run = await made.execute(await made.prompt(), items, seconds=1)
    return await made.ended(run.run_id, within=MOST_SECONDS)


async def _bare(case: Case) -> float:
    """Sleep as often as the model does, so many at once, and do nothing else."""
    places = asyncio.Semaphore(case.in_flight)

    async def sleep() -> None:
        async with places:
            await asyncio.sleep(case.latency)

    began = time.perf_counter()
    async with asyncio.TaskGroup() as tasks:
        for _ in range(case.segments):
            tasks.create_task(sleep())
    return time.perf_counter() - began


def main() -> None:
    """Measure one case."""
    segments, media_items, latency, in_flight = sys.argv[1:]
    case = Case(
        segments=int(segments),
        media_items=int(media_items),
        latency=float(latency),
        in_flight=int(in_flight),
    )
    with tempfile.TemporaryDirectory() as name:
        print(json.dumps(asdict(uvloop.run(measure(case, Path(name))))))


if __name__ == "__main__":
    main()
