"""What stands failed in a run, and the retries that mend it."""

from collections.abc import Iterable

from promptreel.v2 import enums_pb2
from promptreel.v2 import prompt_run_pb2 as pb
from promptreel_client.call import Call, Paged, paging, reading, writing
from promptreel_client.model.failures import FailedSegmentManifest, RetriedSegments, Retry
from promptreel_client.requests.words import numbers


def get_failed_segments(
    run_id: str,
    *,
    video_id: str | None = None,
    limit: int | None = None,
    cursor: str | None = None,
) -> Call[FailedSegmentManifest]:
    """Answer what stands failed in a run, by media item and operation, and whether a retry helps.

    Args:
        run_id: The run.
        video_id: Only this media item. None: all.
        limit: At most so many media items, 1 to 100; a page of 10000 segments ends there, perhaps
            within a media item. None: all, capped at 10000 segments and then `truncated`.
        cursor: The `next_cursor` of the manifest before. None: from the first media item.

    Raises:
        NotFoundError: there is no such run, or it does not cover the media item.
    """
    request = pb.GetFailedSegmentsRequest(
        run_id=run_id, limit=limit, cursor=cursor, video_id=video_id
    )
    return reading(request, FailedSegmentManifest)


def retry_segment(
    run_id: str,
    video_id: str,
    segment_id: str,
    *,
    force: bool = False,
    idempotency_key: str | None = None,
) -> Call[Retry]:
    """Attempt the operations of a segment that stand failed once more; answers the retry at once.

    Args:
        run_id: The run.
        video_id: The media item.
        segment_id: The segment.
        force: Try also where a retry is not expected to help.
        idempotency_key: Asked again with the same key, the same retry is answered.

    Raises:
        NotFoundError: the segment is not of this run and media item.
        ConflictError: nothing of it stands failed (`segment_not_failed`), a retry can't help
            (`not_retryable`), another one is under way (`retry_in_flight`), or the media item is
            being deleted (`being_deleted`).
    """
    request = pb.RetrySegmentRequest(
        run_id=run_id, video_id=video_id, segment_id=segment_id, force=force
    )
    return writing(request, Retry, idempotency_key)


def retry_failed(
    run_id: str,
    *,
    failure_codes: Iterable[str] = (),
    force: bool = False,
    idempotency_key: str | None = None,
) -> Call[RetriedSegments]:
    """Retry every failed segment of a run; those that can't be are answered as skipped.

    Args:
        run_id: The run.
        failure_codes: Only segments that failed with one of these words of `FailureCode`. Empty:
            all.
        force: Try also where a retry is not expected to help.
        idempotency_key: Asked again with the same key, the same is answered.

    Raises:
        NotFoundError: there is no such run.
    """
    codes = numbers(enums_pb2.FailureCode.Value, failure_codes, "failure_codes")
    request = pb.RetryFailedSegmentsRequest(run_id=run_id, failure_codes=codes, force=force)
    return writing(request, RetriedSegments, idempotency_key)


def get_segment_retry_status(
    run_id: str, video_id: str, segment_id: str, retry_id: str
) -> Call[Retry]:
    """Answer one retry as it stands.

    Raises:
        NotFoundError: there is no such retry of this run, media item and segment.
    """
    request = pb.GetSegmentRetryRequest(
        run_id=run_id, video_id=video_id, segment_id=segment_id, retry_id=retry_id
    )
    return reading(request, Retry)


def list_segment_retries(
    run_id: str,
    video_id: str,
    segment_id: str,
    *,
    limit: int | None = None,
    cursor: str | None = None,
) -> Paged[Retry]:
    """List the retries of one segment of a run, newest first.

    Args:
        run_id: The run.
        video_id: The media item.
        segment_id: The segment.
        limit: Items a page: 1 to 100. None: 50.
        cursor: Where to start. None: at the first.
    """
    request = pb.ListSegmentRetriesRequest(
        run_id=run_id, video_id=video_id, segment_id=segment_id, limit=limit, cursor=cursor
    )
    return paging(request, Retry)
