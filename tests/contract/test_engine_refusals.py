"""A refused credential ends a run fast, spoils nothing that was answered, and can be mended."""

from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from promptreel_server.domain.page import Slice
from promptreel_server.domain.retry import Retry
from promptreel_server.domain.run import Run, RunStatus
from promptreel_server.engine.admission import retry_orders
from promptreel_server.engine.admission.retry_orders import RetryOrder
from promptreel_server.errors import FailureCode
from promptreel_server.extractors.canned.extractor import CannedScript, Fault
from promptreel_server.store.database.database import Database
from promptreel_server.store.runs import llm_calls
from promptreel_server.store.runs.llm_calls import CallFilter
from promptreel_server.store.schema.transaction import Transaction
from tests.engines import OWNER, Rig, rig
from tests.eventually import eventually

EVERYTHING = Slice(limit=1000)


@pytest.fixture
async def running(database: Database) -> AsyncIterator[Rig]:
    async with rig(database) as made:
        yield made


async def test_what_was_answered_beside_a_refused_call_is_kept_and_the_refusal_is_on_record(
    running: Rig,
) -> None:
    denied = Fault(failure_code=FailureCode.UNAUTHENTICATED, starts_from=5)
    running.canned.change(CannedScript(latency_seconds=0.05, faults=(denied,)))
    run = await running.execute(await running.prompt(), [await running.add(seconds=10)], seconds=1)
    ended = await running.ended(run.run_id)
    page = await running.database.read(
        lambda c: llm_calls.page(c, run.run_id, CallFilter(), EVERYTHING)
    )
    refused = [found.call for found in page.items if found.call.error_code is not None]
    assert (ended.status, ended.completed_segments) == (RunStatus.COMPLETED_WITH_FAILURES, 5)
    assert ended.error_message
    assert {call.error_code for call in refused} == {"unauthenticated"}
    assert len(page.items) - len(refused) == 5


async def test_a_run_of_a_refused_credential_cuts_no_media_that_it_can_not_ask_about(
    running: Rig,
) -> None:
    running.canned.change(CannedScript(faults=(Fault(failure_code=FailureCode.UNAUTHENTICATED),)))
    items = [await running.add(seconds=10, content=str(number)) for number in range(20)]
    run = await running.execute(await running.prompt(), items)
    ended = await running.ended(run.run_id)
    assert ended.status is RunStatus.FAILED
    assert ended.total_segments < 20, "not one segment of each was cut"


async def test_with_the_right_credential_a_forced_retry_does_what_was_left_undone(
    running: Rig,
) -> None:
    running.canned.change(CannedScript(faults=(Fault(failure_code=FailureCode.UNAUTHENTICATED),)))
    run = await running.execute(await running.prompt(), [await running.add(seconds=30)])
    ended = await running.ended(run.run_id)
    running.canned.change(CannedScript())
    running.means.lanes.lane("canned").give_chance()
    order = RetryOrder(owner_id=OWNER, video_id="", segment_id="", force=True)

    def retry(tx: Transaction, *codes: FailureCode, force: bool = True) -> list[Retry]:
        wanted = replace(order, force=force)
        return retry_orders.retry_failed(tx, ended, codes, wanted)[0]

    assert await running.database.write(lambda tx: retry(tx, force=False)) == []
    assert await running.database.write(lambda tx: retry(tx, FailureCode.TIMEOUT)) == []
    asked = await running.database.write(retry)
    await running.engine.retry(asked)

    async def mended_run() -> Run | None:
        now = await running.run(run.run_id)
        return now if now.status is RunStatus.COMPLETED else None

    mended = await eventually(mended_run)
    assert (ended.status, len(asked)) == (RunStatus.FAILED, 3)
    assert (mended.error_message, mended.completed_segments) == (None, 3)


async def test_what_a_stop_left_undone_is_retried_only_where_that_is_asked_for(
    running: Rig,
) -> None:
    running.canned.change(CannedScript(latency_seconds=0.2))
    run = await running.execute(await running.prompt(), [await running.add(seconds=300)], seconds=1)

    async def begun() -> int:
        return (await running.run(run.run_id)).completed_segments

    await eventually(begun)
    await running.database.write(lambda tx: running.engine.request_stop(tx, run, "key_test"))
    running.engine.stop(run.run_id)
    ended = await running.ended(run.run_id)
    order = RetryOrder(owner_id=OWNER, video_id="", segment_id="", force=True)
    unasked, _ = await running.database.write(
        lambda tx: retry_orders.retry_failed(tx, ended, (), order)
    )
    asked, _ = await running.database.write(
        lambda tx: retry_orders.retry_failed(tx, ended, (FailureCode.CANCELLED,), order)
    )
    assert unasked == []
    assert len(asked) == ended.cancelled_segments > 0


async def test_a_call_that_is_forbidden_once_costs_its_segment_and_no_other(running: Rig) -> None:
    forbidden = Fault(failure_code=FailureCode.INVALID_REQUEST, starts_from=3, starts_before=4)
    running.canned.change(CannedScript(faults=(forbidden,)))
    items = [await running.add(seconds=10, content=str(number)) for number in range(3)]
    run = await running.execute(await running.prompt(), items, seconds=1)
    ended = await running.ended(run.run_id)
    assert (ended.completed_segments, ended.failed_segments) == (27, 3)


async def test_a_single_refusal_fails_its_segment_and_the_run_goes_on(running: Rig) -> None:
    once = Fault(failure_code=FailureCode.UNAUTHENTICATED, starts_from=3, starts_before=4)
    running.canned.change(CannedScript(faults=(once,)))
    run = await running.execute(await running.prompt(), [await running.add(seconds=10)], seconds=1)
    ended = await running.ended(run.run_id)
    assert (ended.completed_segments, ended.failed_segments) == (9, 1)
