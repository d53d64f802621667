"""One run through the real engine over a real database, and what it took.

Run as `python -m benchmarks.engine.case SEGMENTS MEDIA_ITEMS LATENCY IN_FLIGHT [URL]`; prints a
line of JSON. The database is a new SQLite file, or that of the URL. Everything slow is left out:
the media are facts without bytes, the model is a canned one that sleeps, and nothing is transcribed
or embedded.
"""

import asyncio
import json
import resource
import sys
import tempfile
import time
from contextlib import AbstractAsyncContextManager
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil
import uvloop
from sqlalchemy import select

from promptreel_server.concurrency.gc_tuning import collect_seldom
from promptreel_server.domain.ids import VIDEO, new_id
from promptreel_server.domain.media import MediaItem
from promptreel_server.domain.prompt import Prompt
from promptreel_server.domain.run import Run, RunStatus
from promptreel_server.engine.model_calls.concurrency import LaneLimits
from promptreel_server.extractors.canned.extractor import CannedScript
from promptreel_server.store.database.database import Database
from promptreel_server.store.database.postgres import open_postgres
from promptreel_server.store.database.sqlite import open_sqlite
from promptreel_server.store.schema.tables import runs
from tests.engines import Rig, rig
from tests.eventually import eventually

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


async def measure(case: Case, opened: AbstractAsyncContextManager[Database]) -> Taken:
    """Order a run and wait for its end."""
    bare = await _bare(case)
    script = CannedScript(latency_seconds=case.latency)
    lane = LaneLimits(first=case.in_flight, most=case.in_flight)  # as after a while
    async with (
        opened as database,
        rig(database, script, lane=lane, segments_in_flight=case.in_flight) as made,
    ):
        prompt = await made.prompt()
        await _run(made, prompt, await _items(made, segments=WARM_UP, media_items=1))
        items = await _items(made, segments=case.segments, media_items=case.media_items)
        collect_seldom()  # as a server does
        before, cpu = psutil.Process().memory_info().rss, time.process_time()
        began = time.perf_counter()
        run = await _run(made, prompt, items)
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


async def _items(made: Rig, *, segments: int, media_items: int) -> list[MediaItem]:
    unique = new_id(VIDEO)  # or calls would be reused
    names = [f"{unique}/{number}" for number in range(media_items)]
    return [await made.add(seconds=segments // media_items, content=name) for name in names]


async def _run(made: Rig, prompt: Prompt, items: list[MediaItem]) -> Run:
    run = await made.execute(prompt, items, seconds=1)
    await _until_ended(made, run.run_id)
    return await made.run(run.run_id)


async def _until_ended(made: Rig, run_id: str) -> None:
    """Wait, asking no more than whether the run goes on: this reader's part is to be small."""
    status = select(runs.c.completed_at).where(runs.c.run_id == run_id)

    async def look() -> object:
        return await made.database.read(lambda c: c.execute(status).scalar())

    await eventually(look, MOST_SECONDS)


async def _bare(case: Case) -> float:
    """Sleep as often as the model does, so many at once, and do nothing else."""
    left = iter(range(case.segments))

    async def sleep() -> None:
        for _ in left:
            await asyncio.sleep(case.latency)

    began = time.perf_counter()
    async with asyncio.TaskGroup() as tasks:
        for _ in range(case.in_flight):
            tasks.create_task(sleep())
    return time.perf_counter() - began


def main() -> None:
    """Measure one case."""
    segments, media_items, latency, in_flight, *url = sys.argv[1:]
    case = Case(
        segments=int(segments),
        media_items=int(media_items),
        latency=float(latency),
        in_flight=int(in_flight),
    )
    with tempfile.TemporaryDirectory() as name:
        opened = open_postgres(*url) if url else open_sqlite(Path(name))
        print(json.dumps(asdict(uvloop.run(measure(case, opened)))))


if __name__ == "__main__":
    main()
