"""What failed and what is retried, on the wire."""

from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import timedelta

from promptreel.v2 import enums_pb2, manifest_pb2, retry_pb2
from promptreel_server.domain.operation import Failure, Operation
from promptreel_server.domain.retry import Retry, RetryStatus
from promptreel_server.domain.segment import SegmentRun
from promptreel_server.errors import FailureCode
from promptreel_server.services.messages.enums import words
from promptreel_server.services.messages.timestamps import maybe_timestamp, timestamp
from promptreel_server.store.runs.failure_manifest import PROCESSING, VideoFailures

RETRY_STATUS = words(RetryStatus, enums_pb2.RetryStatus.Value)
FAILURE_CODE = words(FailureCode, enums_pb2.FailureCode.Value)
OPERATION = words(Operation, enums_pb2.Operation.Value)


def counts_message(counts: Mapping[str, int]) -> manifest_pb2.OperationCounts:
    """Turn failure counts by operation into their message."""
    return manifest_pb2.OperationCounts(
        field_extraction=counts[Operation.FIELD_EXTRACTION.value],
        transcription=counts[Operation.TRANSCRIPTION.value],
        image_embedding=counts[Operation.IMAGE_EMBEDDING.value],
        processing=counts[PROCESSING],
    )


def sum_of(failures: Iterable[VideoFailures]) -> Counter[str]:
    """Add the failure counts of media items up."""
    total: Counter[str] = Counter()
    for one in failures:
        total.update(one.operation_counts)
    return total


def video_message(
    failures: VideoFailures, segments: Iterable[SegmentRun]
) -> manifest_pb2.FailedVideo:
    """Turn the failures of one media item into their message."""
    return manifest_pb2.FailedVideo(
        video_id=failures.video_id,
        failed_segments=failures.failed_segments,
        operation_counts=counts_message(failures.operation_counts),
        segments=[_segment_message(found) for found in segments],
    )


def _segment_message(found: SegmentRun) -> manifest_pb2.FailedSegment:
    failures = _failures(found)
    first_stage, first = failures[0]
    states = found.operations.values()
    attempted = [state.last_attempt_at for state in states if state.last_attempt_at is not None]
    last = max(attempted, default=found.completed_at)
    waits = [failure.retry_after for _, failure in failures if failure.retry_after is not None]
    start, end = found.segment.seconds
    message = manifest_pb2.FailedSegment(
        segment_id=found.segment.segment_id,
        failed_operations=[stage for stage, _ in failures],
        failure_stage=first_stage,
        failure_message=first.message,
        failure_code=FAILURE_CODE.number(first.code),
        retryable=any(failure.retryable for _, failure in failures),
        start_time=start,
        end_time=end,
        projection_only=found.failure is not None,
        attempts=max((state.attempts for state in states), default=0),
        last_attempt_at=maybe_timestamp(last),
        retry_after=timestamp(last + timedelta(seconds=max(waits))) if last and waits else None,
    )
    for operation, state in found.operations.items():
        if state.failure is not None:
            setattr(message, f"{operation.value}_error", state.failure.message)
    return message


def _failures(
    found: SegmentRun,
) -> list[tuple["enums_pb2.Operation.Value.ValueType", Failure]]:
    """What failed, the first of it first: before any operation, or operation by operation."""
    if found.failure is not None:
        return [(enums_pb2.Operation.Value.processing, found.failure)]
    return [
        (OPERATION.number(operation), state.failure)
        for operation, state in found.operations.items()
        if state.failure is not None
    ]


def retry_message(retry: Retry, *, asked: bool = False) -> retry_pb2.Retry:
    """Turn a retry into its message; `asked`: it is the answer to whoever asked for it."""
    message = retry_pb2.Retry(
        run_id=retry.run_id,
        retry_id=retry.retry_id,
        status=RETRY_STATUS.number(retry.status),
        video_id=retry.video_id,
        segment_id=retry.segment_id,
        created_at=timestamp(retry.created_at),
        started_at=maybe_timestamp(retry.started_at),
        completed_at=maybe_timestamp(retry.completed_at),
        error=retry.error,
    )
    if asked:
        operations = ", ".join(operation.value for operation in retry.operations)
        message.message = (
            f"The segment will be attempted again: {operations}."
            if operations
            else "The media item will be cut again, and then its segments attempted."
        )
        if retry.idempotency_key is not None:
            message.idempotency_key = retry.idempotency_key
    for operation, succeeded in retry.outcome.items():
        setattr(message, f"{operation.value}_succeeded", succeeded)
    return message
