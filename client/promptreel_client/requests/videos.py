"""Media items: videos, audio and still images, all called videos on the wire."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import BinaryIO

from promptreel.v2 import video_pb2 as pb
from promptreel_client.call import Call, Paged, key_of, paging, reading, reading_all, writing
from promptreel_client.model.import_jobs import ImportJob
from promptreel_client.model.runs import PromptRun
from promptreel_client.model.segments import Segment
from promptreel_client.model.videos import Video, VideoDeletion, VideoSegments, VideoStatus
from promptreel_client.upload import OnProgress, Upload
from promptreel_client.upload import upload as prepared


def upload(
    file: str | Path | BinaryIO,
    *,
    title: str | None = None,
    index_id: str | None = None,
    on_progress: OnProgress | None = None,
    idempotency_key: str | None = None,
) -> Upload:
    """Send the bytes of a media item, in constant memory; answers the import job.

    Bytes that can't be decoded are no error here: the import job fails and says why.

    Args:
        file: A path, or a file open for reading bytes, which is sent from where it stands.
        title: What people call it: 1 to 255 characters. None: the name of the file.
        index_id: The index it goes to. None: none, it is playground media.
        on_progress: Called after every chunk with the bytes sent so far and the bytes in all
            (None where that is not known).
        idempotency_key: Asked again with the same key and bytes, the same job is answered.

    Raises:
        InvalidRequestError: there is no such file, or nothing to call it by.
        NotFoundError: there is no such index.
        TooLargeError: it is over the size limit or the owner's quota.
    """
    return prepared(
        file,
        title=title,
        index_id=index_id,
        on_progress=on_progress,
        idempotency_key=key_of(idempotency_key),
    )


def create(
    *, title: str, video_uri: str, index_id: str, idempotency_key: str | None = None
) -> Call[ImportJob]:
    """Start to import a media item from a URI that the server can read.

    Args:
        title: What people call it: 1 to 255 characters.
        video_uri: `file://` below the server's media roots, or `https://` from its known hosts.
        index_id: The index it goes to.
        idempotency_key: Asked again with the same key, the same job is answered.
    """
    request = pb.CreateVideoRequest(title=title, video_uri=video_uri, index_id=index_id)
    return writing(request, ImportJob, idempotency_key)


def retrieve(video_id: str) -> Call[Video]:
    """Answer one media item with how the runs over it stand.

    Raises:
        NotFoundError: there is no such media item.
    """
    return reading(pb.GetVideoRequest(video_id=video_id), Video)


def delete(video_id: str, *, idempotency_key: str | None = None) -> Call[VideoDeletion]:
    """Start the deletion of a media item with its results, or answer how far it has come.

    Raises:
        NotFoundError: there is no such media item.
    """
    return writing(pb.DeleteVideoRequest(video_id=video_id), VideoDeletion, idempotency_key)


def get_deletion(video_id: str) -> Call[VideoDeletion]:
    """Answer how far the deletion of a media item has come, also when it is gone.

    Raises:
        NotFoundError: there is no such media item, or nobody asked to delete it.
    """
    return reading(pb.GetVideoDeletionRequest(video_id=video_id), VideoDeletion)


def list_segments(
    video_id: str,
    *,
    run_id: str | None = None,
    latest_run: bool | None = None,
    limit: int | None = None,
    cursor: str | None = None,
) -> Paged[Segment]:
    """List the segments of a media item by start time.

    Args:
        video_id: The media item.
        run_id: As they stand in this run.
        latest_run: As they stand in the latest run. Neither: every segment it was ever cut into.
        limit: Items a page: 1 to 100. None: 50.
        cursor: Where to start. None: at the first.
    """
    request = pb.ListVideoSegmentsRequest(
        video_id=video_id, run_id=run_id, latest_run=latest_run, limit=limit, cursor=cursor
    )
    return paging(request, Segment)


def list_playground(*, limit: int | None = None, cursor: str | None = None) -> Paged[Video]:
    """List the caller's media that are in no index, newest first.

    Args:
        limit: Items a page: 1 to 100. None: 50.
        cursor: Where to start. None: at the first.
    """
    return paging(pb.ListPlaygroundVideosRequest(limit=limit, cursor=cursor), Video)


def list_prompt_runs(
    video_id: str, *, limit: int | None = None, cursor: str | None = None
) -> Paged[PromptRun]:
    """List the runs that cover a media item, newest first.

    Args:
        video_id: The media item.
        limit: Items a page: 1 to 200. None: 200.
        cursor: Where to start. None: at the first.
    """
    request = pb.ListVideoPromptRunsRequest(video_id=video_id, limit=limit, cursor=cursor)
    return paging(request, PromptRun)


def batch_retrieve(video_ids: Iterable[str]) -> Call[tuple[Video, ...]]:
    """Answer several media items, 1 to 100, with their first thumbnails and preview GIFs.

    They come in the order asked; those that don't exist are left out.
    """
    return reading_all(pb.BatchGetVideosRequest(video_ids=video_ids), Video)


def batch_status(video_ids: Iterable[str]) -> Call[tuple[VideoStatus, ...]]:
    """Answer how several media items, 1 to 100, and the runs over them stand, in the order asked.

    Those that don't exist are left out.
    """
    return reading_all(pb.BatchGetVideoStatusRequest(video_ids=video_ids), VideoStatus)


def batch_segments(
    video_ids: Iterable[str] = (), *, run_ids: Mapping[str, str | None] | None = None
) -> Call[tuple[VideoSegments, ...]]:
    """Answer the segments of several media items, in the order asked.

    Those that don't exist are left out.

    Args:
        video_ids: 1 to 50 media items, each as it stands in the latest run over it.
        run_ids: In place of that: 1 to 50 media items, each with the run to look at (None: the
            latest).
    """
    targets = [
        pb.VideoSegmentsTarget(video_id=video_id, run_id=run_id)
        for video_id, run_id in (run_ids or {}).items()
    ]
    request = pb.BatchGetVideoSegmentsRequest(video_ids=video_ids, targets=targets)
    return reading_all(request, VideoSegments)


def thumbnail(segment_id: str) -> Call[bytes]:
    """Answer the thumbnail of a segment: the bytes of a JPEG file.

    Raises:
        NotFoundError: there is no such segment, or it has no picture.
    """
    return _picture(pb.GetSegmentThumbnailRequest(segment_id=segment_id))


def gif(video_id: str) -> Call[bytes]:
    """Answer the preview of a media item: the bytes of a GIF file.

    Raises:
        NotFoundError: there is no such media item, or it has no moving pictures.
    """
    return _picture(pb.GetVideoGifRequest(video_id=video_id))


def _picture(request: pb.GetSegmentThumbnailRequest | pb.GetVideoGifRequest) -> Call[bytes]:
    def read(picture: pb.Picture) -> bytes:
        return picture.data

    return Call(request=request, read=read, idempotency_key=None)
