"""Checks a request for a retry and writes it; `Engine.retry` sets it going."""

from dataclasses import dataclass, replace

from sqlalchemy import Connection

from promptreel_server.errors import (
    Conflict,
    FailureCode,
    NotRetryable,
    PromptreelError,
    RetryInFlight,
    SegmentNotFailed,
)
from promptreel_server.model.ids import RETRY, new_id
from promptreel_server.model.operation import Operation, OperationStatus
from promptreel_server.model.retry import Retry, RetryStatus
from promptreel_server.model.run import Run
from promptreel_server.model.segment import SegmentRun, SegmentStatus
from promptreel_server.store import manifest, media, retries, run_segments
from promptreel_server.store.transaction import Transaction

MOST_AT_ONCE = 100_000
"""Segments that one request can retry."""


@dataclass(frozen=True, kw_only=True)
class RetryOrder:
    """What a caller asks for: the failed operations of one segment again."""

    owner_id: str
    video_id: str
    segment_id: str
    force: bool
    idempotency_key: str | None = None


@dataclass(frozen=True, kw_only=True)
class Skipped:
    """A segment that a request for many leaves out, and why."""

    segment_id: str
    reason: str


def retry_one(tx: Transaction, run: Run, order: RetryOrder) -> Retry:
    """Write a retry of one segment.

    Raises:
        NotFound: the run has no such segment of this media item, or the media item is gone.
        Conflict: the run is still going, or the media item is being deleted.
        SegmentNotFailed: there is nothing to retry.
        NotRetryable: a retry can't help, and `force` is not set.
        RetryInFlight: another retry of it is under way.
    """
    _check_ended(run)
    media.fetch_open(tx.connection, order.owner_id, order.video_id)
    found = run_segments.fetch(tx.connection, run.run_id, order.video_id, order.segment_id)
    _check_free(tx.connection, run, order.segment_id)
    retry = Retry(
        retry_id=new_id(RETRY),
        run_id=run.run_id,
        video_id=order.video_id,
        segment_id=order.segment_id,
        owner_id=order.owner_id,
        status=RetryStatus.PENDING,
        operations=_operations(found, force=order.force),
        idempotency_key=order.idempotency_key,
        created_at=tx.now,
    )
    retries.add(tx, retry)
    return retry


def retry_failed(
    tx: Transaction, run: Run, codes: tuple[FailureCode, ...], order: RetryOrder
) -> tuple[list[Retry], list[Skipped]]:
    """Write a retry for each segment that stands failed with one of these codes (none: any).

    Segments that were left undone are taken where `cancelled` is among the codes, and with `force`
    where no stop request but a failure of the whole run left them so.

    Raises:
        Conflict: the run is still going.
    """
    _check_ended(run)
    undone = FailureCode.CANCELLED in codes or (order.force and not codes and run.stop is None)
    asked: list[Retry] = []
    skipped: list[Skipped] = []
    for video_id, segment_id in manifest.failed_with(
        tx.connection, run.run_id, codes, undone=undone, limit=MOST_AT_ONCE
    ):
        one = replace(order, video_id=video_id, segment_id=segment_id)
        try:
            asked.append(retry_one(tx, run, one))
        except PromptreelError as error:
            skipped.append(Skipped(segment_id=segment_id, reason=error.reason))
    return asked, skipped


def _check_ended(run: Run) -> None:
    if not run.status.terminal:
        raise Conflict(
            f"Run {run.run_id} is still {run.status.value}; retry when it has ended.",
            details={"status": run.status.value},
        )


def _check_free(connection: Connection, run: Run, segment_id: str) -> None:
    under_way = retries.open_of(connection, run.run_id, segment_id)
    if under_way is not None:
        raise RetryInFlight(
            f"Retry {under_way.retry_id} of segment {segment_id} is under way; wait for it.",
            details={"retry_id": under_way.retry_id},
        )


def _operations(found: SegmentRun, *, force: bool) -> tuple[Operation, ...]:
    """The operations that a retry attempts: those that failed or were left undone."""
    segment_id = found.segment.segment_id
    undone = tuple(
        operation
        for operation, state in found.operations.items()
        if state.status in (OperationStatus.FAILED, OperationStatus.PENDING)
    )
    stands_in = found.failure is not None
    if found.status is SegmentStatus.COMPLETED or not (undone or stands_in):
        raise SegmentNotFailed(f"Segment {segment_id} has not failed; there is nothing to retry.")
    if found.status is SegmentStatus.CANCELLED and found.started_at is None and not force:
        raise SegmentNotFailed(f"Segment {segment_id} was never begun; execute the prompt again.")
    failures = [state.failure for state in found.operations.values() if state.failure]
    if found.failure is not None:
        failures.append(found.failure)
    if failures and not force and not any(failure.retryable for failure in failures):
        raise NotRetryable(
            f"Segment {segment_id} failed with {failures[0].code.value}, which a retry is not "
            "expected to mend; force tries it all the same.",
            details={"failure_code": failures[0].code.value},
        )
    return undone
