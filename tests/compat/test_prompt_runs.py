from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest
from videovector import ExternalServiceError, ValidationError

from tests import footage
from tests.compat.conftest import CLIP_SECONDS, Stage


@pytest.fixture(scope="module")
def run(stage: Stage) -> Any:
    return stage.finished()


def test_execute_answers_at_once_and_pending(stage: Stage) -> None:
    run = stage.execute(processing_model="canned:slow")

    assert run.status == "pending"
    assert run.run_context["target"] == {"type": "videos", "video_ids": [stage.video_id]}
    stage.client.prompt_runs.cancel(run.run_id)


@pytest.mark.parametrize("kind", ["index", "videos", "videos of an index"])
def test_a_run_covers_its_target(stage: Stage, kind: str) -> None:
    target = {
        "index": {"type": "index", "index_id": stage.index_id},
        "videos": {"type": "videos", "video_ids": [stage.video_id]},
        "videos of an index": {
            "type": "videos",
            "video_ids": [stage.video_id],
            "index_id": stage.index_id,
        },
    }[kind]

    run = stage.finished(target=target)

    assert run.status == "completed"
    assert (run.total_videos, run.completed_videos) == (1, 1)
    assert (run.total_audios, run.total_images) == (0, 0)
    assert run.run_context["target"] == target


def test_counters_and_settings_are_told_exactly(stage: Stage, run: Any) -> None:
    again = stage.client.prompt_runs.retrieve(run.run_id)

    assert again == run
    assert (again.total_segments, again.completed_segments) == (6, 6)
    assert again.field_extraction_failures == 0
    assert again.field_extraction_succeeded is True
    assert again.video_segmentation_type == "fixed"
    assert again.video_segment_duration == 2
    assert again.audio_segmentation_type == "content_aware"
    assert again.audio_segment_duration is None
    assert again.image_segmentation_type == "image"
    assert again.total_video_seconds == pytest.approx(CLIP_SECONDS)
    assert again.prompt_type == "custom"
    assert again.prompt_name == "Scenes"
    assert again.video_level_enabled
    assert (again.video_level_total_items, again.video_level_completed_items) == (1, 1)
    assert again.stop_state.requested_at is None


def test_results_come_in_pages_by_start_time(stage: Stage, run: Any) -> None:
    page = stage.client.prompt_runs.list_results(run.run_id, video_id=stage.video_id, limit=4)
    found = list(page.auto_paging_iter())

    assert len(page) == 4
    assert page.has_more
    assert [result.start_time for result in found] == [0, 2, 4, 6, 8, 10]
    assert found[-1].end_time == pytest.approx(CLIP_SECONDS)
    assert found[0].result_id == f"segment:{found[0].segment_id}:{run.run_id}"
    assert found[0].metadata["summary"]
    assert "summary" in found[0].metadata_text
    assert found[0].source_index_id == stage.index_id
    assert found[0].video_name == "Clip"
    assert all(result.field_extraction_succeeded for result in found)


def test_a_page_of_one_result_at_a_time_gives_them_all(stage: Stage, run: Any) -> None:
    page = stage.client.prompt_runs.list_results(run.run_id, video_id=stage.video_id, limit=1)

    found = [result.segment_id for result in page.auto_paging_iter()]

    assert len(found) == len(set(found)) == 6


def test_a_cursor_of_another_listing_is_refused(stage: Stage, run: Any) -> None:
    runs = stage.client.prompt_runs
    page = runs.list_results(run.run_id, video_id=stage.video_id, limit=2)
    other = stage.finished()

    with pytest.raises(ValidationError) as refused:
        runs.list_results(other.run_id, video_id=stage.video_id, cursor=page.next_cursor)

    assert refused.value.error_code == "invalid_cursor"


def test_the_synthesis_is_told(stage: Stage, run: Any) -> None:
    result = stage.client.prompt_runs.get_video_result(run.run_id, stage.video_id)

    assert result.status == "completed"
    assert result.result_id == f"video:{stage.video_id}:{run.run_id}"
    assert "6 segments" in result.metadata["story"]
    assert (result.successful_segment_count, result.failed_segment_count) == (6, 0)
    assert result.source_fingerprint


def test_every_llm_call_is_on_record(stage: Stage, run: Any) -> None:
    calls = stage.client.prompt_runs.get_llm_calls(run.run_id)

    by_purpose = [call.purpose for call in calls]
    assert by_purpose.count("metadata_extraction") == 6
    assert by_purpose.count("video_synthesis") == 1
    assert all(call.status == "success" for call in calls)
    assert all(call.prompt_run_id == run.run_id for call in calls)


def test_a_run_without_failures_has_an_empty_manifest(stage: Stage, run: Any) -> None:
    manifest = stage.client.prompt_runs.get_failed_segments(run.run_id)

    assert (manifest.failed_segments, manifest.videos_with_failures) == (0, 0)
    assert manifest.videos == []
    assert manifest.status == "completed"


def test_runs_are_listed_newest_first(stage: Stage, run: Any) -> None:
    newer = stage.finished()

    listed = [one.run_id for one in stage.client.prompt_runs.list(limit=1000)]

    assert listed == sorted(listed, reverse=True)
    assert listed.index(newer.run_id) < listed.index(run.run_id)
    assert [one.run_id for one in stage.client.prompt_runs.list(limit=1)] == listed[:1]


def test_an_estimate_starts_nothing(stage: Stage) -> None:
    before = len(stage.client.prompt_runs.list(limit=1000))

    estimate = stage.client.prompt_runs.estimate(
        prompt_id=stage.prompt_id,
        target={"type": "index", "index_id": stage.index_id},
        video_segmentation_type="fixed",
        video_segment_duration=2,
        processing_model="canned",
        enable_image_embedding=False,
    )

    assert estimate.estimated_mt == 0
    assert estimate.sufficient_balance
    assert estimate.breakdown
    assert len(stage.client.prompt_runs.list(limit=1000)) == before


def test_segments_of_two_runs_cut_alike_are_the_same(stage: Stage, run: Any) -> None:
    again = stage.finished()
    longer = stage.finished(video_segment_duration=6)

    def segments(run_id: str) -> list[str]:
        page = stage.client.prompt_runs.list_results(run_id, video_id=stage.video_id)
        return [result.segment_id for result in page]

    assert segments(again.run_id) == segments(run.run_id)
    assert not again.created_new_segments
    assert set(segments(longer.run_id)).isdisjoint(segments(run.run_id))


def test_a_slow_run_is_cancelled_and_says_so(stage: Stage) -> None:
    long_id = stage.upload(footage.shots(20, 20, sound=False).path)
    target = {"type": "videos", "video_ids": [long_id]}
    run = stage.execute(processing_model="canned:slow", video_segment_duration=1, target=target)

    asked = stage.client.prompt_runs.cancel(run.run_id)
    ended = stage.ended(run.run_id)
    again = stage.client.prompt_runs.cancel(run.run_id)

    assert asked.stop_state.requested_at is not None
    assert ended.status == "cancelled"
    assert ended.stop_state.requested_at == asked.stop_state.requested_at
    assert ended.stop_state.observed_at is not None
    assert ended.stop_state.completed_at is not None
    assert ended.cancelled_videos == 1
    assert again == ended
    assert ended.completed_segments < 40
    stage.client.videos.delete(long_id)


def test_cancelling_a_finished_run_changes_nothing(stage: Stage, run: Any) -> None:
    assert stage.client.prompt_runs.cancel(run.run_id) == run


def test_a_silent_clip_needs_no_speech_model(stage: Stage) -> None:
    run = stage.finished(enable_transcription=True)

    assert run.status == "completed"
    assert run.transcription_failures == 0


def test_smart_and_content_aware_cuts_cover_the_clip(stage: Stage) -> None:
    for mode in ("smart", "content_aware"):
        run = stage.finished(video_segmentation_type=mode, video_segment_duration=None)
        page = stage.client.prompt_runs.list_results(run.run_id, video_id=stage.video_id)
        found = list(page.auto_paging_iter())

        assert run.status == "completed", run.error_message
        assert found[0].start_time == 0
        assert found[-1].end_time == pytest.approx(CLIP_SECONDS)
        assert all(a.end_time == b.start_time for a, b in pairwise(found))


def test_playground_media_are_a_target_of_their_own(stage: Stage, stranger: Any) -> None:
    theirs = replace(stage, client=stranger)
    video_id = theirs.upload()
    theirs.upload(index_id=stranger.indexes.create(name="Apart").index_id)

    run = theirs.finished(prompt_id=theirs.prompt().prompt_id, target={"type": "playground"})

    assert run.total_videos == 1
    page = stranger.prompt_runs.list_results(run.run_id, video_id=video_id)
    assert len(page) == 6
    assert all(result.source_index_id is None for result in page)
    assert [video.video_id for video in stranger.videos.list_playground()] == [video_id]


@pytest.mark.models
def test_every_operation_runs_on_a_clip_with_sound(stage: Stage) -> None:
    video_id = stage.upload(footage.shots(3, 3).path)
    target = {"type": "videos", "video_ids": [video_id]}
    try:
        run = stage.finished(target=target, enable_image_embedding=True)
    except ExternalServiceError as missing:
        pytest.skip(missing.message)

    result = stage.client.prompt_runs.list_results(run.run_id, video_id=video_id)[0]
    assert run.status == "completed"
    assert run.transcription_succeeded is True
    assert run.image_embedding_succeeded is True
    assert result.transcription_succeeded is True
    assert result.image_embedding_succeeded is True
    assert result.thumbnail_available
    stage.client.videos.delete(video_id)
