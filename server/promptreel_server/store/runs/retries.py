"""Retries: asked for, taken up, ended; a segment has one open at a time."""

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, insert, select, update

from promptreel_server.domain.event import EventType
from promptreel_server.domain.operation import Operation
from promptreel_server.domain.page import Page, Slice
from promptreel_server.domain.retry import Retry, RetryStatus
from promptreel_server.errors import NotFound
from promptreel_server.store import feed
from promptreel_server.store.schema import keyset_paging
from promptreel_server.store.schema.bulk_statements import Prepared
from promptreel_server.store.schema.bulk_statements import Row as Values
from promptreel_server.store.schema.columns import json_text, microseconds, spelt_out
from promptreel_server.store.schema.tables import retries
from promptreel_server.store.schema.transaction import Fenced, Transaction

OPEN = (RetryStatus.PENDING, RetryStatus.PROCESSING)

IS_OPEN = spelt_out(retries.c.status, OPEN)

_ENDED = {
    RetryStatus.COMPLETED: EventType.RETRY_COMPLETED,
    RetryStatus.FAILED: EventType.RETRY_FAILED,
    RetryStatus.CANCELLED: EventType.RETRY_FAILED,
}

_STOPPED = "The run was asked to stop."


_ADD = Prepared(
    insert(retries),
    (
        "retry_id",
        "run_id",
        "video_id",
        "segment_id",
        "owner_id",
        "status",
        "operations",
        "idempotency_key",
        "created_at",
        "outcome",
    ),
)


def add_all(tx: Transaction, asked: Sequence[Retry]) -> None:
    """Write retries that were asked for."""
    _ADD.execute_all(tx, [_values(retry) for retry in asked])


def _values(retry: Retry) -> Values:
    return (
        retry.retry_id,
        retry.run_id,
        retry.video_id,
        retry.segment_id,
        retry.owner_id,
        RetryStatus.PENDING.value,
        _operations_text(retry.operations),
        retry.idempotency_key,
        microseconds(retry.created_at),
        "{}",
    )


@cache
def _operations_text(operations: tuple[Operation, ...]) -> str | None:
    """What is stored of operations; they come in few combinations."""
    return json_text([operation.value for operation in operations])


def open_of(connection: Connection, run_id: str, segment_id: str) -> Retry | None:
    """Answer the retry of a segment that is under way, if any."""
    row = connection.execute(
        select(retries).where(
            retries.c.run_id == run_id,
            retries.c.segment_id == segment_id,
            IS_OPEN,
        )
    ).one_or_none()
    return None if row is None else _retry(row)


def open_segments(connection: Connection, run_id: str) -> frozenset[str]:
    """Answer which segments of a run have a retry under way."""
    statement = select(retries.c.segment_id).where(retries.c.run_id == run_id, IS_OPEN)
    return frozenset(connection.execute(statement).scalars())


def awaited(connection: Connection, retry: Retry) -> bool:
    """Tell whether another retry of the same media item is still to come to something."""
    others = (
        retries.c.run_id == retry.run_id,
        retries.c.video_id == retry.video_id,
        retries.c.retry_id != retry.retry_id,
        IS_OPEN,
    )
    waiting = select(retries.c.retry_id).where(*others, retries.c.status == RetryStatus.PENDING)
    if connection.execute(waiting.limit(1)).first() is not None:
        return True
    in_hand = select(retries.c.outcome).where(*others, retries.c.status == RetryStatus.PROCESSING)
    return any(not outcome for outcome in connection.execute(in_hand).scalars())


def any_open(connection: Connection, run_id: str, video_id: str | None = None) -> bool:
    """Tell whether a retry is under way or still to come, of a run or of one media item of it."""
    statement = select(retries.c.retry_id).where(retries.c.run_id == run_id, IS_OPEN)
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
    return keyset_paging.page(
        connection,
        statement.order_by(retries.c.retry_id.desc()),
        part,
        item=_retry,
        position=lambda row: (row.retry_id,),
    )


def undone(connection: Connection) -> list[str]:
    """Answer the ids of the retries that have not ended, oldest first: for recovery."""
    return sorted(connection.execute(select(retries.c.retry_id).where(IS_OPEN)).scalars())


def undone_of(connection: Connection, retry_ids: Sequence[str]) -> list[Retry]:
    """Answer those of these retries that have not ended, oldest first."""
    these = retries.c.retry_id.in_(retry_ids)
    statement = select(retries).where(these, IS_OPEN).order_by(retries.c.retry_id)
    return [_retry(row) for row in connection.execute(statement)]


def start(tx: Transaction, retry: Retry) -> Retry | None:
    """Take up a retry; None where it has ended.

    Whoever performed it before is fenced from now on: its writes carry an older epoch.
    """
    row = tx.execute(
        update(retries)
        .where(retries.c.retry_id == retry.retry_id, retries.c.status.in_(OPEN))
        .values(status=RetryStatus.PROCESSING, started_at=tx.now, epoch=retries.c.epoch + 1)
        .returning(retries)
    ).one_or_none()
    if row is None:
        return None
    if retry.status is RetryStatus.PENDING:
        _tell(tx, retry, EventType.RETRY_STARTED, {"status": RetryStatus.PROCESSING.value})
    return _retry(row)


def note(tx: Transaction, retry: Retry, outcome: Mapping[Operation, bool]) -> None:
    """Keep what a retry's operations came to, before it ends: they are not attempted again.

    Raises:
        Fenced: another performer has taken it up since, or has ended it.
    """
    values = {operation.value: succeeded for operation, succeeded in outcome.items()}
    _write(tx, retry, {"outcome": values})


def _write(tx: Transaction, retry: Retry, values: Mapping[str, Any]) -> None:
    mine = (
        retries.c.retry_id == retry.retry_id,
        retries.c.epoch == retry.epoch,
        retries.c.status.in_(OPEN),
    )
    if not tx.execute(update(retries).where(*mine).values(values)).rowcount:
        raise Fenced(f"retry {retry.retry_id} was taken up by another performer, or has ended")


def end(
    tx: Transaction,
    retry: Retry,
    status: RetryStatus,
    outcome: Mapping[Operation, bool],
    *,
    error: str | None = None,
) -> None:
    """Write what a retry came to, and tell it.

    Raises:
        Fenced: another performer has taken it up since, or has ended it.
    """
    values = {operation.value: succeeded for operation, succeeded in outcome.items()}
    _write(
        tx,
        retry,
        {"status": status, "completed_at": tx.now, "error": error, "outcome": values},
    )
    _tell(tx, retry, _ENDED[status], {"status": status.value, "error": error, **values})


def cancel_open(tx: Transaction, run_id: str) -> int:
    """End the retries of a run that have not begun; answers how many."""
    return _cancel_waiting(tx, retries.c.run_id == run_id, _STOPPED)


def cancel_of_media(tx: Transaction, video_id: str, error: str) -> int:
    """End the retries of a media item that have not begun, in whatever runs; answers how many."""
    return _cancel_waiting(tx, retries.c.video_id == video_id, error)


def _cancel_waiting(tx: Transaction, which: ColumnElement[bool], error: str) -> int:
    waiting = (which, IS_OPEN, retries.c.status == RetryStatus.PENDING)
    named = select(
        retries.c.owner_id,
        retries.c.retry_id,
        retries.c.run_id,
        retries.c.video_id,
        retries.c.segment_id,
    )
    ended = tx.execute(named.where(*waiting).order_by(retries.c.retry_id)).all()
    if not ended:
        return 0
    tx.execute(
        update(retries)
        .where(*waiting)
        .values(status=RetryStatus.CANCELLED, completed_at=tx.now, error=error, outcome={})
    )
    news = [
        feed.NewEvent(
            event_type=_ENDED[RetryStatus.CANCELLED],
            run_id=row.run_id,
            video_id=row.video_id,
            segment_id=row.segment_id,
            payload={
                "retry_id": row.retry_id,
                "status": RetryStatus.CANCELLED.value,
                "error": error,
            },
        )
        for row in ended
    ]
    feed.append_all(tx, ended[0].owner_id, news)  # runs and media items have one owner each
    return len(ended)


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
        epoch=row.epoch,
        outcome={Operation(name): value for name, value in row.outcome.items()},
    )
