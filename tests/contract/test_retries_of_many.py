"""A request that retries all that failed: judged like each alone, written at once, soon done."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import replace
from functools import partial
from itertools import product

import pytest
from sqlalchemy import Connection, update

from promptreel_server.domain.event import EventType
from promptreel_server.domain.operation import OperationStatus
from promptreel_server.domain.retry import Retry, RetryStatus
from promptreel_server.domain.run import Run
from promptreel_server.domain.segment import SegmentStatus
from promptreel_server.engine import engine as engine_module
from promptreel_server.engine.admission import retry_orders
from promptreel_server.engine.admission.retry_orders import Plan, RetryOrder
from promptreel_server.engine.dispatch.dispatcher import Perform, Unit
from promptreel_server.engine.engine import Engine
from promptreel_server.errors import FailureCode, PromptreelError
from promptreel_server.extractors.canned.extractor import CannedScript, Fault
from promptreel_server.store import feed
from promptreel_server.store.catalogue import media
from promptreel_server.store.database.database import Database
from promptreel_server.store.deletion import media_removal
from promptreel_server.store.feed import EventFilter
from promptreel_server.store.runs import failure_manifest, retries, run_media, runs
from promptreel_server.store.schema.tables import run_segments
from promptreel_server.store.schema.transaction import Transaction
from tests.engines import OWNER, Rig, rig
from tests.eventually import eventually
from tests.statements import sent, ways

HOPELESS = CannedScript(faults=(Fault(failure_code=FailureCode.SCHEMA_INVALID),))
EVERY = RetryOrder(owner_id=OWNER, video_id="", segment_id="", force=False)


KINDS = tuple(
    product(
        (SegmentStatus.FAILED, SegmentStatus.CANCELLED),
        (OperationStatus.FAILED, OperationStatus.PENDING, OperationStatus.SUCCEEDED),
        (True, False),
        (None, FailureCode.MEDIA_UNAVAILABLE, FailureCode.MEDIA_UNREADABLE),
        (True, False),
        (0, 1),
    )
)
"""All ways in which a segment can stand: its status, that of its extraction, whether a retry can
help, the failure before any operation, whether it was begun, and the attempts."""


@pytest.fixture
async def running(database: Database) -> AsyncIterator[Rig]:
    async with rig(database, HOPELESS) as made:
        yield made


async def _failed(made: Rig, *seconds: int) -> Run:
    """A run over media items of these lengths, whose every segment (one a second) has failed."""
    items = [await made.add(seconds=each, content=str(n)) for n, each in enumerate(seconds)]
    run = await made.execute(await made.prompt(), items, seconds=1)
    return await made.ended(run.run_id)


def _found(c: Connection, run: Run) -> list[tuple[str, str]]:
    """(video_id, segment_id) of what a request for many goes through."""
    found = failure_manifest.shortfalls(c, run.run_id, (), undone=True, limit=100_000)
    return [(video_id, segment_id) for video_id, segment_id, _ in found]


async def _plan(made: Rig, run: Run) -> Plan:
    now = made.database.clock()
    return await made.database.read_snapshot(
        lambda c: retry_orders.plan_failed(c, run, (), EVERY, now)
    )


async def _ask(made: Rig, run: Run, plan: Plan | None = None) -> tuple[list[Retry], dict[str, str]]:
    """Ask for all that failed; answers the retries, and the reasons of what was left out."""
    asked, skipped = await made.database.write(
        lambda tx: retry_orders.retry_failed(tx, run, (), EVERY, plan)
    )
    return asked, {one.segment_id: one.reason for one in skipped}


async def test_the_writer_is_asked_for_many_in_few_statements_none_of_which_reads_a_segment(
    running: Rig,
) -> None:
    run = await _failed(running, 100, 100)
    plan = await _plan(running, run)

    def ask(tx: Transaction) -> tuple[int, list[str]]:
        with sent(tx.connection) as statements:
            asked, _ = retry_orders.retry_failed(tx, run, (), EVERY, plan)
        return len(asked), [statement for statement, _ in statements]

    count, statements = await running.database.write(ask)
    assert count == 200
    assert len(statements) < 10
    assert not any("run_segments" in statement for statement in statements)


async def test_many_are_judged_just_as_each_alone(running: Rig) -> None:
    run = await _failed(running, 150, 1)
    segments = await running.database.read(lambda c: _found(c, run))

    def judge(tx: Transaction) -> None:
        for (_, segment_id), kind in zip(segments, KINDS, strict=False):
            status, extraction, retryable, before_any, begun, attempts = kind
            values = {
                "status": status,
                "field_extraction_status": extraction,
                "field_extraction_retryable": retryable,
                "field_extraction_attempts": attempts,
                "failure_code": before_any,
                "failure_message": "It broke.",
                "started_at": tx.now if begun else None,
            }
            tx.execute(
                update(run_segments).where(run_segments.c.segment_id == segment_id).values(values)
            )

    def alone(force: bool, tx: Transaction) -> dict[str, object]:
        said: dict[str, object] = {}
        for video_id, segment_id in segments:
            one = replace(EVERY, video_id=video_id, segment_id=segment_id, force=force)
            try:
                said[segment_id] = retry_orders.retry_one(tx, run, one).operations
            except PromptreelError as error:
                said[segment_id] = error.reason
        return said

    def together(force: bool, tx: Transaction) -> dict[str, object]:
        codes = () if force else tuple(FailureCode)  # takes what was left undone in, both times
        wanted = replace(EVERY, force=force)
        asked, skipped = retry_orders.retry_failed(tx, run, codes, wanted)
        return {
            **{retry.segment_id: retry.operations for retry in asked},
            **{one.segment_id: one.reason for one in skipped},
        }

    await running.database.write(judge)
    for force in (False, True):
        expected = await _undone(running.database, partial(alone, force))
        got = await _undone(running.database, partial(together, force))
        assert {name: expected[name] for name in got} == got
        assert len(got) > 100
        assert len(set(map(str, got.values()))) > 1


class _TakenBack(Exception):
    """Takes a change back."""


async def _undone(
    database: Database, change: Callable[[Transaction], dict[str, object]]
) -> dict[str, object]:
    """Answer what a change comes to, which is taken back."""
    got: dict[str, object] = {}

    def take_back(tx: Transaction) -> None:
        got.update(change(tx))
        raise _TakenBack

    with pytest.raises(_TakenBack):
        await database.write(take_back)
    return got


async def test_a_retry_that_was_asked_for_after_the_plan_is_left_alone(running: Rig) -> None:
    run = await _failed(running, 5)
    plan = await _plan(running, run)
    first = plan.asked[0]
    one = replace(EVERY, video_id=first.video_id, segment_id=first.segment_id)
    await running.database.write(lambda tx: retry_orders.retry_one(tx, run, one))

    asked, skipped = await _ask(running, run, plan)

    assert skipped == {first.segment_id: "retry_in_flight"}
    assert {retry.segment_id for retry in asked} == {
        retry.segment_id for retry in plan.asked if retry is not first
    }


async def test_a_media_item_that_is_deleted_after_the_plan_is_left_out(running: Rig) -> None:
    run = await _failed(running, 5, 3)
    plan = await _plan(running, run)
    gone = plan.asked[0].video_id
    await running.database.write(lambda tx: media.mark_deleting(tx, [gone], "del_1"))

    asked, skipped = await _ask(running, run, plan)

    left_out = {retry.segment_id for retry in plan.asked if retry.video_id == gone}
    assert skipped == dict.fromkeys(left_out, "being_deleted")
    assert len(asked) == 8 - len(left_out)


async def test_a_segment_that_a_retry_mended_after_the_plan_is_not_retried(running: Rig) -> None:
    run = await _failed(running, 5)
    plan = await _plan(running, run)
    first = plan.asked[0]
    one = replace(EVERY, video_id=first.video_id, segment_id=first.segment_id)
    running.canned.change(CannedScript())
    mending = await running.database.write(lambda tx: retry_orders.retry_one(tx, run, one))
    await running.engine.retry([mending])

    async def ended() -> bool:
        found = await running.database.read(lambda c: retries.load(c, mending.retry_id))
        return found is not None and found.status is RetryStatus.COMPLETED

    await eventually(ended)
    asked, skipped = await _ask(running, await running.run(run.run_id), plan)

    assert skipped == {}
    assert len(asked) == 4
    assert first.segment_id not in {retry.segment_id for retry in asked}


async def test_nothing_is_retried_twice_at_once(running: Rig) -> None:
    run = await _failed(running, 5)
    plans = [await _plan(running, run) for _ in range(2)]

    answers = [await _ask(running, run, plan) for plan in plans]

    assert [len(asked) for asked, _ in answers] == [5, 0]
    assert set(answers[1][1].values()) == {"retry_in_flight"}


async def test_a_stop_ends_all_that_wait_in_few_statements_and_tells_of_each(running: Rig) -> None:
    run = await _failed(running, 200)
    asked, _ = await _ask(running, run)

    def stop(tx: Transaction) -> tuple[int, int]:
        with sent(tx.connection) as statements:
            return retries.cancel_open(tx, run.run_id), len(statements)

    count, statements = await running.database.write(stop)
    told = await running.database.read(
        lambda c: feed.after(
            c,
            OWNER,
            0,
            EventFilter(run_id=run.run_id, event_types=(EventType.RETRY_FAILED,)),
            limit=1000,
        )
    )
    ended = await running.database.read(lambda c: retries.load(c, asked[0].retry_id))
    assert (count, len(told)) == (200, 200)
    assert statements < 10
    assert [event.payload["retry_id"] for event in told] == [retry.retry_id for retry in asked]
    assert {event.payload["status"] for event in told} == {"cancelled"}
    assert ended is not None
    assert (ended.status, ended.error) == (RetryStatus.CANCELLED, "The run was asked to stop.")


def _ways(c: Connection, look: Callable[[Connection], object]) -> list[str]:
    """How SQLite finds the retries that a function asks for."""
    with sent(c) as statements:
        look(c)
    return [way for way in ways(c, statements) if " retries" in way]


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
async def test_open_retries_are_found_without_those_that_have_ended(running: Rig) -> None:
    run = await _failed(running, 1)
    asked, _ = await _ask(running, run)
    (retry,) = asked
    looks: Sequence[Callable[[Connection], object]] = (
        lambda c: retries.open_of(c, run.run_id, retry.segment_id),
        lambda c: retries.open_segments(c, run.run_id),
        lambda c: retries.any_open(c, run.run_id),
        lambda c: retries.any_open(c, run.run_id, retry.video_id),
        lambda c: retries.awaited(c, retry),
        retries.undone,
        lambda c: run_media.undone(c, 1000),
        lambda c: media_removal.in_hand(c, retry.video_id),
    )
    for look in looks:
        found = await running.database.read(partial(_ways, look=look))
        assert found
        assert all("INDEX retries_open" in way for way in found), found


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
async def test_looks_for_work_walk_no_media_item_that_has_ended(running: Rig) -> None:
    def found(c: Connection) -> list[str]:
        with sent(c) as statements:
            run_media.undone(c, 1000)
        return ways(c, statements)

    assert "run_media_undone" in (await running.database.read(found))[0]


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
async def test_a_retry_that_fails_again_does_not_count_the_segments_of_its_run(
    running: Rig,
) -> None:
    run = await _failed(running, 5)

    def found(tx: Transaction) -> list[str]:
        with sent(tx.connection) as statements:
            runs.close(tx, run.run_id)
        return ways(tx.connection, statements)

    of_segments = [way for way in await running.database.write(found) if "run_segments" in way]
    assert of_segments
    assert all("run_segments_before_any" in way for way in of_segments)


class _Recording:
    """A dispatcher that keeps what it is given, and performs none of it."""

    def __init__(self) -> None:
        self.given: list[Unit] = []
        self._drained = asyncio.Event()

    async def dispatch(self, units: Sequence[Unit]) -> None:
        self.given.extend(units)

    def has(self, name: str) -> bool:
        return name in {unit.name for unit in self.given}

    async def run(self, perform: Perform) -> None:
        await self._drained.wait()

    def drain(self) -> None:
        self._drained.set()


async def test_looks_for_work_read_no_retry_that_waits_here_already(
    running: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = await _failed(running, 30)
    asked, _ = await _ask(running, run)
    read: list[str] = []
    undone_of = retries.undone_of

    def noted(c: Connection, retry_ids: Sequence[str]) -> list[Retry]:
        read.extend(retry_ids)
        return undone_of(c, retry_ids)

    monkeypatch.setattr(retries, "undone_of", noted)
    monkeypatch.setattr(engine_module, "TAKE_UP_EVERY", 0.01)
    dispatcher = _Recording()
    another = Engine(running.means, dispatcher)
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(another.run())
        await asyncio.sleep(0.3)
        dispatcher.drain()

    ids = [retry.retry_id for retry in asked]
    assert read == [unit.retry_id for unit in dispatcher.given] == ids
