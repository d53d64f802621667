import json
from collections.abc import Iterator
from functools import partial

import pytest
from google.api.httpbody_pb2 import HttpBody

from promptreel.v2 import (
    enums_pb2,
    import_job_pb2,
    index_pb2,
    video_pb2,
)
from tests.footage import shots, still, tone
from tests.service.caller import Caller, Refusal, refusal, upload_parts
from tests.service.conftest import UPLOAD_MOST_BYTES

STATUS = enums_pb2.ImportStatus.Value


def _playground(caller: Caller) -> list[video_pb2.Video]:
    request = video_pb2.ListPlaygroundVideosRequest()
    return list(caller.videos.ListPlaygroundVideos(request, metadata=caller.said()).data)


def _video(caller: Caller, video_id: str) -> video_pb2.Video:
    return caller.videos.GetVideo(
        video_pb2.GetVideoRequest(video_id=video_id), metadata=caller.said()
    )


def test_an_uploaded_video_is_probed_and_kept(caller: Caller) -> None:
    clip = shots(1, 1)
    index_id = caller.index()

    job = caller.upload(clip.path, title="Häfen", index_id=index_id, file_name="C:\\x\\a.mp4")

    assert job.status == STATUS.completed
    assert job.progress.imported == 1
    assert job.progress.bytes_transferred == clip.path.stat().st_size
    [output] = job.outputs.items
    assert output.file_name == "a.mp4"
    assert output.source_end_seconds == pytest.approx(2, abs=0.1)
    [video_id] = job.video_ids
    video = _video(caller, video_id)
    assert video.title == "Häfen"
    assert video.media_type == enums_pb2.MediaType.Value.video
    assert video.duration_seconds == pytest.approx(2, abs=0.1)
    assert video.status == enums_pb2.MediaStatus.Value.not_processed
    assert video.video_uri == f"promptreel://media/{video_id}"
    request = index_pb2.ListIndexVideosRequest(index_id=index_id)
    assert list(caller.indexes.ListIndexVideos(request, metadata=caller.said()).data) == [video]
    assert _playground(caller) == []


def test_what_it_is_decides_and_not_its_name(caller: Caller) -> None:
    sound = caller.upload(tone(1).path, file_name="picture.png")
    picture = caller.upload(still().path, file_name="sound.mp3")

    kinds = [_video(caller, job.video_ids[0]).media_type for job in (sound, picture)]

    assert kinds == [enums_pb2.MediaType.Value.audio, enums_pb2.MediaType.Value.image]
    assert not _video(caller, picture.video_ids[0]).HasField("duration_seconds")


def test_the_same_bytes_are_stored_once(caller: Caller, other: Caller) -> None:
    clip = shots(1, 2, sound=False).path
    first = caller.upload(clip)
    before = caller.live.files()

    second, theirs = caller.upload(clip), other.upload(clip)

    assert caller.live.files() == before
    assert len({*first.video_ids, *second.video_ids, *theirs.video_ids}) == 3


def _refused_bytes() -> dict[str, bytes]:
    whole = shots(1, 1, 1).path.read_bytes()
    return {
        "truncated": whole[: len(whole) // 3],
        "text": b"This is only a text, whatever it is called.\n" * 50,
        "playlist of a file": b"#EXTM3U\n#EXTINF:1,\nfile:///etc/passwd\n#EXT-X-ENDLIST\n",
        "playlist of an address": b"#EXTM3U\n#EXTINF:1,\nhttp://127.0.0.1:9/x.ts\n#EXT-X-ENDLIST\n",
    }


@pytest.mark.parametrize(
    "kind", ["truncated", "text", "playlist of a file", "playlist of an address"]
)
def test_what_can_not_be_decoded_is_refused_without_trace(caller: Caller, kind: str) -> None:
    before = caller.live.files()

    job = caller.upload(_refused_bytes()[kind])

    assert job.status == STATUS.failed
    assert len(job.error_message) > 20
    assert list(job.video_ids) == []
    assert job.progress.failed == 1
    assert len(job.failed_files) == 1
    assert _playground(caller) == []
    assert caller.live.files() == before
    found = caller.jobs.GetImportJob(
        import_job_pb2.GetImportJobRequest(job_id=job.job_id), metadata=caller.said()
    )
    assert found == job


def test_an_empty_upload_is_refused(caller: Caller) -> None:
    before = caller.live.files()

    refused = refusal(lambda: caller.upload(b""))

    assert refused.violations == ("file",)
    assert caller.live.files() == before


def test_an_upload_over_the_limit_is_refused_without_trace(caller: Caller) -> None:
    before = caller.live.files()

    refused = refusal(lambda: caller.upload(bytes(UPLOAD_MOST_BYTES + 1)))

    assert refused.http_status == 413
    assert refused.reason == "too_large"
    assert caller.live.files() == before


@pytest.mark.parametrize(("title", "status"), [("", 400), ("x" * 256, 400), ("x" * 255, 200)])
def test_a_title_has_a_length(caller: Caller, title: str, status: int) -> None:
    if status == 200:
        assert caller.upload(still().path, title=title).status == STATUS.completed
    else:
        assert refusal(lambda: caller.upload(b"x", title=title)).violations == ("title",)


def test_an_unknown_index_is_named(caller: Caller, other: Caller) -> None:
    theirs = other.index()

    for index_id in ("idx_none", theirs):
        refused = refusal(partial(caller.upload, still().path, index_id=index_id))
        assert refused.http_status == 404
        assert index_id in refused.message


def test_chunks_without_a_header_and_a_second_header_are_refused(caller: Caller) -> None:
    header = video_pb2.UploadVideoRequest(header=video_pb2.UploadHeader(title="x"))
    chunk = video_pb2.UploadVideoRequest(chunk=b"x")

    for requests in ([chunk], [], [header, chunk, header]):
        call = partial(caller.videos.UploadVideo, iter(requests), metadata=caller.said())
        refused = refusal(call)
        assert refused.violations == ("header",)


def test_an_upload_with_a_key_happens_once(caller: Caller) -> None:
    clip = still().path
    first = caller.upload(clip, idempotency_key="up-1")
    again = caller.upload(clip, idempotency_key="up-1")
    other_bytes = refusal(lambda: caller.upload(tone(1).path, idempotency_key="up-1"))
    other_title = refusal(lambda: caller.upload(clip, title="New", idempotency_key="up-1"))

    assert again == first
    assert other_bytes.http_status == other_title.http_status == 422
    assert len(_playground(caller)) == 1


def test_an_upload_with_a_key_is_answered_again_when_its_index_has_gone(caller: Caller) -> None:
    index_id = caller.index()
    first = caller.upload(still().path, index_id=index_id, idempotency_key="up-1")
    request = index_pb2.DeleteIndexRequest(index_id=index_id)
    caller.indexes.DeleteIndex(request, metadata=caller.said())

    again = caller.upload(still().path, index_id=index_id, idempotency_key="up-1")

    assert again == first


def test_a_refused_upload_lets_go_of_its_key(caller: Caller) -> None:
    refusal(lambda: caller.upload(b"", idempotency_key="up-1"))

    assert caller.upload(still().path, idempotency_key="up-1").status == STATUS.completed


def test_a_key_whose_upload_is_under_way_is_told_so(caller: Caller) -> None:
    header = video_pb2.UploadHeader(title="Clip")
    refused: list[Refusal] = []

    def slowly() -> Iterator[video_pb2.UploadVideoRequest]:
        yield from upload_parts(header, b"begun")
        caller.wait_for_key("up-1")
        refused.append(refusal(lambda: caller.upload(still().path, idempotency_key="up-1")))

    caller.videos.UploadVideo(slowly(), metadata=caller.said(idempotency_key="up-1"))

    [second] = refused
    assert second.http_status == 409
    assert second.reason == "idempotency_in_progress"
    assert second.trailers["retry-after"] == "1"


def _form(title: str | None, content: bytes, *, file_first: bool = False) -> list[HttpBody]:
    edge = b"--edge\r\n"
    file = (
        edge
        + b'Content-Disposition: form-data; name="file"; filename="a.mp4"\r\n'
        + b"Content-Type: video/mp4\r\n\r\n"
        + content
        + b"\r\n"
    )
    said = b""
    if title is not None:
        head = b'Content-Disposition: form-data; name="title"\r\n\r\n'
        said = edge + head + title.encode() + b"\r\n"
    body = (file + said if file_first else said + file) + b"--edge--\r\n"
    kind = "multipart/form-data; boundary=edge"
    return [
        HttpBody(content_type=kind, data=body[start : start + 50_000])
        for start in range(0, len(body), 50_000)
    ]


def _only_a_title() -> bytes:
    head = b'Content-Disposition: form-data; name="title"'
    return b"--edge\r\n" + head + b"\r\n\r\nx\r\n--edge--\r\n"


@pytest.mark.parametrize("file_first", [True, False])
def test_a_form_is_an_upload(caller: Caller, file_first: bool) -> None:
    clip = shots(1, 2, 1).path
    form = _form("Häfen", clip.read_bytes(), file_first=file_first)

    body = caller.rest.UploadVideoForm(iter(form), metadata=caller.said())

    job = json.loads(body.data)
    assert job["status"] == "completed"
    assert job["source_kind"] == "upload"
    assert job["progress"]["bytes_transferred"] == clip.stat().st_size
    [video] = _playground(caller)
    assert [video.video_id] == job["video_ids"]
    assert video.title == "Häfen"


@pytest.mark.parametrize("size", [1, 7, 1000])
def test_a_form_may_come_in_pieces_of_any_size(caller: Caller, size: int) -> None:
    whole = b"".join(body.data for body in _form("Clip", still(size=(64, 36)).path.read_bytes()))
    kind = "multipart/form-data; boundary=edge"
    pieces = [
        HttpBody(content_type=kind if start == 0 else "", data=whole[start : start + size])
        for start in range(0, len(whole), size)
    ]

    body = caller.rest.UploadVideoForm(iter(pieces), metadata=caller.said())

    assert json.loads(body.data)["status"] == "completed"


def test_a_form_that_is_none_is_refused_without_trace(caller: Caller) -> None:
    before = caller.live.files()
    clip = still().path.read_bytes()
    good = _form("Clip", clip)
    cases = {
        "title": _form(None, clip),
        "body": [HttpBody(content_type=good[0].content_type, data=good[0].data[:-10])],
        "Content-Type": [HttpBody(content_type="application/json", data=b"{}")],
        "file": [HttpBody(content_type=good[0].content_type, data=_only_a_title())],
    }
    for field, bodies in cases.items():
        call = partial(caller.rest.UploadVideoForm, iter(bodies), metadata=caller.said())
        assert refusal(call).violations == (field,), field
    assert caller.live.files() == before
    assert _playground(caller) == []


def _import(caller: Caller, uri: str, index_id: str, **said: str) -> import_job_pb2.ImportJob:
    request = video_pb2.CreateVideoRequest(title="Clip", video_uri=uri, index_id=index_id)
    return caller.videos.CreateVideo(request, metadata=caller.said(**said))


def test_a_file_below_a_media_root_is_imported(caller: Caller) -> None:
    index_id = caller.index()
    path = caller.live.root / f"{caller.owner}.mp4"
    path.write_bytes(shots(1, 1).path.read_bytes())

    job = _import(caller, path.as_uri(), index_id)
    done = caller.until_imported(job.job_id)

    assert job.status == STATUS.pending
    assert done.status == STATUS.completed
    assert done.source_kind == enums_pb2.SourceKind.Value.uri
    assert _video(caller, done.video_ids[0]).video_uri == path.as_uri()
    assert path.exists()


def test_an_import_with_a_key_is_answered_again_when_its_file_has_gone(caller: Caller) -> None:
    index_id = caller.index()
    path = caller.live.root / f"{caller.owner}.png"
    path.write_bytes(still().path.read_bytes())
    first = _import(caller, path.as_uri(), index_id, idempotency_key="in-1")
    caller.until_imported(first.job_id)
    path.unlink()

    again = _import(caller, path.as_uri(), index_id, idempotency_key="in-1")
    other = refusal(lambda: _import(caller, "file:///etc", index_id, idempotency_key="in-1"))

    assert again == first
    assert other.http_status == 422


@pytest.mark.parametrize(
    "uri",
    ["file:///etc/passwd", "https://example.com/a.mp4", "ftp://x/y", "", "/etc/passwd"],
)
def test_any_other_uri_is_refused(caller: Caller, uri: str) -> None:
    index_id = caller.index()

    refused = refusal(lambda: _import(caller, uri, index_id))

    assert refused.violations == ("video_uri",)


def test_a_file_that_is_no_media_fails_its_import_and_can_be_tried_again(caller: Caller) -> None:
    index_id = caller.index()
    path = caller.live.root / f"{caller.owner}.mp4"
    path.write_text("not a video")
    job = caller.until_imported(_import(caller, path.as_uri(), index_id).job_id)
    path.write_bytes(still().path.read_bytes())

    request = import_job_pb2.RetryImportJobRequest(job_id=job.job_id)
    caller.jobs.RetryImportJob(request, metadata=caller.said())
    done = caller.until_imported(job.job_id)

    assert job.status == STATUS.failed
    assert done.status == STATUS.completed
    refused = refusal(lambda: caller.jobs.RetryImportJob(request, metadata=caller.said()))
    assert refused.http_status == 409


def test_a_finished_job_is_not_changed_by_a_cancellation(caller: Caller) -> None:
    job = caller.upload(still().path)
    request = import_job_pb2.CancelImportJobRequest(job_id=job.job_id)

    assert caller.jobs.CancelImportJob(request, metadata=caller.said()) == job


def test_jobs_are_listed_with_their_files_and_outputs(caller: Caller) -> None:
    good, bad = caller.upload(still().path), caller.upload(b"not a video")
    request = import_job_pb2.ListImportJobsRequest(status=STATUS.failed)
    failed = caller.jobs.ListImportJobs(request, metadata=caller.said())
    listed = json.loads(
        caller.rest.ListImportJobs(
            import_job_pb2.ListImportJobsRequest(), metadata=caller.said()
        ).data
    )
    files = caller.jobs.ListImportJobFiles(
        import_job_pb2.ListImportJobFilesRequest(job_id=bad.job_id, failed_only=True),
        metadata=caller.said(),
    )
    outputs = caller.jobs.ListImportJobOutputs(
        import_job_pb2.ListImportJobOutputsRequest(job_id=good.job_id), metadata=caller.said()
    )

    assert [job.job_id for job in failed.data] == [bad.job_id]
    assert {job["job_id"] for job in listed} == {good.job_id, bad.job_id}
    assert files.total == 1
    assert files.items[0].failure.fields["message"].string_value == bad.error_message
    assert outputs == good.outputs


def test_media_are_answered_in_batches_in_the_order_asked(caller: Caller, other: Caller) -> None:
    first, second = (caller.upload(still().path).video_ids[0] for _ in range(2))
    theirs = other.upload(still().path).video_ids[0]
    wanted = [second, theirs, "vid_none", first]

    videos = caller.videos.BatchGetVideos(
        video_pb2.BatchGetVideosRequest(video_ids=wanted), metadata=caller.said()
    )
    standing = json.loads(
        caller.rest.BatchGetVideoStatus(
            video_pb2.BatchGetVideoStatusRequest(video_ids=wanted), metadata=caller.said()
        ).data
    )

    assert [video.video_id for video in videos.data] == [second, first]
    assert standing == [
        {"video_id": video_id, "status": "not_processed", "processing_status": []}
        for video_id in (second, first)
    ]


@pytest.mark.parametrize("count", [0, 101])
def test_a_batch_has_a_size(caller: Caller, count: int) -> None:
    request = video_pb2.BatchGetVideosRequest(video_ids=["vid_1"] * count)

    refused = refusal(lambda: caller.videos.BatchGetVideos(request, metadata=caller.said()))

    assert refused.violations == ("video_ids",)


def test_a_preview_is_made_once_and_only_of_what_moves(caller: Caller, other: Caller) -> None:
    video_id = caller.upload(shots(1, 1).path).video_ids[0]
    sound = caller.upload(tone(1).path).video_ids[0]
    request = video_pb2.GetVideoGifRequest(video_id=video_id)

    first = caller.videos.GetVideoGif(request, metadata=caller.said())
    again = caller.rest.GetVideoGif(request, metadata=caller.said())

    assert first.data.startswith(b"GIF8")
    assert again.data == first.data
    assert again.content_type == "image/gif"
    silent = video_pb2.GetVideoGifRequest(video_id=sound)
    said = caller.said()
    assert refusal(lambda: caller.videos.GetVideoGif(silent, metadata=said)).http_status == 404
    theirs = other.said()
    assert refusal(lambda: other.videos.GetVideoGif(request, metadata=theirs)).http_status == 404


def test_somebody_elses_media_and_jobs_are_not_found(caller: Caller, other: Caller) -> None:
    job = other.upload(still().path)
    get = import_job_pb2.GetImportJobRequest(job_id=job.job_id)

    assert refusal(lambda: _video(caller, job.video_ids[0])).http_status == 404
    assert refusal(lambda: caller.jobs.GetImportJob(get, metadata=caller.said())).http_status == 404
