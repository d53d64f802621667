import json
from functools import partial

import pytest

from promptreel.v2 import enums_pb2, prompt_pb2, prompt_run_pb2, run_pb2, video_pb2
from promptreel_server.services.messages.json_structs import to_struct
from tests.footage import shots, still
from tests.service.caller import Caller, refusal

SCHEMA = {"type": "object", "properties": {"boats": {"type": "integer"}}, "required": ["boats"]}


@pytest.fixture
def prompt_id(caller: Caller) -> str:
    request = prompt_pb2.CreatePromptRequest(
        name="Boats",
        prompt_text="Name every boat that can be seen.",
        json_schema=to_struct(SCHEMA),
    )
    return caller.prompts.CreatePrompt(request, metadata=caller.said()).prompt_id


def _execute(caller: Caller, prompt_id: str, *video_ids: str) -> run_pb2.PromptRun:
    order = prompt_run_pb2.ExecutePromptRunRequest(
        prompt_id=prompt_id,
        target=run_pb2.Target(type=enums_pb2.TargetType.Value.videos, video_ids=video_ids),
        video_segmentation_type=enums_pb2.SegmentationMode.Value.fixed,
        video_segment_duration=1,
        enable_transcription=False,
        enable_image_embedding=False,
    )
    return caller.runs.ExecutePromptRun(order, metadata=caller.said())


def _runs(caller: Caller) -> list[run_pb2.PromptRun]:
    request = prompt_run_pb2.ListPromptRunsRequest()
    return list(caller.runs.ListPromptRuns(request, metadata=caller.said()).data)


def _count(caller: Caller, table: str, column: str, value: str) -> int:
    database, sql = caller.live.database, f"SELECT count(*) FROM {table} WHERE {column} = ?"
    reading = database.read(lambda c: c.exec_driver_sql(sql, (value,)).scalar_one())
    return int(caller.live.thread.run(reading))


def _delete(caller: Caller, video_id: str) -> video_pb2.VideoDeletion:
    request = video_pb2.DeleteVideoRequest(video_id=video_id)
    return caller.videos.DeleteVideo(request, metadata=caller.said())


def test_a_deleted_video_leaves_no_row_and_no_byte(caller: Caller, prompt_id: str) -> None:
    before = caller.live.files()
    video_id = caller.upload(shots(1, 1, 1, sound=False, rate="10").path).video_ids[0]
    _execute(caller, prompt_id, video_id)
    caller.until_runs_end()
    segments = caller.segments(video_id)
    caller.videos.GetSegmentThumbnail(
        video_pb2.GetSegmentThumbnailRequest(segment_id=segments[0].segment_id),
        metadata=caller.said(),
    )
    assert (caller.live.data / "thumbnails" / video_id).is_dir()

    _delete(caller, video_id)
    caller.until_video_deleted(video_id)

    assert caller.live.files() == before
    assert not (caller.live.data / "thumbnails" / video_id).exists()
    for table in (
        "media",
        "run_media",
        "run_segments",
        "segments",
        "segmentations",
        "llm_calls",
        "syntheses",
        "retries",
        "signals",
        "embeddings",
    ):
        assert _count(caller, table, "video_id", video_id) == 0, table
    assert _count(caller, "attempts", "segment_id", segments[0].segment_id) == 0
    assert _runs(caller) == []
    get = video_pb2.GetVideoRequest(video_id=video_id)
    assert refusal(lambda: caller.videos.GetVideo(get, metadata=caller.said())).http_status == 404


def test_a_run_that_loses_a_video_is_counted_anew(caller: Caller, prompt_id: str) -> None:
    going = caller.upload(shots(1, 1, sound=False).path).video_ids[0]
    staying = caller.upload(shots(1, 1, 1, sound=False).path).video_ids[0]
    run = _execute(caller, prompt_id, going, staying)
    [before] = caller.until_runs_end()

    _delete(caller, going)
    caller.until_video_deleted(going)

    [after] = _runs(caller)
    assert (before.total_videos, before.total_segments) == (2, 5)
    assert after.run_id == run.run_id
    assert (after.total_videos, after.completed_videos) == (1, 1)
    assert (after.total_segments, after.completed_segments) == (3, 3)
    assert after.total_video_seconds == pytest.approx(3, abs=0.1)
    assert after.status == enums_pb2.RunStatus.Value.completed
    request = prompt_run_pb2.ListResultsRequest(run_id=run.run_id, video_id=staying)
    assert len(caller.runs.ListResults(request, metadata=caller.said()).data) == 3


def test_shared_bytes_go_with_their_last_owner(caller: Caller, other: Caller) -> None:
    before = caller.live.files()
    clip = shots(1.2, 0.88, sound=False).path  # no other test keeps these bytes
    mine, theirs = caller.upload(clip).video_ids[0], other.upload(clip).video_ids[0]

    _delete(caller, mine)
    caller.until_video_deleted(mine)
    between = caller.live.files()
    _delete(other, theirs)
    other.until_video_deleted(theirs)

    assert len(between - before) == 1
    assert caller.live.files() == before


def test_what_is_being_deleted_takes_no_new_work(caller: Caller, prompt_id: str) -> None:
    index_id = caller.index()
    video_id = caller.upload(still().path, index_id=index_id).video_ids[0]
    caller.delete_index(index_id)

    upload = partial(caller.upload, still().path, index_id=index_id)
    assert refusal(upload).http_status in (404, 409)
    refused = refusal(lambda: _execute(caller, prompt_id, video_id))
    assert refused.http_status in (404, 409)
    caller.until_deleted(index_id)
    assert refusal(upload).http_status == 404


def test_an_index_goes_with_all_its_media(caller: Caller, prompt_id: str) -> None:
    before = caller.live.files()
    index_id = caller.index()
    videos = [
        caller.upload(shots(number, sound=False).path, index_id=index_id).video_ids[0]
        for number in (1, 2)
    ]
    _execute(caller, prompt_id, *videos)

    caller.delete_index(index_id)
    caller.until_deleted(index_id)

    assert caller.live.files() == before
    assert _runs(caller) == []
    for video_id in videos:
        assert _count(caller, "media", "video_id", video_id) == 0
        assert _count(caller, "run_segments", "video_id", video_id) == 0


def test_segments_are_listed_as_they_stand_in_a_run_the_latest_or_any(
    caller: Caller, prompt_id: str
) -> None:
    video_id = caller.upload(shots(1, 1, 1, sound=False).path).video_ids[0]
    run = _execute(caller, prompt_id, video_id)
    caller.until_runs_end()

    def listed(**said: object) -> list[str]:
        request = video_pb2.ListVideoSegmentsRequest(video_id=video_id, **said)  # type: ignore[arg-type]
        page = caller.videos.ListVideoSegments(request, metadata=caller.said())
        assert all(segment.from_run_id == run.run_id for segment in page.data)
        assert all(segment.processed for segment in page.data)
        return [segment.segment_id for segment in page.data]

    assert len(listed()) == 3
    assert listed(run_id=run.run_id) == listed(latest_run=True) == listed()
    assert listed(limit=2) == listed()[:2]
    both = video_pb2.ListVideoSegmentsRequest(video_id=video_id, run_id=run.run_id, latest_run=True)
    refused = refusal(lambda: caller.videos.ListVideoSegments(both, metadata=caller.said()))
    assert refused.violations == ("latest_run",)
    none = video_pb2.ListVideoSegmentsRequest(video_id=video_id, run_id="run_none")
    refused = refusal(lambda: caller.videos.ListVideoSegments(none, metadata=caller.said()))
    assert refused.http_status == 404


def test_segments_of_several_media_come_in_the_order_asked(caller: Caller, prompt_id: str) -> None:
    ran = caller.upload(shots(1, 1, sound=False).path).video_ids[0]
    idle = caller.upload(still().path).video_ids[0]
    run = _execute(caller, prompt_id, ran)
    caller.until_runs_end()
    request = video_pb2.BatchGetVideoSegmentsRequest(video_ids=[idle, "vid_none", ran])

    found = caller.videos.BatchGetVideoSegments(request, metadata=caller.said())
    rest = json.loads(caller.rest.BatchGetVideoSegments(request, metadata=caller.said()).data)

    assert [(each.video_id, len(each.segments)) for each in found.data] == [(idle, 0), (ran, 2)]
    assert found.data[1].run_id == run.run_id
    assert rest[0] == {"video_id": idle, "segments": []}
    assert rest[1]["segments"][0]["segment_status"] == "completed"
    assert isinstance(rest[1]["segments"][0]["metadata"]["boats"], int)


def test_a_thumbnail_is_a_picture_and_nobody_elses(
    caller: Caller, other: Caller, prompt_id: str
) -> None:
    video_id = caller.upload(shots(1, 1, sound=False).path).video_ids[0]
    _execute(caller, prompt_id, video_id)
    caller.until_runs_end()
    segment = caller.segments(video_id)[0]
    request = video_pb2.GetSegmentThumbnailRequest(segment_id=segment.segment_id)

    picture = caller.rest.GetSegmentThumbnail(request, metadata=caller.said())

    assert picture.content_type == "image/jpeg"
    assert picture.data.startswith(b"\xff\xd8")
    refused = refusal(lambda: other.videos.GetSegmentThumbnail(request, metadata=other.said()))
    assert refused.http_status == 404
    assert video_id not in json.dumps(refused.envelope)
