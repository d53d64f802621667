import time
from typing import Any

import pytest
from videovector import NotFoundError, ValidationError

from tests.compat.conftest import Opener, Stage
from tests.compat.vendor import Calls, bad_fields


def test_an_index_is_made_and_found_again(stage: Stage) -> None:
    indexes = stage.client.indexes

    made = indexes.create(name="Harbour")

    assert made.name == "Harbour"
    assert made.user_id == stage.owner
    assert not made.is_default
    assert indexes.retrieve(made.index_id) == made
    assert made in indexes.list()
    assert made in indexes.list(include_defaults=False)


@pytest.mark.parametrize("name", ["", "x" * 256])
def test_a_name_out_of_bounds_is_refused(stage: Stage, name: str) -> None:
    with pytest.raises(ValidationError) as refused:
        stage.client.indexes.create(name=name)

    assert refused.value.status_code == 400
    assert bad_fields(refused.value) == ["name"]


def test_media_of_an_index_come_in_pages(stage: Stage) -> None:
    index_id = stage.client.indexes.create(name="Pages").index_id
    ids = [stage.upload(title=f"Clip {n}", index_id=index_id) for n in range(3)]

    page = stage.client.indexes.list_videos(index_id, limit=2)
    found = [video.video_id for video in page.auto_paging_iter()]

    assert len(page) == 2
    assert found == ids[::-1]


def test_runs_of_an_index_come_in_pages(stage: Stage) -> None:
    index_id = stage.client.indexes.create(name="Runs").index_id
    stage.upload(index_id=index_id)
    target = {"type": "index", "index_id": index_id}
    made = [stage.finished(target=target).run_id for _ in range(3)]

    page = stage.client.indexes.list_prompt_runs(index_id, limit=2)

    assert [run.run_id for run in page.auto_paging_iter()] == made[::-1]


def test_an_index_is_deleted_with_all_that_is_in_it(stage: Stage) -> None:
    indexes = stage.client.indexes
    index_id = indexes.create(name="Going").index_id
    video_id = stage.upload(index_id=index_id)

    begun = indexes.delete(index_id)
    again = indexes.delete(index_id)

    assert begun.index_id == index_id
    assert begun.status in {"draining", "deleting", "deleted"}
    assert again.deletion_id == begun.deletion_id
    _until_deleted(lambda: indexes.get_deletion(index_id))
    calls: Calls = [
        lambda: indexes.retrieve(index_id),
        lambda: stage.client.videos.retrieve(video_id),
    ]
    for gone in calls:
        with pytest.raises(NotFoundError):
            gone()


def test_an_index_that_is_being_deleted_takes_no_run(stage: Stage) -> None:
    index_id = stage.client.indexes.create(name="Closing").index_id
    stage.upload(index_id=index_id)
    run = stage.execute(
        target={"type": "index", "index_id": index_id}, processing_model="canned:slow"
    )

    stage.client.indexes.delete(index_id)
    with pytest.raises(Exception, match=index_id) as refused:
        stage.execute(target={"type": "index", "index_id": index_id})

    assert getattr(refused.value, "status_code", None) in {404, 409}
    _until_deleted(lambda: stage.client.indexes.get_deletion(index_id))
    with pytest.raises(NotFoundError):
        stage.client.prompt_runs.retrieve(run.run_id)


def test_somebody_elses_index_is_not_found(stage: Stage, stranger: Any) -> None:
    indexes = stranger.indexes
    calls: Calls = [
        lambda: indexes.retrieve(stage.index_id),
        lambda: indexes.delete(stage.index_id),
        lambda: indexes.get_deletion(stage.index_id),
        lambda: indexes.list_videos(stage.index_id),
        lambda: indexes.list_prompt_runs(stage.index_id),
    ]
    for call in calls:
        with pytest.raises(NotFoundError) as refused:
            call()
        assert stage.index_id in refused.value.message

    assert stage.index_id not in {index.index_id for index in indexes.list()}


def test_another_key_of_the_owner_sees_the_same(stage: Stage, opened: Opener) -> None:
    assert opened(owner=stage.owner).indexes.retrieve(stage.index_id).name == "Archive"


def _until_deleted(look: Any) -> None:
    until = time.monotonic() + 30
    while look().status != "deleted":
        assert time.monotonic() < until, "the deletion did not end"
        time.sleep(0.05)
