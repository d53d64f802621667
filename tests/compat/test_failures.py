"""Failures, retries and stops, through the vendor's client."""

import time
from typing import Any

import pytest
from videovector import ConflictError, NotFoundError, ProcessingError

from tests.compat.conftest import Stage


def _retry_ended(stage: Stage, run_id: str, segment_id: str, retry_id: str) -> Any:
    until = time.monotonic() + 30
    while True:
        status = stage.client.prompt_runs.get_segment_retry_status(
            run_id, stage.video_id, segment_id, retry_id
        )
        if status.status not in {"pending", "processing"}:
            return status
        assert time.monotonic() < until, "the retry did not end"
        time.sleep(0.05)


def test_a_run_with_failures_says_which_and_how(stage: Stage) -> None:
    run = stage.finished(processing_model="canned:flaky")
    manifest = stage.client.prompt_runs.get_failed_segments(run.run_id)

    assert run.status == "completed_with_failures"
    assert (run.total_segments, run.completed_segments) == (6, 3)
    assert run.field_extraction_failures == 3
    assert run.field_extraction_succeeded is False
    assert (run.partial_videos, run.completed_videos, run.failed_videos) == (1, 0, 0)
    assert run.video_level_partial_items == 1
    assert manifest.status == "completed_with_failures"
    assert (manifest.failed_segments, manifest.videos_with_failures) == (3, 1)
    assert manifest.operation_counts.field_extraction == 3
    assert manifest.operation_counts.transcription == 0
    failed = manifest.videos[0].segments
    assert [segment.start_time for segment in failed] == [6, 8, 10]
    assert all(segment.retryable for segment in failed)
    assert all(segment.failed_operations == ["field_extraction"] for segment in failed)
    assert failed[0].field_extraction_error


def test_failed_segments_stand_among_the_results_with_their_error(stage: Stage) -> None:
    run = stage.finished(processing_model="canned:flaky")
    page = stage.client.prompt_runs.list_results(run.run_id, video_id=stage.video_id)
    found = list(page.auto_paging_iter())

    assert [result.field_extraction_succeeded for result in found] == [True] * 3 + [False] * 3
    assert found[0].field_extraction_error is None
    assert found[3].field_extraction_error
    assert found[3].metadata == {}


def test_retries_of_all_that_failed_complete_the_run(stage: Stage) -> None:
    runs = stage.client.prompt_runs
    run = stage.finished(processing_model="canned:flaky")
    manifest = runs.get_failed_segments(run.run_id)

    for segment in manifest.videos[0].segments:
        asked = runs.retry_segment(run.run_id, stage.video_id, segment.segment_id)
        ended = _retry_ended(stage, run.run_id, segment.segment_id, asked.retry_id)
        assert asked.status == "pending"
        assert asked.message
        assert ended.status == "completed"
        assert ended.field_extraction_succeeded is True
        assert ended.started_at is not None
        assert ended.completed_at is not None

    mended = runs.retrieve(run.run_id)
    assert mended.status == "completed"
    assert (mended.completed_segments, mended.field_extraction_failures) == (6, 0)
    assert (mended.completed_videos, mended.partial_videos) == (1, 0)
    assert (mended.video_level_completed_items, mended.video_level_partial_items) == (1, 0)
    assert runs.get_failed_segments(run.run_id).failed_segments == 0
    result = runs.get_video_result(run.run_id, stage.video_id)
    assert (result.status, result.successful_segment_count) == ("completed", 6)


def test_a_segment_that_did_not_fail_is_not_retried(stage: Stage) -> None:
    runs = stage.client.prompt_runs
    run = stage.finished()
    segment = runs.list_results(run.run_id, video_id=stage.video_id)[0]

    with pytest.raises(ConflictError) as refused:
        runs.retry_segment(run.run_id, stage.video_id, segment.segment_id)

    assert refused.value.error_code == "segment_not_failed"


def test_what_is_blocked_is_not_retried(stage: Stage) -> None:
    runs = stage.client.prompt_runs
    run = stage.finished(processing_model="canned:blocked")
    segment = runs.get_failed_segments(run.run_id).videos[0].segments[0]

    assert not segment.retryable
    with pytest.raises(ConflictError) as refused:
        runs.retry_segment(run.run_id, stage.video_id, segment.segment_id)

    assert refused.value.error_code == "not_retryable"


def test_a_segment_of_another_run_or_video_is_not_found(stage: Stage) -> None:
    runs = stage.client.prompt_runs
    run = stage.finished(processing_model="canned:flaky")
    other = stage.finished(video_segment_duration=3)
    failed = runs.get_failed_segments(run.run_id).videos[0].segments[0]
    foreign = runs.list_results(other.run_id, video_id=stage.video_id)[0]

    for video_id, segment_id in (
        (stage.video_id, foreign.segment_id),
        (stage.video_id, "seg_nobody"),
        ("vid_nobody", failed.segment_id),
    ):
        with pytest.raises(NotFoundError):
            runs.retry_segment(run.run_id, video_id, segment_id)
    with pytest.raises(NotFoundError):
        runs.get_segment_retry_status(run.run_id, stage.video_id, failed.segment_id, "retry_nobody")


def test_a_run_of_which_nothing_succeeds_has_failed(stage: Stage) -> None:
    run = stage.execute(processing_model="canned:hopeless")

    with pytest.raises(ProcessingError):
        stage.ended(run.run_id)

    ended = stage.client.prompt_runs.retrieve(run.run_id)
    assert ended.status == "failed"
    assert (ended.failed_videos, ended.completed_segments) == (1, 0)
    assert ended.field_extraction_succeeded is False
    result = stage.client.prompt_runs.get_video_result(run.run_id, stage.video_id)
    assert result.status == "failed"
    assert result.metadata == {}


def test_a_prompt_without_video_level_has_no_synthesis(stage: Stage) -> None:
    run = stage.finished(prompt_id=stage.prompt().prompt_id)

    with pytest.raises(NotFoundError) as refused:
        stage.client.prompt_runs.get_video_result(run.run_id, stage.video_id)

    assert not run.video_level_enabled
    assert refused.value.error_code == "video_level_not_configured"


def test_the_synthesis_of_a_running_run_is_pending(stage: Stage) -> None:
    run = stage.execute(processing_model="canned:slow")

    result = stage.client.prompt_runs.get_video_result(run.run_id, stage.video_id)

    assert result.status == "pending"
    assert result.metadata == {}
    stage.ended(run.run_id)


def test_results_are_readable_while_the_run_is_going(stage: Stage) -> None:
    run = stage.execute(processing_model="canned:slow")

    early = stage.client.prompt_runs.list_results(run.run_id, video_id=stage.video_id)
    ended = stage.ended(run.run_id)
    late = stage.client.prompt_runs.list_results(run.run_id, video_id=stage.video_id)

    assert len(early) <= len(late) == 6
    assert ended.status == "completed"
