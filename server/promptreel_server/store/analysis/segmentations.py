"""Segmentations: cut once per media item and fingerprint, used by every run after that."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, delete, insert, select, update

from promptreel_server.domain.segment import Segment
from promptreel_server.errors import NotFound
from promptreel_server.store.schema.bulk_statements import Prepared
from promptreel_server.store.schema.columns import fraction_text, microseconds
from promptreel_server.store.schema.tables import segmentations, segments
from promptreel_server.store.schema.transaction import Transaction


@dataclass(frozen=True, kw_only=True)
class Segmentation:
    """One way a media item was cut, from its first instant to its last."""

    segmentation_id: str
    video_id: str
    fingerprint: str
    segment_count: int


def find(connection: Connection, video_id: str, fingerprint: str) -> Segmentation | None:
    """Answer the complete segmentation of a media item with this fingerprint."""
    row = connection.execute(
        select(segmentations).where(
            segmentations.c.video_id == video_id,
            segmentations.c.fingerprint == fingerprint,
            segmentations.c.complete,
        )
    ).one_or_none()
    return None if row is None else _segmentation(row)


class Superseded(Exception):
    """Another server has stored, or is storing, the same cut of the media item."""


def begin(tx: Transaction, found: Segmentation) -> None:
    """Open a segmentation to fill; what a crashed drive left of it goes away first.

    Raises:
        Superseded: a complete one of the same fingerprint is there; it is the one to use.
    """
    if find(tx.connection, found.video_id, found.fingerprint) is not None:
        raise Superseded(found.fingerprint)
    of_the_same = (
        segmentations.c.video_id == found.video_id,
        segmentations.c.fingerprint == found.fingerprint,
        segmentations.c.complete.is_(False),
    )
    stale = select(segmentations.c.segmentation_id).where(*of_the_same)
    tx.execute(delete(segments).where(segments.c.segmentation_id.in_(stale)))
    tx.execute(delete(segmentations).where(*of_the_same))
    tx.execute(
        insert(segmentations).values(
            segmentation_id=found.segmentation_id,
            video_id=found.video_id,
            fingerprint=found.fingerprint,
            complete=False,
            created_at=tx.now,
        )
    )


def add(tx: Transaction, segmentation_id: str, batch: Sequence[Segment]) -> None:
    """Write a batch of segments into an open segmentation."""
    now = microseconds(tx.now)
    rows = [
        (
            segment.segment_id,
            segmentation_id,
            segment.video_id,
            segment.ordinal,
            fraction_text(segment.start),
            fraction_text(segment.end),
            False,
            now,
        )
        for segment in batch
    ]
    _ADD.execute_all(tx, rows)


_ADD = Prepared(
    insert(segments),
    (
        *("segment_id", "segmentation_id", "video_id", "ordinal"),
        *("start", "end", "thumbnail", "created_at"),
    ),
)


def require_open(tx: Transaction, segmentation_id: str) -> None:
    """Check that a segmentation is still being filled.

    Raises:
        Superseded: another server has taken its place.
    """
    is_open = select(segmentations.c.complete).where(
        segmentations.c.segmentation_id == segmentation_id
    )
    if tx.execute(is_open).scalar() is not False:
        raise Superseded(segmentation_id)


def complete(tx: Transaction, found: Segmentation) -> None:
    """Seal a segmentation: from now on every run uses it, and nothing of it changes."""
    require_open(tx, found.segmentation_id)
    tx.execute(
        update(segmentations)
        .where(segmentations.c.segmentation_id == found.segmentation_id)
        .values(complete=True, segment_count=found.segment_count)
    )


def batch(
    connection: Connection, segmentation_id: str, *, after: int = -1, limit: int
) -> list[Segment]:
    """Answer the next segments of a segmentation after an ordinal."""
    statement = (
        select(segments)
        .where(segments.c.segmentation_id == segmentation_id, segments.c.ordinal > after)
        .order_by(segments.c.ordinal)
        .limit(limit)
    )
    return [segment_of(row) for row in connection.execute(statement)]


def fetch_segment(connection: Connection, segment_id: str) -> Segment:
    """Answer one segment.

    Raises:
        NotFound: there is none.
    """
    row = connection.execute(
        select(segments).where(segments.c.segment_id == segment_id)
    ).one_or_none()
    if row is None:
        raise unknown_segment(segment_id)
    return segment_of(row)


def unknown_segment(segment_id: str) -> NotFound:
    """Make the error that names a segment which is not there."""
    return NotFound(f"There is no segment {segment_id}.", details={"segment_id": segment_id})


def mark_thumbnails(tx: Transaction, segment_ids: Sequence[str]) -> None:
    """Note that these segments have a thumbnail on disk."""
    tx.execute(
        update(segments).where(segments.c.segment_id.in_(segment_ids)).values(thumbnail=True)
    )


def segment_of(row: Row[Any]) -> Segment:
    """Make the segment of a row of the table `segments`."""
    return Segment(
        segment_id=row.segment_id,
        video_id=row.video_id,
        ordinal=row.ordinal,
        start=row.start,
        end=row.end,
    )


def _segmentation(row: Row[Any]) -> Segmentation:
    return Segmentation(
        segmentation_id=row.segmentation_id,
        video_id=row.video_id,
        fingerprint=row.fingerprint,
        segment_count=row.segment_count,
    )
