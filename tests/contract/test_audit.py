"""The audit finds each counter that does not say what the rows say, and mends it."""

from collections.abc import AsyncIterator

import pytest
from sqlalchemy import select, update

from promptreel_server.domain.run import Run, RunStatus
from promptreel_server.errors import FailureCode
from promptreel_server.extractors.canned.extractor import CannedScript, Fault
from promptreel_server.store.database.database import Database
from promptreel_server.store.runs import counter_audit
from promptreel_server.store.schema.tables import run_media, runs
from tests.engines import Rig, rig


@pytest.fixture
async def running(database: Database) -> AsyncIterator[Rig]:
    script = CannedScript(faults=(Fault(failure_code=FailureCode.BLOCKED, starts_from=20),))
    async with rig(database, script) as made:
        yield made


@pytest.fixture
async def ended(running: Rig) -> Run:
    video = await running.add(seconds=50)
    run = await running.execute(await running.prompt(video_level=True), [video])
    return await running.ended(run.run_id)


async def test_a_run_that_ended_by_itself_counts_right(running: Rig, ended: Run) -> None:
    assert ended.status is RunStatus.COMPLETED_WITH_FAILURES
    assert await running.database.read(counter_audit.miscounts) == []
    assert await running.database.read(counter_audit.stuck) == []


async def test_wrong_counters_are_named_and_mended(running: Rig, ended: Run) -> None:
    await running.database.write(
        lambda tx: (
            tx.execute(update(run_media).values(failed_segments=9)),
            tx.execute(update(runs).values(completed_videos=4)),
        )
    )
    found = await running.database.read(counter_audit.miscounts)
    await running.database.write(lambda tx: counter_audit.mend(tx, found))
    # a run counts its media items up, so that what is mended there shows at the second look
    again = await running.database.read(counter_audit.miscounts)
    await running.database.write(lambda tx: counter_audit.mend(tx, again))
    assert {(one.table, one.counter) for one in found} >= {
        ("run_media", "failed_segments"),
        ("runs", "completed_videos"),
    }
    assert await running.database.read(counter_audit.miscounts) == []


async def test_a_run_left_open_with_nothing_to_do_is_found_and_closed(
    running: Rig, ended: Run
) -> None:
    await running.database.write(
        lambda tx: tx.execute(update(runs).values(status=RunStatus.PROCESSING))
    )
    stuck = await running.database.read(counter_audit.stuck)
    await running.database.write(lambda tx: counter_audit.close(tx, stuck))
    status = await running.database.read(
        lambda c: c.execute(select(runs.c.status).where(runs.c.run_id == ended.run_id)).scalar()
    )
    assert stuck == [ended.run_id]
    assert status is RunStatus.COMPLETED_WITH_FAILURES
