"""What the engine does when the store, a call or a model fails it: nothing is lost or stuck."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import replace

import pytest

from promptreel_server.domain.llm_call import LlmCallStatus
from promptreel_server.domain.page import Slice
from promptreel_server.domain.retry import Retry, RetryStatus
from promptreel_server.domain.run import Run, RunStatus
from promptreel_server.engine import engine as engine_module
from promptreel_server.engine.admission import retry_orders
from promptreel_server.engine.admission.retry_orders import RetryOrder
from promptreel_server.engine.drive import durable_write
from promptreel_server.engine.model_calls.retry_policy import AttemptPolicy
from promptreel_server.errors import FailureCode, StoreUnavailable
from promptreel_server.extractors.canned.extractor import CannedScript, Fault
from promptreel_server.store import feed
from promptreel_server.store.catalogue import media
from promptreel_server.store.database.database import Database
from promptreel_server.store.feed import EventFilter
from promptreel_server.store.runs import counter_audit, llm_calls, retries, run_segments
from promptreel_server.store.runs.llm_calls import CallFilter
from tests.contract.test_store_trouble import clear_disk, fill_disk
from tests.engines import OWNER, Rig, rig
from tests.eventually import eventually

EVERYTHING = Slice(limit=1000)


@pytest.fixture
async def running(database: Database, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Rig]:
    monkeypatch.setattr(engine_module, "TAKE_UP_EVERY", 0.1)
    monkeypatch.setattr(durable_write, "SHORTEST_PAUSE", 0.02)
    policy = AttemptPolicy(shortest_pause=0.01, longest_pause=1.5)
    async with rig(database, stalled_after=0.3, policy=policy) as made:
        yield made


async def _calls(made: Rig, run: Run) -> int:
    page = await made.database.read(
        lambda c: llm_calls.page(c, run.run_id, CallFilter(), EVERYTHING)
    )
    assert all(found.call.status is LlmCallStatus.SUCCESS for found in page.items)
    return len(page.items)


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
async def test_a_full_disk_holds_a_run_up_and_costs_it_no_call(running: Rig) -> None:
    running.canned.change(CannedScript(latency_seconds=0.02))
    video = await running.add(seconds=400)
    run = await running.execute(await running.prompt(), [video], seconds=2)
    await running.asked(20)
    try:
        with suppress(StoreUnavailable):  # it may share a commit that what follows it spoils
            await running.database.write(fill_disk)

        async def quiet() -> bool:
            asked = running.canned.asked
            await asyncio.sleep(0.5)
            return asked == running.canned.asked

        assert await eventually(quiet), "calls go on though nothing can be written"
        trouble = running.database.trouble
        held_up = await running.run(run.run_id)
    finally:  # it may share a commit that a change before it spoils
        await durable_write.kept(lambda: running.database.write(clear_disk))
    ended = await running.ended(run.run_id)
    assert trouble is not None
    assert held_up.status is RunStatus.PROCESSING
    assert ended.status is RunStatus.COMPLETED
    assert running.canned.asked == await _calls(running, run) == 200
    assert await running.database.read(counter_audit.miscounts) == []


async def test_a_run_that_no_dispatch_followed_is_taken_up(running: Rig) -> None:
    video = await running.add(seconds=20)
    order = running.order(await running.prompt(), [video])
    run = await running.accept(order)
    assert (await running.ended(run.run_id)).status is RunStatus.COMPLETED


async def test_a_run_without_progress_is_flagged_with_why_and_the_flag_goes_with_it(
    running: Rig,
) -> None:
    running.canned.change(CannedScript(latency_seconds=1.2))
    video = await running.add(seconds=20)
    run = await running.execute(await running.prompt(), [video])

    async def warning() -> str | None:
        return (await running.run(run.run_id)).processing_warning

    flagged = await eventually(warning)
    ended = await running.ended(run.run_id)
    events = await running.database.read(
        lambda c: feed.after(c, OWNER, 0, EventFilter(run_id=run.run_id), limit=1000)
    )
    assert flagged == "No progress for 0.3 s: calls to the model are not answered."
    assert ended.processing_warning is None
    assert sum("processing_warning" in event.payload for event in events) in (1, 2)


async def test_a_run_whose_model_asked_for_a_pause_says_so(running: Rig) -> None:
    running.canned.change(
        CannedScript(
            faults=(Fault(failure_code=FailureCode.RATE_LIMITED, retry_after=1.0, attempts=(1,)),)
        )
    )
    video = await running.add(seconds=10)
    run = await running.execute(await running.prompt(), [video])

    async def warning() -> str | None:
        return (await running.run(run.run_id)).processing_warning

    assert "asked for a pause" in await eventually(warning)
    assert (await running.ended(run.run_id)).status is RunStatus.COMPLETED


async def _failed_run(made: Rig, *, latency: float) -> tuple[Run, str, Retry]:
    """A run of one segment that failed, and a retry of it that takes its time."""
    hopeless = CannedScript(faults=(Fault(failure_code=FailureCode.SCHEMA_INVALID),))
    made.canned.change(hopeless)
    video = await made.add(seconds=10)
    run = await made.execute(await made.prompt(), [video])
    ended = await made.ended(run.run_id)
    made.canned.change(replace(CannedScript(), latency_seconds=latency))
    page = await made.database.read(
        lambda c: run_segments.results(c, run.run_id, video.video_id, EVERYTHING)
    )
    order = RetryOrder(
        owner_id=OWNER,
        video_id=video.video_id,
        segment_id=page.items[0].segment.segment_id,
        force=False,
    )
    retry = await made.database.write(lambda tx: retry_orders.retry_one(tx, ended, order))
    return ended, video.video_id, retry


async def test_a_retry_that_no_dispatch_followed_is_taken_up(running: Rig) -> None:
    run, _, retry = await _failed_run(running, latency=0.0)
    assert (await running.retried(retry)).status is RetryStatus.COMPLETED
    assert (await running.run(run.run_id)).status is RunStatus.COMPLETED


async def test_deletion_does_not_wait_for_the_pauses_of_a_retry(
    database: Database,
) -> None:
    async with rig(database, policy=AttemptPolicy()) as made:
        _, video_id, retry = await _failed_run(made, latency=0.0)
        limited = Fault(failure_code=FailureCode.RATE_LIMITED, retry_after=30.0)
        made.canned.change(CannedScript(faults=(limited,)))
        await made.engine.retry([retry])
        await made.asked(2)
        await made.database.write(lambda tx: media.mark_deleting(tx, [video_id], "del_1"))
        ended = await made.retried(retry)
    assert ended.status is RetryStatus.CANCELLED
    assert await database.read(counter_audit.miscounts) == []


async def test_a_retry_in_hand_goes_on_after_the_server_was_stopped(database: Database) -> None:
    async with rig(database, policy=AttemptPolicy()) as made:
        run, _, retry = await _failed_run(made, latency=0.0)
        limited = Fault(failure_code=FailureCode.RATE_LIMITED, retry_after=30.0)
        made.canned.change(CannedScript(faults=(limited,)))
        before = made.canned.asked
        await made.engine.retry([retry])
        await made.asked(before + 1)
    left = await database.read(lambda c: retries.load(c, retry.retry_id))
    async with rig(database) as made:
        assert (await made.retried(retry)).status is RetryStatus.COMPLETED
        assert (await made.run(run.run_id)).status is RunStatus.COMPLETED
    assert left is not None
    assert left.status is RetryStatus.PROCESSING
