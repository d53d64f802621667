"""The media items of a run: claimed by one drive at a time, fenced by their epoch."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, Row, delete, exists, insert, literal, select, tuple_, update

from promptreel_server.domain.event import EventType
from promptreel_server.domain.media import MediaStatus
from promptreel_server.domain.operation import Operation, OperationStatus
from promptreel_server.domain.run import Run, RunMedia, RunMediaStatus
from promptreel_server.domain.segment import SegmentStatus
from promptreel_server.errors import NotFound
from promptreel_server.store import feed
from promptreel_server.store.catalogue import media
from promptreel_server.store.runs import retries, runs
from promptreel_server.store.schema.columns import either_of, spelt_out
from promptreel_server.store.schema.tables import media as media_table
from promptreel_server.store.schema.tables import retries as retries_table
from promptreel_server.store.schema.tables import run_media, run_segments, segments
from promptreel_server.store.schema.tables import runs as runs_table
from promptreel_server.store.schema.transaction import Fenced, Transaction

OPEN = (RunMediaStatus.PENDING, RunMediaStatus.PROCESSING)

_IS_OPEN = spelt_out(run_media.c.status, OPEN)

_EVENT: Mapping[RunMediaStatus, EventType] = {
    RunMediaStatus.COMPLETED: EventType.MEDIA_PROCESSING_COMPLETED,
    RunMediaStatus.PARTIAL: EventType.MEDIA_PROCESSING_COMPLETED,
    RunMediaStatus.FAILED: EventType.MEDIA_PROCESSING_FAILED,
    RunMediaStatus.CANCELLED: EventType.MEDIA_PROCESSING_FAILED,
}

MEDIA_STATUS: Mapping[RunMediaStatus, MediaStatus] = {
    RunMediaStatus.COMPLETED: MediaStatus.PROCESSED,
    RunMediaStatus.PARTIAL: MediaStatus.PROCESSED,
    RunMediaStatus.FAILED: MediaStatus.FAILED,
    RunMediaStatus.CANCELLED: MediaStatus.NOT_PROCESSED,
}
"""What the end of its latest run makes of a media item."""


def claim(tx: Transaction, run: Run, video_id: str) -> RunMedia | None:
    """Take a media item for a drive; None where it has ended.

    Whoever held it before is fenced from now on: its writes carry an older epoch.
    """
    row = tx.execute(
        update(run_media)
        .where(
            run_media.c.run_id == run.run_id,
            run_media.c.video_id == video_id,
            run_media.c.status.in_(OPEN),
        )
        .values(epoch=run_media.c.epoch + 1, updated_at=tx.now)
        .returning(run_media)
    ).one_or_none()
    return None if row is None else _run_media(row)


def start(tx: Transaction, run: Run, item: RunMedia) -> None:
    """Move a pending media item, and its run, to processing; nothing where they have moved on."""
    runs.start(tx, run)
    moved = tx.execute(
        update(run_media)
        .where(*_held(item), run_media.c.status == RunMediaStatus.PENDING)
        .values(status=RunMediaStatus.PROCESSING, updated_at=tx.now)
    ).rowcount
    if moved:
        feed.append(
            tx,
            item.owner_id,
            EventType.MEDIA_PROCESSING_STARTED,
            run_id=item.run_id,
            video_id=item.video_id,
            index_id=item.index_id,
            payload={"status": RunMediaStatus.PROCESSING.value, "title": item.title},
        )


class IncompletePlan(Exception):
    """A segmentation lacks segments that it counts; planning it would lose them silently."""


def require_held(tx: Transaction, item: RunMedia) -> None:
    """Check the epoch of a drive within the transaction that it writes in.

    Raises:
        Fenced: a later drive has claimed the media item.
    """
    if not held(tx.connection, item):
        raise Fenced(f"{item.video_id} of {item.run_id} is held by a later drive")


def clear_plan(tx: Transaction, item: RunMedia) -> None:
    """Take back what a crashed drive had planned; nothing of it was begun.

    Raises:
        Fenced: a later drive has claimed the media item.
    """
    require_held(tx, item)
    tx.execute(
        delete(run_segments).where(
            run_segments.c.run_id == item.run_id, run_segments.c.video_id == item.video_id
        )
    )


def plan(
    tx: Transaction,
    item: RunMedia,
    segmentation_id: str,
    ordinals: range,
    operations: Mapping[Operation, OperationStatus],
) -> None:
    """Write a stretch of a segmentation into the run, each segment still to be done.

    Raises:
        Fenced: a later drive has claimed the media item.
        IncompletePlan: the segmentation has not all of these segments.
    """
    require_held(tx, item)
    columns = ["run_id", "video_id", "status"]
    values: list[Any] = [item.run_id, item.video_id, SegmentStatus.PENDING]
    for operation, status in operations.items():
        columns.append(f"{operation.value}_status")
        values.append(status)
    fixed = [
        literal(value, type_=run_segments.c[name].type).label(name)
        for name, value in zip(columns, values, strict=True)
    ]
    cut = select(segments.c.segment_id, segments.c.ordinal, *fixed).where(
        segments.c.segmentation_id == segmentation_id,
        segments.c.ordinal >= ordinals.start,
        segments.c.ordinal < ordinals.stop,
    )
    into = insert(run_segments).from_select(["segment_id", "ordinal", *columns], cut)
    written = tx.execute(into.execution_options(preserve_rowcount=True))
    if written.rowcount != len(ordinals):
        raise IncompletePlan(
            f"segmentation {segmentation_id} has {written.rowcount} of the segments "
            f"{ordinals.start} to {ordinals.stop - 1}"
        )


def planned(
    tx: Transaction, item: RunMedia, segmentation_id: str, count: int, *, new: bool
) -> None:
    """Note that all segments of a media item are planned, and count them in."""
    moved = tx.execute(
        update(run_media)
        .where(*_held(item), run_media.c.segmentation_id.is_(None))
        .values(segmentation_id=segmentation_id, total_segments=count, updated_at=tx.now)
    ).rowcount
    if not moved:
        return
    values: dict[str, Any] = {"total_segments": runs_table.c.total_segments + count}
    if new:
        values["created_new_segments"] = True
    tx.execute(update(runs_table).where(runs_table.c.run_id == item.run_id).values(values))
    feed.append(
        tx,
        item.owner_id,
        EventType.RUN_PROGRESS,
        run_id=item.run_id,
        video_id=item.video_id,
        index_id=item.index_id,
        payload={"phase": "extracting", "total_segments": count},
    )


def held(connection: Connection, item: RunMedia) -> bool:
    """Tell whether the drive that claimed this still holds it."""
    statement = select(run_media.c.epoch).where(*_held(item))
    return connection.execute(statement).scalar() is not None


def _held(item: RunMedia) -> tuple[Any, ...]:
    return (
        run_media.c.run_id == item.run_id,
        run_media.c.video_id == item.video_id,
        run_media.c.epoch == item.epoch,
    )


def close(tx: Transaction, item: RunMedia, *, error_message: str | None = None) -> RunMedia | None:
    """End a media item by what its segments came to, recount the run, close it if it was the last.

    None where another drive has taken it over.
    """
    row = tx.execute(select(run_media).where(*_held(item))).one_or_none()
    if row is None:
        return None
    status = _ended_status(row, failed=error_message is not None)
    settle(tx, _run_media(row), status, error_message=error_message)
    return fetch(tx.connection, item.run_id, item.video_id)


def settle(
    tx: Transaction, item: RunMedia, status: RunMediaStatus, *, error_message: str | None = None
) -> None:
    """Give a media item a terminal status, tell it, and recount and close the run."""
    _turn(tx, item, status, error_message)
    runs.close(tx, item.run_id)


def _turn(
    tx: Transaction, item: RunMedia, status: RunMediaStatus, error_message: str | None
) -> None:
    """Give a media item a terminal status, tell it, and count it."""
    tx.execute(
        update(run_media)
        .where(run_media.c.run_id == item.run_id, run_media.c.video_id == item.video_id)
        .values(status=status, error_message=error_message, updated_at=tx.now)
    )
    feed.append(
        tx,
        item.owner_id,
        _EVENT[status],
        run_id=item.run_id,
        video_id=item.video_id,
        index_id=item.index_id,
        payload={"status": status.value, "error_message": error_message},
    )
    runs.count_media(tx, item.run_id, item.media_type, item.status, status)


def _ended_status(row: Row[Any], *, failed: bool) -> RunMediaStatus:
    if failed:
        return RunMediaStatus.FAILED
    if row.cancelled_segments or row.segmentation_id is None:
        return RunMediaStatus.CANCELLED
    if row.failed_segments == 0:
        return RunMediaStatus.COMPLETED
    partly = row.completed_segments or row.field_extraction_failures < row.failed_segments
    return RunMediaStatus.PARTIAL if partly else RunMediaStatus.FAILED


def restate(tx: Transaction, run_id: str, video_id: str) -> None:
    """Give a media item that had ended the status that its counters now say (after a retry)."""
    row = tx.execute(
        select(run_media).where(run_media.c.run_id == run_id, run_media.c.video_id == video_id)
    ).one()
    if row.status in OPEN:
        return
    status = _ended_status(row, failed=False)
    if status is not row.status:
        message = None if status is RunMediaStatus.COMPLETED else row.error_message
        _turn(tx, _run_media(row), status, message)
        if of_video(tx.connection, video_id, 1)[0].run_id == run_id:
            media.set_status(tx, [video_id], MEDIA_STATUS[status])
    runs.close(tx, run_id)


def fetch(connection: Connection, run_id: str, video_id: str) -> RunMedia:
    """Answer one media item of a run.

    Raises:
        NotFound: the run does not cover it.
    """
    row = connection.execute(
        select(run_media).where(run_media.c.run_id == run_id, run_media.c.video_id == video_id)
    ).one_or_none()
    if row is None:
        raise NotFound(
            f"Run {run_id} does not cover {video_id}.",
            details={"run_id": run_id, "video_id": video_id},
        )
    return _run_media(row)


def of_keys(
    connection: Connection, keys: Sequence[tuple[str, str]]
) -> dict[tuple[str, str], RunMedia]:
    """Answer media items of runs by run id and media id."""
    named = either_of(run_media.c.run_id, run_media.c.video_id, keys)
    found = map(_run_media, connection.execute(select(run_media).where(named)))
    return {(item.run_id, item.video_id): item for item in found}


def of_run(connection: Connection, run_id: str) -> list[RunMedia]:
    """Answer the media items of a run, in its order."""
    statement = select(run_media).where(run_media.c.run_id == run_id).order_by(run_media.c.ordinal)
    return [_run_media(row) for row in connection.execute(statement)]


def closed(connection: Connection, run_id: str) -> dict[str, bool]:
    """Answer which media items of a run take no new work, and whether they are gone altogether."""
    statement = (
        select(run_media.c.video_id, media_table.c.video_id.is_(None))
        .outerjoin(
            media_table,
            (media_table.c.video_id == run_media.c.video_id)
            & (media_table.c.owner_id == run_media.c.owner_id),
        )
        .where(
            run_media.c.run_id == run_id,
            media_table.c.video_id.is_(None) | media_table.c.deletion_id.is_not(None),
        )
    )
    return {video_id: bool(gone) for video_id, gone in connection.execute(statement)}


def of_video(connection: Connection, video_id: str, limit: int) -> list[RunMedia]:
    """Answer how a media item stands in its newest runs, newest first."""
    statement = (
        select(run_media)
        .where(run_media.c.video_id == video_id)
        .order_by(run_media.c.run_id.desc())
        .limit(limit)
    )
    return [_run_media(row) for row in connection.execute(statement)]


def undone(connection: Connection, limit: int, after: tuple[str, str] = ("", "")) -> list[RunMedia]:
    """Answer media items that no drive has ended yet, oldest run first: for recovery.

    Those that a retry cuts anew are left to it: a second drive would fence the first.
    """
    run_id, video_id = after
    retried = exists().where(
        retries_table.c.run_id == run_media.c.run_id,
        retries_table.c.video_id == run_media.c.video_id,
        retries.IS_OPEN,
    )
    key = tuple_(run_media.c.run_id, run_media.c.video_id)
    statement = (
        select(run_media)
        .where(_IS_OPEN, key > tuple_(run_id, video_id), ~retried)
        .order_by(run_media.c.run_id, run_media.c.video_id)
        .limit(limit)
    )
    return [_run_media(row) for row in connection.execute(statement)]


def waiting_to_stop(connection: Connection, limit: int) -> list[RunMedia]:
    """Answer media items that no drive has taken yet, of runs that are asked to stop."""
    statement = (
        select(run_media)
        .join(runs_table, runs_table.c.run_id == run_media.c.run_id)
        .where(
            run_media.c.status == RunMediaStatus.PENDING,
            run_media.c.epoch == 0,
            runs_table.c.stop_requested_at.is_not(None),
            runs_table.c.stop_completed_at.is_(None),
        )
        .limit(limit)
    )
    return [_run_media(row) for row in connection.execute(statement)]


def cancel_waiting(tx: Transaction, limit: int) -> None:
    """End media items that no drive has taken yet, of runs that are asked to stop."""
    for item in waiting_to_stop(tx.connection, limit):
        runs.observe_stop(tx, item.run_id)
        settle(tx, item, RunMediaStatus.CANCELLED)


def _run_media(row: Row[Any]) -> RunMedia:
    return RunMedia(
        run_id=row.run_id,
        video_id=row.video_id,
        owner_id=row.owner_id,
        ordinal=row.ordinal,
        media_type=row.media_type,
        title=row.title,
        index_id=row.index_id,
        status=row.status,
        epoch=row.epoch,
        segmentation_id=row.segmentation_id,
        total_segments=row.total_segments,
        completed_segments=row.completed_segments,
        failed_segments=row.failed_segments,
        cancelled_segments=row.cancelled_segments,
        error_message=row.error_message,
        created_at=row.created_at,
        updated_at=row.updated_at,
    )
