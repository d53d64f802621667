"""The engine's promises, over every store and dispatcher there is."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest

from promptreel_server.domain.llm_call import LlmCallStatus
from promptreel_server.domain.operation import Operation
from promptreel_server.domain.page import Slice
from promptreel_server.domain.retry import Retry, RetryStatus
from promptreel_server.domain.run import Run, RunStatus, SynthesisStatus
from promptreel_server.domain.segment import SegmentRun, SegmentStatus
from promptreel_server.engine.admission import retry_orders
from promptreel_server.engine.admission.retry_orders import RetryOrder
from promptreel_server.errors import Conflict, FailureCode, NotRetryable, SegmentNotFailed
from promptreel_server.extractors.canned.extractor import CannedScript, Fault
from promptreel_server.store import feed
from promptreel_server.store.database.database import Database
from promptreel_server.store.feed import EventFilter
from promptreel_server.store.runs import failure_manifest, llm_calls, run_segments, syntheses
from promptreel_server.store.runs.llm_calls import CallFilter
from tests.engines import OWNER, Rig, rig
from tests.eventually import eventually

EVERYTHING = Slice(limit=1000)


@pytest.fixture
async def running(database: Database) -> AsyncIterator[Rig]:
    async with rig(database) as made:
        yield made


async def _results(made: Rig, run: Run, video_id: str) -> tuple[SegmentRun, ...]:
    page = await made.database.read(
        lambda c: run_segments.results(c, run.run_id, video_id, EVERYTHING)
    )
    return page.items


async def _retry(made: Rig, run: Run, found: SegmentRun, *, force: bool = False) -> Retry:
    order = RetryOrder(
        owner_id=OWNER,
        video_id=found.segment.video_id,
        segment_id=found.segment.segment_id,
        force=force,
    )
    fresh = await made.run(run.run_id)
    retry = await made.database.write(lambda tx: retry_orders.retry_one(tx, fresh, order))
    await made.engine.retry([retry])
    return retry


async def _begun(made: Rig, run: Run) -> None:
    """Wait until a run has its first result."""

    async def look() -> int:
        return (await made.run(run.run_id)).completed_segments

    await eventually(look)


async def test_a_run_gives_every_segment_one_valid_result_in_order(running: Rig) -> None:
    video = await running.add(seconds=95)
    run = await running.execute(await running.prompt(), [video])
    ended = await running.ended(run.run_id)
    results = await _results(running, run, video.video_id)
    assert ended.status is RunStatus.COMPLETED
    assert (ended.total_segments, ended.completed_segments) == (10, 10)
    assert [float(found.segment.start) for found in results] == [10.0 * n for n in range(10)]
    assert all(found.metadata and "summary" in found.metadata for found in results)
    assert ended.created_new_segments


async def test_a_second_run_reuses_the_segments_and_makes_no_call(running: Rig) -> None:
    video = await running.add(seconds=50)
    prompt = await running.prompt(video_level=True)
    first = await running.execute(prompt, [video])
    await running.ended(first.run_id)
    second = await running.execute(prompt, [video])
    ended = await running.ended(second.run_id)
    before = await _results(running, first, video.video_id)
    after = await _results(running, second, video.video_id)
    page = await running.database.read(
        lambda c: llm_calls.page(c, second.run_id, CallFilter(), EVERYTHING)
    )
    order = running.order(prompt, [video])
    vetted = await running.engine.vet(order)
    estimate = await running.database.read(lambda c: running.engine.estimate(c, order, vetted))
    assert estimate["reused_llm_calls"] == 5
    assert estimate["llm_calls"] == {"low": 0, "high": 1}
    assert not ended.created_new_segments
    assert [f.segment.segment_id for f in before] == [f.segment.segment_id for f in after]
    assert [f.metadata for f in before] == [f.metadata for f in after]
    assert len(page.items) == 6, "five segments and the synthesis"
    assert all(recorded.call.cached for recorded in page.items)
    assert sum(recorded.call.total_tokens for recorded in page.items) == 0


async def test_a_bad_segment_fails_alone_and_stands_in_the_manifest(running: Rig) -> None:
    running.canned.change(
        CannedScript(
            faults=(Fault(failure_code=FailureCode.BLOCKED, starts_from=20, starts_before=30),)
        )
    )
    video = await running.add(seconds=50)
    run = await running.execute(await running.prompt(), [video])
    ended = await running.ended(run.run_id)
    failures = await running.database.read(lambda c: failure_manifest.by_video(c, run.run_id))
    assert ended.status is RunStatus.COMPLETED_WITH_FAILURES
    assert ended.completed_segments == 4
    assert ended.operation_failures[Operation.FIELD_EXTRACTION] == 1
    assert [(one.video_id, one.failed_segments) for one in failures] == [(video.video_id, 1)]
    assert failures[0].operation_counts["field_extraction"] == 1


async def test_a_transient_failure_is_attempted_again_and_every_call_is_kept(
    running: Rig,
) -> None:
    running.canned.change(
        CannedScript(faults=(Fault(failure_code=FailureCode.TIMEOUT, attempts=(1, 2)),))
    )
    video = await running.add(seconds=10)
    run = await running.execute(await running.prompt(), [video])
    ended = await running.ended(run.run_id)
    page = await running.database.read(
        lambda c: llm_calls.page(c, run.run_id, CallFilter(), EVERYTHING)
    )
    results = await _results(running, run, video.video_id)
    assert ended.status is RunStatus.COMPLETED
    assert [(r.call.attempt, r.call.status) for r in page.items] == [
        (1, LlmCallStatus.ERROR),
        (2, LlmCallStatus.ERROR),
        (3, LlmCallStatus.SUCCESS),
    ]
    assert results[0].operations[Operation.FIELD_EXTRACTION].attempts == 3


async def test_a_run_in_which_nothing_succeeds_has_failed(running: Rig) -> None:
    running.canned.change(CannedScript(faults=(Fault(failure_code=FailureCode.BLOCKED),)))
    video = await running.add(seconds=30)
    run = await running.execute(await running.prompt(), [video])
    assert (await running.ended(run.run_id)).status is RunStatus.FAILED


async def test_a_refused_credential_fails_the_run_fast_with_one_message(running: Rig) -> None:
    running.canned.change(CannedScript(faults=(Fault(failure_code=FailureCode.UNAUTHENTICATED),)))
    video = await running.add(seconds=300)
    run = await running.execute(await running.prompt(), [video], seconds=1)
    ended = await running.ended(run.run_id)
    page = await running.database.read(
        lambda c: llm_calls.page(c, run.run_id, CallFilter(), EVERYTHING)
    )
    assert ended.status is RunStatus.FAILED
    assert ended.error_message
    assert len(page.items) <= 64


async def test_a_retry_replaces_the_result_and_completes_the_run(running: Rig) -> None:
    running.canned.change(
        CannedScript(
            faults=(Fault(failure_code=FailureCode.SCHEMA_INVALID, starts_from=10, attempts=(1,)),)
        )
    )
    video = await running.add(seconds=20)
    run = await running.execute(await running.prompt(video_level=True), [video])
    ended = await running.ended(run.run_id)
    first = await running.database.read(lambda c: syntheses.fetch(c, run.run_id, video.video_id))
    failed = (await _results(running, run, video.video_id))[1]
    retry = await running.retried(await _retry(running, run, failed))
    now = await running.run(run.run_id)
    again = await running.database.read(lambda c: syntheses.fetch(c, run.run_id, video.video_id))
    assert ended.status is RunStatus.COMPLETED_WITH_FAILURES
    assert first.status is SynthesisStatus.PARTIAL
    assert first.omitted_segment_ids == (failed.segment.segment_id,)
    assert retry.status is RetryStatus.COMPLETED
    assert retry.outcome == {Operation.FIELD_EXTRACTION: True}
    assert now.status is RunStatus.COMPLETED
    assert now.operation_failures[Operation.FIELD_EXTRACTION] == 0
    assert again.status is SynthesisStatus.COMPLETED
    assert again.source_fingerprint != first.source_fingerprint


async def test_what_can_not_be_retried_is_refused_with_the_reason(running: Rig) -> None:
    running.canned.change(
        CannedScript(faults=(Fault(failure_code=FailureCode.BLOCKED, starts_from=10),))
    )
    video = await running.add(seconds=20)
    run = await running.execute(await running.prompt(), [video])
    await running.ended(run.run_id)
    good, bad = await _results(running, run, video.video_id)
    with pytest.raises(SegmentNotFailed):
        await _retry(running, run, good, force=True)
    with pytest.raises(NotRetryable):
        await _retry(running, run, bad)
    forced = await running.retried(await _retry(running, run, bad, force=True))
    assert forced.status is RetryStatus.FAILED


async def test_a_run_that_goes_on_takes_no_retries(running: Rig) -> None:
    running.canned.change(CannedScript(latency_seconds=0.3))
    video = await running.add(seconds=20)
    run = await running.execute(await running.prompt(), [video])
    order = RetryOrder(owner_id=OWNER, video_id=video.video_id, segment_id="seg_x", force=False)
    with pytest.raises(Conflict):
        await running.database.write(lambda tx: retry_orders.retry_one(tx, run, order))
    await running.ended(run.run_id)


async def test_a_cancelled_run_finishes_the_segments_in_hand_and_starts_no_more(
    running: Rig,
) -> None:
    running.canned.change(CannedScript(latency_seconds=0.2))
    video = await running.add(seconds=300)
    run = await running.execute(await running.prompt(), [video], seconds=1)
    await _begun(running, run)
    asked = await running.database.write(
        lambda tx: running.engine.request_stop(tx, run, "key_test")
    )
    running.engine.stop(run.run_id)
    ended = await running.ended(run.run_id)
    assert asked.stop is not None
    assert asked.stop.observed_at is None
    assert ended.status is RunStatus.CANCELLED
    assert ended.stop is not None
    assert ended.stop.observed_at is not None
    assert ended.stop.completed_at is not None
    assert 0 < ended.completed_segments < 300
    assert ended.completed_segments + ended.cancelled_segments == 300


async def _stopping(running: Rig, run: Run) -> Run:
    """Ask a run to stop, and look at it when the engine has had time to observe that."""
    await running.database.write(lambda tx: running.engine.request_stop(tx, run, "key_test"))
    running.engine.stop(run.run_id)
    await asyncio.sleep(1.5)
    return await running.run(run.run_id)


async def test_a_stop_is_noted_as_observed_though_calls_are_not_answered(running: Rig) -> None:
    running.canned.change(CannedScript(latency_seconds=2.5))
    run = await running.execute(await running.prompt(), [await running.add(seconds=20)])
    await running.asked()
    stopping = await _stopping(running, run)
    ended = await running.ended(run.run_id)
    assert stopping.status is RunStatus.PROCESSING
    assert stopping.stop is not None
    assert stopping.stop.observed_at is not None
    assert ended.stop is not None
    assert ended.stop.observed_at == stopping.stop.observed_at


async def test_a_run_that_waits_for_its_turn_is_cancelled_without_it(running: Rig) -> None:
    running.canned.change(CannedScript(latency_seconds=2.5))
    prompt = await running.prompt()
    long = [await running.add(seconds=20, content=f"long {number}") for number in range(8)]
    held_up = await running.execute(prompt, long)
    behind = await running.execute(prompt, [await running.add(seconds=20, content="behind")])
    stopped = await _stopping(running, behind)
    ended = await running.ended(held_up.run_id)
    assert stopped.status is RunStatus.CANCELLED
    assert stopped.stop is not None
    assert stopped.stop.observed_at is not None
    assert stopped.stop.completed_at is not None
    assert ended.status is RunStatus.COMPLETED


async def test_a_stop_request_stored_elsewhere_is_seen_within_a_second(running: Rig) -> None:
    running.canned.change(CannedScript(latency_seconds=0.1))
    video = await running.add(seconds=3000)
    run = await running.execute(await running.prompt(), [video], seconds=1)
    await asyncio.sleep(0.1)
    await running.database.write(lambda tx: running.engine.request_stop(tx, run, "other"))
    async with asyncio.timeout(10):
        ended = await running.ended(run.run_id)
    assert ended.status is RunStatus.CANCELLED


@pytest.mark.parametrize("abruptly", [False, True])
async def test_an_engine_takes_up_what_an_earlier_one_left(
    database: Database, abruptly: bool
) -> None:
    with contextlib.suppress(BaseExceptionGroup):
        async with rig(database, CannedScript(latency_seconds=0.05)) as made:
            video = await made.add(seconds=600)
            run = await made.execute(await made.prompt(), [video], seconds=1)
            await _begun(made, run)
            if abruptly:
                raise ConnectionError("the power is gone")
    async with rig(database) as made:
        left = await made.run(run.run_id)
        ended = await made.ended(run.run_id)
        results = await _results(made, run, video.video_id)
        calls = await made.database.read(
            lambda c: llm_calls.page(c, run.run_id, CallFilter(), EVERYTHING)
        )
    assert left.status is RunStatus.PROCESSING
    assert 0 < left.completed_segments < 600
    assert ended.status is RunStatus.COMPLETED
    assert ended.completed_segments == len(results) == len(calls.items) == 600


async def test_events_tell_the_whole_story_in_order_without_a_gap(running: Rig) -> None:
    video = await running.add(seconds=30)
    run = await running.execute(await running.prompt(video_level=True), [video])
    await running.ended(run.run_id)
    events = await running.database.read(
        lambda c: feed.after(c, OWNER, 0, EventFilter(), limit=1000)
    )
    names = [event.event_type.value for event in events if event.run_id == run.run_id]
    assert [event.sequence for event in events] == list(range(1, len(events) + 1))
    assert names[0] == "prompt_run.started"
    assert names[-1] == "prompt_run.completed"
    assert names.count("segment.completed") == 3
    assert names.index("video_result.completed") < names.index("media.processing.completed")


async def test_a_segment_that_was_cancelled_before_it_began_is_marked_so(running: Rig) -> None:
    running.canned.change(CannedScript(latency_seconds=0.2))
    video = await running.add(seconds=200)
    run = await running.execute(await running.prompt(), [video], seconds=1)
    await _begun(running, run)
    await running.database.write(lambda tx: running.engine.request_stop(tx, run, "key_test"))
    running.engine.stop(run.run_id)
    await running.ended(run.run_id)
    last = await running.database.read(
        lambda c: run_segments.batch(c, run.run_id, video.video_id, after=198, limit=1)
    )
    assert last[0].status is SegmentStatus.CANCELLED
