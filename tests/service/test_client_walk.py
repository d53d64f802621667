"""The client against the whole server: from an index to results, blocking and asyncio."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from promptreel_client import AsyncClient, Client, PromptRun, RunStatus, SegmentResult, Target
from promptreel_client.model import Video
from tests import footage
from tests.service.caller import Caller, until

SCHEMA = {
    "type": "object",
    "properties": {"summary": {"type": "string"}, "count": {"type": "integer"}},
    "required": ["summary", "count"],
}
VIDEO_LEVEL = {
    "instructions_text": "Tell the story of the whole medium.",
    "json_schema": {"type": "object", "properties": {"story": {"type": "string"}}},
}
SETTINGS = {
    "video_segmentation_type": "fixed",
    "video_segment_duration": 2,
    "processing_model": "canned",
    "enable_image_embedding": False,
}


@pytest.fixture
def client(caller: Caller) -> Iterator[Client]:
    with Client(caller.live.address, api_key=caller.key) as client:
        yield client


@pytest.fixture
async def async_client(caller: Caller) -> AsyncIterator[AsyncClient]:
    async with AsyncClient(caller.live.address, api_key=caller.key) as client:
        yield client


@pytest.fixture
def clip() -> Path:
    return footage.shots(4, 4, 4, sound=False).path


def uploaded(client: Client, clip: Path, index_id: str | None = None) -> Video:
    job = client.videos.upload(clip, title="Harbour", index_id=index_id)
    job = client.import_jobs.wait(job.job_id, timeout=30)
    assert job.status == "completed"
    return client.videos.retrieve(job.video_ids[0])


def executed(client: Client, video_id: str, model: str = "canned") -> PromptRun:
    prompt = client.prompts.create(
        name="Scenes",
        prompt_text="Say what is to be seen.",
        json_schema=SCHEMA,
        video_level=VIDEO_LEVEL,
    )
    target = Target(type="videos", video_ids=(video_id,))  # type: ignore[arg-type]
    settings = {**SETTINGS, "processing_model": model}
    return client.prompt_runs.execute(prompt_id=prompt.prompt_id, target=target, **settings)  # type: ignore[arg-type]


def test_a_run_is_seen_from_upload_to_results(client: Client, clip: Path) -> None:
    index = client.indexes.create("Archive")
    told: list[int] = []
    job = client.videos.upload(
        clip, index_id=index.index_id, on_progress=lambda sent, total: told.append(sent)
    )
    video_id = client.import_jobs.wait(job.job_id, timeout=30).video_ids[0]
    assert told[-1] == clip.stat().st_size

    run = executed(client, video_id)
    assert run.status == RunStatus.PENDING
    progress: list[int] = []
    run = client.prompt_runs.wait(
        run.run_id, on_progress=lambda run: progress.append(run.completed_segments), timeout=60
    )

    assert run.status == RunStatus.COMPLETED
    assert progress[-1] == run.completed_segments == run.total_segments == 6
    results = list(client.prompt_runs.list_results(run.run_id, video_id=video_id, limit=4))
    assert [(result.start_time, result.end_time) for result in results] == [
        (start, start + 2) for start in range(0, 12, 2)
    ]
    assert all(type(result.metadata["count"]) is int for result in results)
    story = client.prompt_runs.get_video_result(run.run_id, video_id)
    assert story.status == "completed"
    assert set(story.metadata) == {"story"}


def test_a_watch_tells_of_every_segment_and_ends(client: Client, clip: Path) -> None:
    video = uploaded(client, clip)
    run = executed(client, video.video_id)
    updates = list(client.prompt_runs.watch(run.run_id))

    assert updates[0].snapshot is not None
    assert updates[-1].end is not None
    assert updates[-1].end.status == "completed"
    kinds = [update.event.event_type for update in updates if update.event is not None]
    assert kinds.count("segment.completed") == 6
    assert kinds[-1] == "prompt_run.completed"
    sequences = [update.sequence for update in updates]
    assert sequences == sorted(sequences)


def test_results_are_streamed_as_they_are_written(client: Client, clip: Path) -> None:
    video = uploaded(client, clip)
    run = executed(client, video.video_id)
    streamed = list(client.prompt_runs.stream_results(run.run_id))
    listed = list(client.prompt_runs.list_results(run.run_id, video_id=video.video_id))
    by_start: list[SegmentResult] = sorted(streamed, key=lambda result: result.start_time)
    assert by_start == listed


def test_everything_else_about_a_run_can_be_asked(client: Client, clip: Path) -> None:
    video = uploaded(client, clip)
    run = client.prompt_runs.wait(executed(client, video.video_id).run_id, timeout=60)
    run_id, video_id = run.run_id, video.video_id

    calls = list(client.prompt_runs.get_llm_calls(run_id, limit=2))
    assert {call.purpose for call in calls} == {"metadata_extraction", "video_synthesis"}
    assert len(calls) == 7
    assert [found.run_id for found in client.prompt_runs.list(video_id=video_id)] == [run_id]
    assert [found.run_id for found in client.videos.list_prompt_runs(video_id)] == [run_id]
    segments = list(client.videos.list_segments(video_id, run_id=run_id))
    assert len(segments) == 6
    (of_batch,) = client.videos.batch_segments([video_id])
    assert of_batch.segments == tuple(segments)
    (status,) = client.videos.batch_status([video_id])
    assert status.processing_status[0].successful_segments == 6
    (found,) = client.videos.batch_retrieve([video_id])
    assert found.title == "Harbour"
    assert client.videos.thumbnail(segments[0].segment_id).startswith(b"\xff\xd8")
    assert client.videos.gif(video_id).startswith(b"GIF8")
    assert client.prompt_runs.get_failed_segments(run_id).failed_segments == 0
    usage = client.prompts.usage(run.prompt_id)
    assert usage.is_in_use
    assert usage.schema_properties_count == 2


def test_an_estimate_starts_nothing(client: Client, clip: Path) -> None:
    video = uploaded(client, clip)
    prompt = client.prompts.list()[0]
    estimate = client.prompt_runs.estimate(
        prompt_id=prompt.prompt_id,
        target={"type": "videos", "video_ids": [video.video_id]},
        **SETTINGS,  # type: ignore[arg-type]
    )
    assert estimate.sufficient_balance
    assert estimate.breakdown
    assert list(client.prompt_runs.list()) == []


def test_what_failed_is_mended_by_a_retry(client: Client, clip: Path) -> None:
    video = uploaded(client, clip)
    run = executed(client, video.video_id, "canned:flaky")
    run = client.prompt_runs.wait(run.run_id, timeout=60)
    assert run.status == "completed_with_failures"

    manifest = client.prompt_runs.get_failed_segments(run.run_id)
    failed = manifest.videos[0].segments[0]
    assert failed.failure_code == "schema_invalid"
    retry = client.prompt_runs.retry_segment(run.run_id, video.video_id, failed.segment_id)
    rest = client.prompt_runs.retry_failed(run.run_id, failure_codes=["schema_invalid"])
    assert rest.retry_count == manifest.failed_segments - 1
    assert [skipped.segment_id for skipped in rest.skipped] in ([], [failed.segment_id])
    ids = (run.run_id, video.video_id, failed.segment_id)
    statuses = ("completed", "failed")
    asked = client.prompt_runs.get_segment_retry_status
    until(lambda: asked(*ids, retry.retry_id).status in statuses or None)
    assert asked(*ids, retry.retry_id).status == "completed"
    until(lambda: client.prompt_runs.retrieve(run.run_id).status == "completed" or None)

    assert [one.retry_id for one in client.prompt_runs.list_segment_retries(*ids)] == [
        retry.retry_id
    ]


def test_a_run_can_be_stopped(client: Client, clip: Path) -> None:
    video = uploaded(client, clip)
    run = executed(client, video.video_id, "canned:slow")
    stopped = client.prompt_runs.cancel(run.run_id)
    assert stopped.stop_state.requested_at is not None
    assert client.prompt_runs.wait(run.run_id, timeout=60).status in ("cancelled", "completed")


def test_events_of_a_run_end_with_it(client: Client, clip: Path) -> None:
    video = uploaded(client, clip)
    run = executed(client, video.video_id)
    updates = list(client.events.watch(run_id=run.run_id, event_types=["segment.completed"]))
    assert len(updates) == 6


def test_keys_and_prompts_and_deletions_are_kept(client: Client) -> None:
    key = client.api_keys.create("Reader", scopes=["read"], expires_in_days=2)
    assert key.key is not None
    assert client.api_keys.retrieve(key.key_id).key is None
    assert not client.api_keys.revoke(key.key_id).is_active
    prompt = client.prompts.create(name="Mine", prompt_text="Say what is said.", json_schema=SCHEMA)
    assert client.prompts.update(prompt.prompt_id, name="Renamed").name == "Renamed"
    assert client.prompts.test_schema(json_schema=SCHEMA, sample_data={"summary": 1}).error
    assert prompt.prompt_id in client.prompts.delete(prompt.prompt_id)
    index = client.indexes.create("Short-lived")
    deletion = client.indexes.delete(index.index_id)
    assert client.indexes.get_deletion(index.index_id).deletion_id == deletion.deletion_id


async def test_the_asyncio_client_goes_the_same_way(async_client: AsyncClient, clip: Path) -> None:
    job = await async_client.videos.upload(clip)
    job = await async_client.import_jobs.wait(job.job_id, timeout=30)
    prompt = await async_client.prompts.create(
        name="Scenes", prompt_text="Say what is to be seen.", json_schema=SCHEMA
    )
    run = await async_client.prompt_runs.execute(
        prompt_id=prompt.prompt_id,
        target={"type": "playground"},
        **SETTINGS,  # type: ignore[arg-type]
    )
    ends = [update.end async for update in async_client.prompt_runs.watch(run.run_id)]
    assert ends[-1] is not None
    run = await async_client.prompt_runs.wait(run.run_id, timeout=60)
    assert run.status == "completed"
    pager = async_client.prompt_runs.list_results(run.run_id, video_id=job.video_ids[0], limit=2)
    assert len([result async for result in pager]) == 6
