"""Two engines over one PostgreSQL: they share the work of a run, and neither does it twice."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from promptreel_server.domain.run import Run, RunStatus
from promptreel_server.engine import engine as engine_module
from promptreel_server.extractors.canned.extractor import CannedScript
from promptreel_server.store.database.postgres import open_postgres
from promptreel_server.store.runs import counter_audit
from tests.engines import Rig, rig
from tests.eventually import eventually
from tests.postgres import Postgres

SEGMENTS = 10
MANY = 20
"""Media items, of which one engine takes eight at once."""


@pytest.fixture
async def two(postgres: Postgres, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[list[Rig]]:
    monkeypatch.setattr(engine_module, "TAKE_UP_EVERY", 5.0)
    url = postgres.new_database()
    async with (
        open_postgres(url) as one,
        open_postgres(url) as other,
        rig(one, stalled_after=0.4) as first,
        rig(other, stalled_after=0.4) as second,
    ):
        yield [first, second]


async def _execute(two: list[Rig], *, latency: float, media_items: int) -> Run:
    """Order a run from the first engine, over models that take their time."""
    first, _ = two
    for each in two:
        each.canned.change(CannedScript(latency_seconds=latency))
    items = [
        await first.add(seconds=SEGMENTS, content=str(number)) for number in range(media_items)
    ]
    return await first.execute(await first.prompt(), items, seconds=1)


async def test_engines_share_a_run_and_pay_no_call_twice(two: list[Rig]) -> None:
    first, second = two
    run = await _execute(two, latency=0.05, media_items=MANY)
    ended = await second.ended(run.run_id)

    assert ended.status is RunStatus.COMPLETED
    assert first.canned.asked + second.canned.asked == MANY * SEGMENTS
    assert min(first.canned.asked, second.canned.asked) >= 2 * SEGMENTS
    assert await first.database.read(counter_audit.miscounts) == []


async def test_a_run_that_another_engine_drives_is_flagged_by_that_one_alone(
    two: list[Rig],
) -> None:
    first, _ = two
    run = await _execute(two, latency=3.0, media_items=1)

    async def flagged() -> str | None:
        return (await first.run(run.run_id)).processing_warning

    warning = await eventually(flagged)
    await asyncio.sleep(0.5)  # each has looked several times since
    assert warning == "No progress for 0.4 s: calls to the model are not answered."
    assert await flagged() == warning
    assert sorted(each.engine.stalled_runs for each in two) == [0, 1]


async def test_an_engine_goes_on_with_what_a_drained_one_left(two: list[Rig]) -> None:
    first, second = two
    run = await _execute(two, latency=0.2, media_items=MANY)
    await asyncio.gather(first.asked(), second.asked())
    first.engine.drain()
    ended = await second.ended(run.run_id)

    assert ended.status is RunStatus.COMPLETED
    assert first.canned.asked + second.canned.asked == MANY * SEGMENTS
