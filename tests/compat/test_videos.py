import time
from pathlib import Path
from typing import Any

import pytest
from videovector import (
    BatchVideoSegmentsTarget,
    ConflictError,
    NotFoundError,
    ProcessingError,
)

from tests import footage
from tests.compat.conftest import CLIP_SECONDS, Stage, clip
from tests.compat.vendor import Calls


def test_an_upload_by_path_makes_a_media_item(stage: Stage) -> None:
    job = stage.client.videos.upload(file=clip(), title="By path", index_id=stage.index_id)
    done = stage.client.import_jobs.wait_for_completion(job.job_id, poll_interval=0.05)
    video = stage.client.videos.retrieve(done.video_ids[0])

    assert done.status == "completed"
    assert done.source_kind == "upload"
    assert done.target_index_id == stage.index_id
    assert done.progress.imported == 1
    assert done.execution.status == "not_requested"
    assert video.title == "By path"
    assert video.media_type == "video"
    assert video.status == "not_processed"
    stage.client.videos.delete(video.video_id)


def test_an_upload_by_file_object_goes_to_the_playground(stage: Stage) -> None:
    with clip().open("rb") as file:
        video_id = stage.upload(file)

    listed = stage.client.videos.list_playground()

    assert video_id in {video.video_id for video in listed.auto_paging_iter()}
    in_index = stage.client.indexes.list_videos(stage.index_id).auto_paging_iter()
    assert video_id not in {video.video_id for video in in_index}
    stage.client.videos.delete(video_id)


@pytest.mark.parametrize("kind", ["audio", "image"])
def test_sound_and_pictures_are_media_items_too(stage: Stage, kind: str) -> None:
    file = footage.tone(6).path if kind == "audio" else footage.still().path
    video_id = stage.upload(file)

    run = stage.finished(
        target={"type": "videos", "video_ids": [video_id]},
        audio_segmentation_type="fixed",
        audio_segment_duration=3,
        enable_transcription=False,
    )

    assert stage.client.videos.retrieve(video_id).media_type == kind
    assert run.status == "completed"
    assert getattr(run, f"total_{kind}s") == getattr(run, f"completed_{kind}s") == 1
    assert run.total_videos == 0
    assert run.total_segments == (2 if kind == "audio" else 1)
    stage.client.videos.delete(video_id)


def test_what_is_no_media_fails_with_a_sentence(stage: Stage, tmp_path: Path) -> None:
    text = tmp_path / "notes.mp4"
    text.write_text("These are words, not pictures.\n" * 50)

    job = stage.client.videos.upload(file=text, title="Notes", index_id=stage.index_id)
    with pytest.raises(ProcessingError):
        stage.client.import_jobs.wait_for_completion(job.job_id, poll_interval=0.05)
    failed = stage.client.import_jobs.retrieve(job.job_id)

    assert failed.status == "failed"
    assert failed.error_message
    assert failed.video_ids == []
    assert failed.progress.failed == 1
    files = list(stage.client.import_jobs.iter_files(job.job_id, failed_only=True))
    assert [file.source_ordinal for file in files] == [0]


def test_segments_are_listed_by_run(stage: Stage) -> None:
    run = stage.finished()
    videos = stage.client.videos

    page = videos.list_segments(stage.video_id, run_id=run.run_id, limit=4)
    found = list(page.auto_paging_iter())
    latest = videos.list_segments(stage.video_id, latest_run=True)

    assert [segment.start_time for segment in found] == [0, 2, 4, 6, 8, 10]
    assert all(segment.processed and not segment.processing_failed for segment in found)
    assert all(segment.segment_status == "completed" for segment in found)
    assert found[0].metadata["summary"]
    assert {segment.from_run_id for segment in found} == {run.run_id}
    assert [one.segment_id for one in latest] == [one.segment_id for one in found]


def test_runs_of_a_media_item_are_listed(stage: Stage) -> None:
    run = stage.finished()

    listed = stage.client.videos.list_prompt_runs(stage.video_id, limit=1)

    assert [one.run_id for one in listed] == [run.run_id]


def test_media_are_answered_by_the_batch(stage: Stage) -> None:
    run = stage.finished()
    videos = stage.client.videos

    whole = videos.batch_retrieve([stage.video_id])
    status = videos.batch_status([stage.video_id])
    segments = videos.batch_segments([stage.video_id])
    of_run = videos.batch_segments_for_targets(
        [BatchVideoSegmentsTarget(video_id=stage.video_id, run_id=run.run_id)]
    )

    assert [video.video_id for video in whole] == [stage.video_id]
    assert status[0].status == "processed"
    newest = status[0].processing_status[0]
    assert (newest.run_id, newest.status) == (run.run_id, "completed")
    assert (newest.total_segments, newest.successful_segments) == (6, 6)
    assert newest.video_level is not None
    assert newest.video_level.result_available
    assert segments[0].video_id == stage.video_id
    assert segments[0].segments
    assert [one.start_time for one in of_run[0].segments] == [0, 2, 4, 6, 8, 10]
    assert of_run[0].run_id == run.run_id


def test_a_media_item_is_deleted_and_its_results_with_it(stage: Stage) -> None:
    videos = stage.client.videos
    video_id = stage.upload()
    run = stage.finished(target={"type": "videos", "video_ids": [video_id]})

    begun = videos.delete(video_id)
    until = time.monotonic() + 30
    while videos.get_deletion(video_id).status != "deleted":
        assert time.monotonic() < until, "the deletion did not end"
        time.sleep(0.05)

    assert begun.video_id == video_id
    with pytest.raises(NotFoundError):
        videos.retrieve(video_id)
    with pytest.raises(NotFoundError):
        stage.client.prompt_runs.list_results(run.run_id, video_id=video_id)
    with pytest.raises(NotFoundError):  # it was all that the run covered
        stage.client.prompt_runs.retrieve(run.run_id)


def test_import_jobs_are_listed_and_their_outputs_and_files_told(stage: Stage) -> None:
    jobs = stage.client.import_jobs
    job = stage.client.videos.upload(file=clip(), title="Told")
    done = jobs.wait_for_completion(job.job_id, poll_interval=0.05)

    outputs = list(jobs.iter_outputs(job.job_id))
    page = jobs.outputs(job.job_id, limit=1)
    files = list(jobs.iter_files(job.job_id))

    assert job.job_id in {one.job_id for one in jobs.list()}
    assert job.job_id in {one.job_id for one in jobs.list(status="completed")}
    assert job.job_id not in {one.job_id for one in jobs.list(status="failed")}
    assert [output.video_id for output in outputs] == done.video_ids
    assert outputs[0].title == "Told"
    assert (outputs[0].part_index, outputs[0].part_count) == (0, 1)
    assert outputs[0].source_end_seconds == pytest.approx(CLIP_SECONDS)
    assert (page.total, page.next_cursor) == (1, None)
    assert [file.source_ordinal for file in files] == [0]
    assert list(jobs.iter_files(job.job_id, failed_only=True)) == []
    assert jobs.files(job.job_id).items == files
    stage.client.videos.delete(done.video_ids[0])


def test_a_finished_import_is_neither_cancelled_nor_retried(stage: Stage) -> None:
    jobs = stage.client.import_jobs
    job = stage.client.videos.upload(file=clip(), title="Done")
    done = jobs.wait_for_completion(job.job_id, poll_interval=0.05)

    assert jobs.cancel(job.job_id) == done
    with pytest.raises(ConflictError):
        jobs.retry(job.job_id)
    assert stage.client.videos.retrieve(done.video_ids[0]).title == "Done"
    stage.client.videos.delete(done.video_ids[0])


def test_somebody_elses_media_are_not_found(stage: Stage, stranger: Any) -> None:
    videos = stranger.videos
    calls: Calls = [
        lambda: videos.retrieve(stage.video_id),
        lambda: videos.delete(stage.video_id),
        lambda: videos.get_deletion(stage.video_id),
        lambda: videos.list_segments(stage.video_id),
        lambda: videos.list_prompt_runs(stage.video_id),
        lambda: videos.upload(file=clip(), title="x", index_id=stage.index_id),
    ]
    for call in calls:
        with pytest.raises(NotFoundError):
            call()

    assert list(videos.list_playground()) == []
    for batch in (videos.batch_retrieve, videos.batch_status):
        try:
            found = batch([stage.video_id])
        except NotFoundError:
            found = []
        assert found == []
