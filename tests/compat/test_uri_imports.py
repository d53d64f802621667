"""Imports by `file://` URI: done, failed, mended, cancelled."""

import itertools
import shutil
from pathlib import Path

import pytest
from videovector import ConflictError, NotFoundError, ProcessingError, ValidationError

from tests.compat.conftest import Stage, clip
from tests.served import MEDIA, Served

_NUMBERS = itertools.count()


@pytest.fixture
def place(serving: Served) -> Path:
    """Where a file can be put that the server may import; nothing is there yet."""
    return serving.data / MEDIA / f"clip{next(_NUMBERS)}.mp4"


def test_a_file_below_a_media_root_is_imported(stage: Stage, place: Path) -> None:
    shutil.copy(clip(), place)

    job = stage.client.videos.create(
        title="From disk", video_uri=place.as_uri(), index_id=stage.index_id
    )
    done = stage.client.import_jobs.wait_for_completion(job.job_id, poll_interval=0.05, timeout=30)
    video = stage.client.videos.retrieve(done.video_ids[0])

    assert done.source_kind == "uri"
    assert done.target_index_id == stage.index_id
    assert video.title == "From disk"
    run = stage.finished(target={"type": "videos", "video_ids": [video.video_id]})
    assert run.status == "completed"
    stage.client.videos.delete(video.video_id)


def test_a_failed_import_is_retried_once_the_file_is_good(stage: Stage, place: Path) -> None:
    jobs = stage.client.import_jobs
    place.write_text("no pictures here")
    job = stage.client.videos.create(
        title="Mended", video_uri=place.as_uri(), index_id=stage.index_id
    )
    with pytest.raises(ProcessingError):
        jobs.wait_for_completion(job.job_id, poll_interval=0.05, timeout=30)
    failed = jobs.retrieve(job.job_id)

    shutil.copy(clip(), place)
    jobs.retry(job.job_id)
    done = jobs.wait_for_completion(job.job_id, poll_interval=0.05, timeout=30)

    assert failed.error_message
    assert failed.video_ids == []
    assert done.error_message is None
    assert [output.video_id for output in jobs.iter_outputs(job.job_id)] == done.video_ids
    stage.client.videos.delete(done.video_ids[0])


def test_a_cancelled_import_leaves_no_media_item(stage: Stage, place: Path) -> None:
    jobs = stage.client.import_jobs
    shutil.copy(clip(), place)
    job = stage.client.videos.create(
        title="Cancelled", video_uri=place.as_uri(), index_id=stage.index_id
    )

    cancelled = jobs.cancel(job.job_id)

    titles = {video.title for video in stage.client.indexes.list_videos(stage.index_id)}
    if cancelled.status == "cancelled":
        assert cancelled.video_ids == []
        assert "Cancelled" not in titles
    else:  # it was done before the wish came
        assert cancelled.status == "completed"
        with pytest.raises(ConflictError):
            jobs.retry(job.job_id)
        stage.client.videos.delete(cancelled.video_ids[0])


def test_what_is_outside_the_roots_or_hidden_in_them_is_refused(
    stage: Stage, place: Path, tmp_path: Path
) -> None:
    shutil.copy(clip(), tmp_path / "outside.mp4")
    place.symlink_to(tmp_path / "outside.mp4")
    hidden = place.parent / ".." / "promptreel.db"

    for uri in (
        (tmp_path / "outside.mp4").as_uri(),
        f"file://{hidden}",
        "file:///etc/passwd",
        "file://otherhost/etc/passwd",
        "https://example.org/a.mp4",
        "gs://bucket/a.mp4",
        "nothing",
    ):
        with pytest.raises(ValidationError) as refused:
            stage.client.videos.create(title="x", video_uri=uri, index_id=stage.index_id)
        assert refused.value.status_code == 400
    with pytest.raises((ValidationError, ProcessingError)):
        _imported(stage, place)


def _imported(stage: Stage, place: Path) -> None:
    uri = place.as_uri()
    job = stage.client.videos.create(title="x", video_uri=uri, index_id=stage.index_id)
    stage.client.import_jobs.wait_for_completion(job.job_id, poll_interval=0.05, timeout=30)


def test_an_import_into_an_unknown_index_is_not_found(stage: Stage, place: Path) -> None:
    shutil.copy(clip(), place)

    with pytest.raises(NotFoundError, match="idx_nobody"):
        stage.client.videos.create(title="x", video_uri=place.as_uri(), index_id="idx_nobody")
