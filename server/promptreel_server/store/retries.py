"""Retries: asked for, taken up, ended; a segment has one open at a time."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, Row, insert, select, update

from promptreel_server.errors import NotFound
from promptreel_server.model.event import EventType
from promptreel_server.model.operation import Operation
from promptreel_server.model.page import Page, Slice
from promptreel_server.model.retry import Retry, RetryStatus
from promptreel_server.store import feed, paging
from promptreel_server.store.tables import retries
from promptreel_server.store.transaction import Transaction

OPEN = (RetryStatus.PENDING, RetryStatus.PROCESSING)

_ENDED = {
    RetryStatus.COMPLETED: EventType.RETRY_COMPLETED,
    RetryStatus.FAILED: EventType.RETRY_FAILED,
    RetryStatus.CANCELLED: EventType.RETRY_FAILED,
}


def add(tx: Transaction, retry: Retry) -> None:
    """Write a retry that was asked for."""
    tx.execute(
        insert(retries).values(
            retry_id=retry.retry_id,
            run_id=retry.run_id,
            video_id=retry.video_id,
            segment_id=retry.segment_id,
            owner_id=retry.owner_id,
            status=RetryStatus.PENDING,
            operations=[operation.value for operation in retry.operations],
            idempotency_key=retry.idempotency_key,
            created_at=tx.now,
            outcome={},
        )
    )


def open_of(connection: Connection, run_id: str, segment_id: str) -> Retry | None:
    """Answer the retry of a segment that is under way, if any."""
    row = connection.execute(
        select(retries).where(
            retries.c.run_id == run_id,
            retries.c.segment_id == segment_id,
            retries.c.status.in_(OPEN),
        )
    ).one_or_none()
    return None if row is None else _retry(row)


def awaited(connection: Connection, retry: Retry) -> bool:
    """Tell whether another retry of the same media item is still to come to something."""
    others = (
        retries.c.run_id == retry.run_id,
        retries.c.video_id == retry.video_id,
        retries.c.retry_id != retry.retry_id,
    )
    waiting = select(retries.c.retry_id).where(*others, retries.c.status == RetryStatus.PENDING)
    if connection.execute(waiting.limit(1)).first() is not None:
        return True
    in_hand = select(retries.c.outcome).where(*others, retries.c.status == RetryStatus.PROCESSING)
    return any(not outcome for outcome in connection.execute(in_hand).scalars())


def any_open(connection: Connection, run_id: str, video_id: str | None = None) -> bool:
    """Tell whether a retry is under way or still to come, of a run or of one media item of it."""
    statement = select(retries.c.retry_id).where(
        retries.c.run_id == run_id, retries.c.status.in_(OPEN)
    )
    if video_id is not None:
        statement = statement.where(retries.c.video_id == video_id)
    return connection.execute(statement.limit(1)).first() is not None


def fetch(
    connection: Connection, run_id: str, video_id: str, segment_id: str, retry_id: str
) -> Retry:
    """Answer one retry of one segment.

    Raises:
        NotFound: the segment has no such retry.
    """
    row = connection.execute(
        select(retries).where(
            retries.c.retry_id == retry_id,
            retries.c.run_id == run_id,
            retries.c.video_id == video_id,
            retries.c.segment_id == segment_id,
        )
    ).one_or_none()
    if row is None:
        raise NotFound(
            f"Segment {segment_id} of run {run_id} has no retry {retry_id}.",
            details={"retry_id": retry_id, "segment_id": segment_id, "run_id": run_id},
        )
    return _retry(row)


def load(connection: Connection, retry_id: str) -> Retry | None:
    """Answer a retry by its id alone, for the engine."""
    row = connection.execute(select(retries).where(retries.c.retry_id == retry_id)).one_or_none()
    return None if row is None else _retry(row)


def page(
    connection: Connection, run_id: str, video_id: str, segment_id: str, part: Slice
) -> Page[Retry]:
    """Answer the retries of a segment, newest first."""
    statement = select(retries).where(
        retries.c.run_id == run_id,
        retries.c.video_id == video_id,
        retries.c.segment_id == segment_id,
    )
    if part.after is not None:
        statement = statement.where(retries.c.retry_id < part.after[0])
    return paging.page(
        connection,
        statement.order_by(retries.c.retry_id.desc()),
        part,
        item=_retry,
        position=lambda row: (row.retry_id,),
    )


def undone(connection: Connection, limit: int, after: str = "") -> list[Retry]:
    """Answer retries that have not ended, oldest first: for recovery at start."""
    statement = (
        select(retries)
        .where(retries.c.status.in_(OPEN), retries.c.retry_id > after)
        .order_by(retries.c.retry_id)
        .limit(limit)
    )
    return [_retry(row) for row in connection.execute(statement)]


def start(tx: Transaction, retry: Retry) -> bool:
    """Take up a retry; False where it has ended."""
    moved = tx.execute(
        update(retries)
        .where(retries.c.retry_id == retry.retry_id, retries.c.status.in_(OPEN))
        .values(status=RetryStatus.PROCESSING, started_at=tx.now)
    ).rowcount
    if moved and retry.status is RetryStatus.PENDING:
        _tell(tx, retry, EventType.RETRY_STARTED, {"status": RetryStatus.PROCESSING.value})
    return bool(moved)


def note(tx: Transaction, retry: Retry, outcome: Mapping[Operation, bool]) -> None:
    """Keep what a retry's operations came to, before it ends: they are not attempted again."""
    values = {operation.value: succeeded for operation, succeeded in outcome.items()}
    tx.execute(update(retries).where(retries.c.retry_id == retry.retry_id).values(outcome=values))


def end(
    tx: Transaction,
    retry: Retry,
    status: RetryStatus,
    outcome: Mapping[Operation, bool],
    *,
    error: str | None = None,
) -> None:
    """Write what a retry came to, and tell it."""
    values = {operation.value: succeeded for operation, succeeded in outcome.items()}
    tx.execute(
        update(retries)
        .where(retries.c.retry_id == retry.retry_id)
        .values(status=status, completed_at=tx.now, error=error, outcome=values)
    )
    _tell(tx, retry, _ENDED[status], {"status": status.value, "error": error, **values})


def cancel_open(tx: Transaction, run_id: str) -> int:
    """End the retries of a run that have not begun; answers how many."""
    rows = tx.execute(
        select(retries).where(retries.c.run_id == run_id, retries.c.status == RetryStatus.PENDING)
    ).all()
    for row in rows:
        end(tx, _retry(row), RetryStatus.CANCELLED, {}, error="The run was asked to stop.")
    return len(rows)


def _tell(tx: Transaction, retry: Retry, event_type: EventType, payload: Mapping[str, Any]) -> None:
    feed.append(
        tx,
        retry.owner_id,
        event_type,
        run_id=retry.run_id,
        video_id=retry.video_id,
        segment_id=retry.segment_id,
        payload={"retry_id": retry.retry_id, **payload},
    )


def _operations(names: Sequence[str]) -> tuple[Operation, ...]:
    return tuple(Operation(name) for name in names)


def _retry(row: Row[Any]) -> Retry:
    return Retry(
        retry_id=row.retry_id,
        run_id=row.run_id,
        video_id=row.video_id,
        segment_id=row.segment_id,
        owner_id=row.owner_id,
        status=row.status,
        operations=_operations(row.operations),
        idempotency_key=row.idempotency_key,
        created_at=row.created_at,
        started_at=row.started_at,
        completed_at=row.completed_at,
        error=row.error,
        outcome={Operation(name): value for name, value in row.outcome.items()},
    )
