"""Failures, retries, stops and deletions, and that the sums hold through all of them."""

import math
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import grpc
import pytest
from sqlalchemy import select

from promptreel.v2 import enums_pb2, index_pb2, prompt_run_pb2, retry_pb2, video_pb2
from promptreel_server.domain.event import EventType
from promptreel_server.engine.admission import retry_orders
from promptreel_server.services.rpc import manifests
from promptreel_server.store.schema.tables import events, media
from tests.service.caller import refusal, until
from tests.service.runner import SEGMENTS, Runner, Status

Retrying = enums_pb2.RetryStatus.Value
Code = enums_pb2.FailureCode.Value
Operation = enums_pb2.Operation.Value
Standing = enums_pb2.MediaStatus.Value

LONG = (20, 20)
"""Shots of a clip of 40 s: more segments than calls are in flight at first."""


def _syntheses(runner: Runner, run_id: str) -> int:
    request = prompt_run_pb2.ListLlmCallsRequest(run_id=run_id)
    calls = runner.caller.runs.ListLlmCalls(request, metadata=runner.caller.said()).data
    return sum(call.purpose == enums_pb2.LlmCallPurpose.Value.video_synthesis for call in calls)


def _synthesis_ended(runner: Runner, run_id: str, video_ids: list[str]) -> bool:
    """Wait until the synthesis of each media item has ended."""
    open_ones = (
        enums_pb2.SynthesisStatus.Value.pending,
        enums_pb2.SynthesisStatus.Value.processing,
    )

    def look() -> bool | None:
        requests = [
            prompt_run_pb2.GetVideoResultRequest(run_id=run_id, video_id=video_id)
            for video_id in video_ids
        ]
        said = runner.caller.said()
        made = [runner.caller.runs.GetVideoResult(one, metadata=said) for one in requests]
        return None if any(one.status in open_ones for one in made) else True

    return until(look)


def _told(runner: Runner, run_id: str) -> list[tuple[EventType, str]]:
    """The types of the events of a run, each with the media item it is about."""
    statement = select(events.c.event_type, events.c.video_id).where(events.c.run_id == run_id)
    return [tuple(row) for row in runner.read(lambda c: c.execute(statement).all())]


def _retries(runner: Runner, of: retry_pb2.Retry) -> list[retry_pb2.Retry]:
    """The retries of the segment that a retry is of."""
    request = prompt_run_pb2.ListSegmentRetriesRequest(
        run_id=of.run_id, video_id=of.video_id, segment_id=of.segment_id
    )
    said = runner.caller.said()
    return list(runner.caller.runs.ListSegmentRetries(request, metadata=said).data)


def _standing(runner: Runner, video_id: str) -> int:
    request = video_pb2.GetVideoRequest(video_id=video_id)
    return runner.caller.videos.GetVideo(request, metadata=runner.caller.said()).status


def _failed_ids(runner: Runner, run_id: str) -> list[str]:
    videos = runner.manifest(run_id).videos
    return [segment.segment_id for video in videos for segment in video.segments]


def test_the_manifest_tells_what_failed_and_how(runner: Runner) -> None:
    video_id = runner.video()
    run = runner.finished(video_id, processing_model="canned:flaky")

    manifest = runner.manifest(run.run_id)
    segment = manifest.videos[0].segments[0]

    assert run.status == manifest.status == Status.completed_with_failures
    assert (manifest.failed_segments, manifest.videos_with_failures) == (3, 1)
    assert manifest.operation_counts.field_extraction == 3
    assert manifest.operation_counts.processing == 0
    assert list(segment.failed_operations) == [Operation.field_extraction]
    assert segment.failure_code == Code.schema_invalid
    assert segment.failure_stage == Operation.field_extraction
    assert segment.retryable
    assert not segment.projection_only
    assert segment.attempts == 1
    assert not manifest.truncated


@pytest.mark.parametrize("room", [1, 2, 3, 4, 5, 6, 100])
def test_a_page_ends_within_a_media_item_that_has_more_failures_than_fit(
    runner: Runner, monkeypatch: pytest.MonkeyPatch, room: int
) -> None:
    run = runner.finished(runner.video(), runner.video(), processing_model="canned:flaky")
    whole = runner.manifest(run.run_id)
    monkeypatch.setattr(manifests, "MOST_IN_MANIFEST", room)

    capped = runner.manifest(run.run_id)
    pages = [runner.manifest(run.run_id, limit=10)]
    while pages[-1].next_cursor:
        pages.append(runner.manifest(run.run_id, limit=10, cursor=pages[-1].next_cursor))

    listed = [(v.video_id, s.segment_id) for m in pages for v in m.videos for s in v.segments]
    assert listed == [(v.video_id, s.segment_id) for v in whole.videos for s in v.segments]
    assert len(listed) == 6
    assert len(pages) == math.ceil(6 / room)
    assert all(video.segments for page in pages for video in page.videos)
    assert not any(page.truncated for page in pages)
    assert capped.truncated == (room < 6)


def test_a_manifest_comes_in_pages_of_media_items(runner: Runner) -> None:
    ids = [runner.video() for _ in range(3)]
    run = runner.finished(*ids, processing_model="canned:flaky")

    first = runner.manifest(run.run_id, limit=2)
    rest = runner.manifest(run.run_id, limit=2, cursor=first.next_cursor)
    alone = runner.manifest(run.run_id, video_id=ids[1])

    assert [video.video_id for video in first.videos] == sorted(ids)[:2]
    assert [video.video_id for video in rest.videos] == sorted(ids)[2:]
    assert not rest.HasField("next_cursor")
    assert first.failed_segments == rest.failed_segments == 9
    assert [video.video_id for video in alone.videos] == [ids[1]]
    assert alone.failed_segments == 3


def test_retrying_all_that_failed_completes_the_run_and_redoes_the_synthesis(
    runner: Runner,
) -> None:
    video_id = runner.video()
    run = runner.finished(video_id, processing_model="canned:flaky")

    answer = runner.retry_all(run.run_id)
    ended = [runner.retry_ended(retry) for retry in answer.retries]
    mended = runner.ended(run.run_id)

    assert (answer.retry_count, answer.skipped_count) == (3, 0)
    assert {retry.status for retry in ended} == {Retrying.completed}
    assert all(retry.field_extraction_succeeded for retry in ended)
    assert not any(retry.HasField("transcription_succeeded") for retry in ended)
    assert mended.status == Status.completed
    assert mended.field_extraction_succeeded
    assert mended.video_level_completed_items == 1
    assert _syntheses(runner, run.run_id) == 2, "one at first, one for the three retries"
    results = runner.results(run.run_id, video_id)
    assert [result.field_extraction_succeeded for result in results] == [True] * SEGMENTS
    assert not any(result.HasField("field_extraction_error") for result in results)


def test_what_many_retries_come_to_is_found_out_while_others_write(
    runner: Runner, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = runner.finished(runner.video(), processing_model="canned:flaky")
    threads: list[str] = []
    plan_failed = retry_orders.plan_failed

    def noted(*given: Any) -> Any:
        threads.append(threading.current_thread().name)
        return plan_failed(*given)

    monkeypatch.setattr(retry_orders, "plan_failed", noted)

    answer = runner.retry_all(run.run_id)

    assert answer.retry_count == 3
    assert [name.partition("_")[0] for name in threads] == ["reader"]


def test_a_retry_keeps_the_history(runner: Runner) -> None:
    video_id = runner.video()
    run = runner.finished(video_id, processing_model="canned:flaky")
    segment_id = _failed_ids(runner, run.run_id)[0]

    retry = runner.retry_ended(runner.retry(run.run_id, video_id, segment_id))

    request = prompt_run_pb2.ListLlmCallsRequest(run_id=run.run_id, segment_id=segment_id)
    calls = runner.caller.runs.ListLlmCalls(request, metadata=runner.caller.said()).data
    assert [call.attempt for call in calls] == [1, 2]
    listing = prompt_run_pb2.ListSegmentRetriesRequest(
        run_id=run.run_id, video_id=video_id, segment_id=segment_id
    )
    listed = runner.caller.runs.ListSegmentRetries(listing, metadata=runner.caller.said())
    assert [one.retry_id for one in listed.data] == [retry.retry_id]
    assert len(_failed_ids(runner, run.run_id)) == 2
    runner.check_sums(run.run_id)


def test_a_medium_stands_as_its_latest_run_does_also_after_retries(runner: Runner) -> None:
    video_id = runner.video()
    earlier = runner.finished(video_id, processing_model="canned:weary")
    run = runner.finished(video_id, processing_model="canned:weary")
    standing = [_standing(runner, video_id)]

    for run_id in (earlier.run_id, run.run_id):
        for retry in runner.retry_all(run_id).retries:
            assert runner.retry_ended(retry).status == Retrying.completed
        standing.append(_standing(runner, video_id))
        assert (EventType.MEDIA_PROCESSING_COMPLETED, video_id) in _told(runner, run_id)

    assert standing == [Standing.failed, Standing.failed, Standing.processed]


def test_failed_segments_are_chosen_by_code(runner: Runner) -> None:
    run = runner.finished(runner.video(), processing_model="canned:flaky")

    none = runner.retry_all(run.run_id, failure_codes=[Code.timeout])
    some = runner.retry_all(run.run_id, failure_codes=[Code.timeout, Code.schema_invalid])

    assert (none.retry_count, none.skipped_count) == (0, 0)
    assert some.retry_count == 3
    for retry in some.retries:
        runner.retry_ended(retry)


def test_what_is_blocked_is_retried_by_force_alone(runner: Runner) -> None:
    video_id = runner.video()
    run = runner.finished(video_id, processing_model="canned:blocked")
    segment_id = _failed_ids(runner, run.run_id)[0]

    refused = refusal(lambda: runner.retry(run.run_id, video_id, segment_id))
    skipped = runner.retry_all(run.run_id)
    forced = runner.retry_ended(runner.retry(run.run_id, video_id, segment_id, force=True))

    assert (refused.http_status, refused.reason) == (409, "not_retryable")
    assert skipped.retry_count == 0
    assert {one.reason for one in skipped.skipped} == {"not_retryable"}
    assert forced.status == Retrying.failed
    assert forced.error
    assert not forced.field_extraction_succeeded
    assert runner.ended(run.run_id).status == Status.completed_with_failures


def test_of_many_retries_at_once_one_goes_and_the_others_are_told_which(runner: Runner) -> None:
    video_id = runner.video()
    run = runner.finished(video_id, processing_model="canned:tired")
    segment_id = _failed_ids(runner, run.run_id)[0]

    def ask(_: int) -> Any:
        try:
            return runner.retry(run.run_id, video_id, segment_id)
        except grpc.RpcError as error:
            return error

    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(ask, range(8)))

    went = [answer for answer in answers if not isinstance(answer, grpc.RpcError)]
    assert len(went) == 1
    refused = refusal(lambda: runner.retry(run.run_id, video_id, segment_id))
    assert refused.reason == "retry_in_flight"
    assert refused.envelope["details"] == {"retry_id": went[0].retry_id}
    assert runner.retry_ended(went[0]).status == Retrying.completed


def test_a_run_that_is_going_takes_no_retry(runner: Runner) -> None:
    video_id = runner.video(*LONG)
    run = runner.execute(video_id, processing_model="canned:slow")

    refused = refusal(lambda: runner.retry_all(run.run_id))

    assert (refused.http_status, refused.reason) == (409, "conflict")
    runner.cancel(run.run_id)
    runner.ended(run.run_id)


def test_a_stop_ends_the_run_soon_and_keeps_what_was_done(runner: Runner) -> None:
    video_id = runner.video(*LONG)
    run = runner.execute(video_id, processing_model="canned:sluggish", video_segment_duration=1)
    until(lambda: runner.results(run.run_id, video_id) or None)

    asked = runner.cancel(run.run_id)
    began = time.monotonic()
    ended = runner.ended(run.run_id)

    assert time.monotonic() - began < 5
    assert asked.stop_state.HasField("requested_at")
    assert asked.stop_state.requested_by
    assert ended.status == Status.cancelled
    assert ended.stop_state.HasField("observed_at")
    assert ended.stop_state.HasField("completed_at")
    assert 0 < ended.completed_segments < ended.total_segments == 40
    assert len(runner.results(run.run_id, video_id)) == ended.completed_segments
    assert runner.cancel(run.run_id) == ended


def test_a_stop_of_what_waits_ends_every_media_item(runner: Runner) -> None:
    ids = [runner.video(*LONG) for _ in range(3)]
    run = runner.execute(*ids, processing_model="canned:slow", video_segment_duration=1)

    runner.cancel(run.run_id)
    ended = runner.ended(run.run_id)

    assert ended.status == Status.cancelled
    assert ended.cancelled_videos == 3


@pytest.mark.parametrize("with_synthesis", [False, True])
def test_a_stop_with_every_call_in_flight_leaves_nothing_undone_but_the_synthesis(
    runner: Runner, with_synthesis: bool
) -> None:
    video_id = runner.video()
    prompt_id = runner.prompt() if with_synthesis else runner.prompt(video_level=None)
    run = runner.execute(video_id, prompt_id=prompt_id, processing_model="canned:slow")
    until(lambda: runner.get(run.run_id).total_segments or None)
    time.sleep(0.1)  # all six calls are in flight now, and may finish

    runner.cancel(run.run_id)
    ended = runner.ended(run.run_id)

    assert ended.completed_segments == SEGMENTS
    assert ended.status == (Status.cancelled if with_synthesis else Status.completed)


def test_stopping_a_mended_run_ends_the_retries_that_wait(runner: Runner) -> None:
    ids = [runner.video(*LONG) for _ in range(2)]
    run = runner.finished(*ids, processing_model="canned:weary", video_segment_duration=1)

    answer = runner.retry_all(run.run_id)
    runner.cancel(run.run_id)
    ended = [runner.retry_ended(retry) for retry in answer.retries]

    statuses = {retry.status for retry in ended}
    assert answer.retry_count == 80
    assert Retrying.cancelled in statuses
    assert statuses <= {Retrying.cancelled, Retrying.completed}
    assert _synthesis_ended(runner, run.run_id, ids)
    run = runner.ended(run.run_id)
    completed = sum(retry.status == Retrying.completed for retry in ended)
    assert run.completed_segments == completed
    for retry in ended:
        if retry.status == Retrying.cancelled:
            assert retry.error


def test_a_cancelled_run_is_mended_where_it_had_begun(runner: Runner) -> None:
    video_id = runner.video(*LONG)
    run = runner.execute(video_id, processing_model="canned:weary", video_segment_duration=1)
    until(lambda: runner.results(run.run_id, video_id) or None)
    runner.cancel(run.run_id)
    ended = runner.ended(run.run_id)
    failed = len(_failed_ids(runner, run.run_id))

    answer = runner.retry_all(run.run_id)
    statuses = {runner.retry_ended(retry).status for retry in answer.retries}
    mended = runner.ended(run.run_id)

    assert ended.status == Status.cancelled
    assert 0 < failed == answer.retry_count
    assert statuses == {Retrying.completed}
    assert mended.status == Status.cancelled
    assert mended.completed_segments == failed


def test_a_segment_never_begun_is_not_retried(runner: Runner) -> None:
    video_id = runner.video(50, 50)
    run = runner.execute(video_id, processing_model="canned:slow", video_segment_duration=1)
    until(lambda: runner.results(run.run_id, video_id) or None)
    runner.cancel(run.run_id)
    runner.ended(run.run_id)
    listing = video_pb2.ListVideoSegmentsRequest(video_id=video_id, run_id=run.run_id, limit=100)
    segments = runner.caller.videos.ListVideoSegments(listing, metadata=runner.caller.said()).data

    refused = refusal(lambda: runner.retry(run.run_id, video_id, segments[-1].segment_id))

    assert refused.reason == "segment_not_failed"


def test_media_deleted_while_a_run_goes_over_it_leave_the_rest_right(runner: Runner) -> None:
    going, staying = runner.video(*LONG), runner.video()
    run = runner.execute(going, staying, processing_model="canned:slow", video_segment_duration=1)
    until(lambda: runner.results(run.run_id, going) or None)

    request = video_pb2.DeleteVideoRequest(video_id=going)
    runner.caller.videos.DeleteVideo(request, metadata=runner.caller.said())
    runner.caller.until_video_deleted(going)
    ended = runner.ended(run.run_id)

    assert ended.status == Status.completed
    assert (ended.total_videos, ended.completed_videos) == (1, 1)
    assert ended.total_segments == ended.completed_segments == 12
    assert ended.total_video_seconds == pytest.approx(12)


def test_deleted_media_end_their_retries(runner: Runner) -> None:
    going, staying = runner.video(*LONG), runner.video()
    run = runner.finished(going, staying, processing_model="canned:weary")
    runner.retry_all(run.run_id)

    request = video_pb2.DeleteVideoRequest(video_id=going)
    runner.caller.videos.DeleteVideo(request, metadata=runner.caller.said())
    runner.caller.until_video_deleted(going)

    mended = until(lambda: _if_completed(runner, run.run_id))
    assert mended.total_videos == 1
    runner.check_sums(run.run_id)


def test_an_index_that_is_deleted_ends_all_retries_at_once_and_tells_it(runner: Runner) -> None:
    index_id = runner.caller.index()
    ids = [runner.video(*LONG, index_id=index_id) for _ in range(2)]
    run = runner.finished(*ids, processing_model="canned:weary", video_segment_duration=1)

    answer = runner.retry_all(run.run_id)
    runner.caller.delete_index(index_id)
    runner.caller.until_deleted(index_id)

    told = Counter(event_type for event_type, _ in _told(runner, run.run_id))
    ended = told[EventType.RETRY_COMPLETED] + told[EventType.RETRY_FAILED]
    assert ended == answer.retry_count == 80
    assert told[EventType.RETRY_STARTED] < 40, "those of the second medium were not begun"


def test_an_index_deleted_during_a_run_takes_the_run_with_it(runner: Runner) -> None:
    index_id = runner.caller.index()
    runner.video(*LONG, index_id=index_id)
    target = {"type": "index", "index_id": index_id}
    run = runner.execute(target=target, processing_model="canned:slow", video_segment_duration=1)

    runner.caller.delete_index(index_id)
    refused = refusal(lambda: runner.execute(target=target))
    runner.caller.until_deleted(index_id)

    assert refused.http_status in {404, 409}
    assert refusal(lambda: runner.get(run.run_id)).http_status == 404
    get = index_pb2.GetIndexRequest(index_id=index_id)
    gone = refusal(lambda: runner.caller.indexes.GetIndex(get, metadata=runner.caller.said()))
    assert gone.http_status == 404


def _if_completed(runner: Runner, run_id: str) -> Any:
    run = runner.get(run_id)
    return run if run.status == Status.completed else None


def test_media_that_can_not_be_read_fail_before_any_operation_and_can_be_mended(
    runner: Runner,
) -> None:
    video_id = runner.video(3, 4)  # bytes that no other test stands on
    with _bytes_away(runner, video_id):
        run = runner.finished(
            video_id, video_segmentation_type="smart", video_segment_duration=None
        )
        manifest = runner.manifest(run.run_id)
    segment = manifest.videos[0].segments[0]

    assert run.status == Status.failed
    assert run.failed_videos == run.video_level_failed_items == 1
    assert manifest.operation_counts.processing == manifest.failed_segments == 1
    assert manifest.operation_counts.field_extraction == 0
    assert list(segment.failed_operations) == [Operation.processing]
    assert segment.projection_only
    assert (EventType.VIDEO_RESULT_FAILED, video_id) in _told(runner, run.run_id)

    retry = runner.retry(run.run_id, video_id, segment.segment_id, force=True)
    ended = runner.retry_ended(retry)
    mended = runner.ended(run.run_id)

    assert retry.message == "The media item will be cut again, and then its segments attempted."
    assert ended.status == Retrying.completed, ended.error
    assert _retries(runner, retry) == [ended]
    assert mended.status == Status.completed
    assert not mended.HasField("error_message")
    assert mended.video_level_completed_items == 1
    assert runner.manifest(run.run_id).failed_segments == 0


def test_a_retry_after_whose_cut_no_segment_succeeds_says_so(runner: Runner) -> None:
    video_id = runner.video(3, 5)  # bytes that no other test stands on
    smart = {"video_segmentation_type": "smart", "video_segment_duration": None}
    with _bytes_away(runner, video_id):
        run = runner.finished(video_id, processing_model="canned:hopeless", **smart)
    (segment_id,) = _failed_ids(runner, run.run_id)

    ended = runner.retry_ended(runner.retry(run.run_id, video_id, segment_id, force=True))

    assert (ended.status, ended.error) == (
        Retrying.failed,
        "No segment succeeded; the manifest says why.",
    )
    assert runner.manifest(run.run_id).operation_counts.field_extraction > 0


def test_what_a_retry_takes_up_in_a_stopped_run_goes_on_and_can_be_stopped_again(
    runner: Runner,
) -> None:
    unread, going = runner.video(5, 4), runner.video(*LONG)  # no other test has these bytes
    with _bytes_away(runner, unread):
        run = runner.execute(
            unread,
            going,
            processing_model="canned:slow",
            video_segmentation_type="smart",
            video_segment_duration=None,
        )
        until(lambda: _failed_ids(runner, run.run_id) or None)
        runner.cancel(run.run_id)
        stopped = runner.ended(run.run_id)
    segment_id = runner.manifest(run.run_id, video_id=unread).videos[0].segments[0].segment_id

    retry = runner.retry_ended(runner.retry(run.run_id, unread, segment_id, force=True))
    mended = runner.ended(run.run_id)

    assert retry.status == Retrying.completed, retry.error
    assert mended.failed_videos == 0
    assert mended.completed_videos == stopped.completed_videos + 1
    assert mended.stop_state == stopped.stop_state


def test_a_stop_before_the_synthesis_of_what_was_cut_anew_leaves_it_undone_not_failed(
    runner: Runner,
) -> None:
    video_id = runner.video(6, 3)  # bytes that no other test stands on
    smart = {"video_segmentation_type": "smart", "video_segment_duration": None}
    with _bytes_away(runner, video_id):
        run = runner.finished(video_id, processing_model="canned:sluggish", **smart)
    (segment_id,) = _failed_ids(runner, run.run_id)

    retry = runner.retry(run.run_id, video_id, segment_id, force=True)
    until(lambda: runner.get(run.run_id).total_segments == 2 or None)
    time.sleep(0.4)  # both calls are in flight now, and may finish
    runner.cancel(run.run_id)
    runner.retry_ended(retry)
    ended = runner.ended(run.run_id)

    assert ended.completed_segments == ended.total_segments == 2
    assert (ended.status, ended.video_level_failed_items) == (Status.cancelled, 0)


@contextmanager
def _bytes_away(runner: Runner, video_id: str) -> Iterator[None]:
    """Hide the bytes of a media item for the length of the block."""
    digest = runner.read(
        lambda c: c.execute(select(media.c.sha256).where(media.c.video_id == video_id)).scalar_one()
    )
    blob = next(
        path
        for path in runner.caller.live.files()
        if path.as_posix().replace("/", "").endswith(digest)
    )
    away = blob.with_name("away")
    blob.rename(away)
    try:
        yield
    finally:
        away.rename(blob)
