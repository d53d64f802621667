"""Compares what runs list with what they count: every segment that is done must be listed."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, Connection, exists, func, insert, literal, select

from promptreel_server.domain.segment import SegmentStatus
from promptreel_server.store.schema.tables import run_media, run_segments, runs, segments
from promptreel_server.store.schema.tables import segmentations as cuts
from promptreel_server.store.schema.transaction import Transaction

DONE = (SegmentStatus.COMPLETED, SegmentStatus.FAILED, SegmentStatus.CANCELLED)


@dataclass(frozen=True, kw_only=True)
class Unlisted:
    """Segments of a media item in a run that are counted and that no page lists."""

    run_id: str
    video_id: str
    segments: int
    """Rows whose segment is gone: a page has no times to show them with."""
    missing: int
    """Segments that are counted and have no row at all; their results can't be brought back."""


def unlisted(connection: Connection, ended_since: datetime | None = None) -> list[Unlisted]:
    """Name what is counted and not listed, in all runs, or in those that ended since an instant."""
    recent = select(runs.c.run_id)
    if ended_since is not None:
        recent = recent.where(runs.c.completed_at >= ended_since)
    done = _rows(run_segments.c.status.in_(DONE))
    gone = _rows(~exists().where(segments.c.segment_id == run_segments.c.segment_id))
    counted = (
        run_media.c.completed_segments
        + run_media.c.failed_segments
        + run_media.c.cancelled_segments
    )
    statement = select(
        run_media.c.run_id,
        run_media.c.video_id,
        gone.label("gone"),
        (counted - done).label("missing"),
    ).where(run_media.c.run_id.in_(recent), run_media.c.segmentation_id.is_not(None))
    return [
        Unlisted(
            run_id=row.run_id, video_id=row.video_id, segments=row.gone, missing=max(row.missing, 0)
        )
        for row in connection.execute(statement)
        if row.gone or row.missing > 0
    ]


def _rows(condition: ColumnElement[bool]) -> ColumnElement[int]:
    return (
        select(func.count())
        .select_from(run_segments)
        .where(
            run_segments.c.run_id == run_media.c.run_id,
            run_segments.c.video_id == run_media.c.video_id,
            condition,
        )
        .correlate(run_media)
        .scalar_subquery()
    )


def mend(tx: Transaction, found: Sequence[Unlisted]) -> int:
    """Give segments that are gone their times back, from another cut of the medium that is alike.

    Answers how many rows are listed again. A medium that no other complete segmentation of as many
    segments is left of keeps its rows as they are.
    """
    mended = 0
    for one in found:
        total = select(run_media.c.total_segments).where(
            run_media.c.run_id == one.run_id, run_media.c.video_id == one.video_id
        )
        alike = tx.execute(
            select(cuts.c.segmentation_id).where(
                cuts.c.video_id == one.video_id,
                cuts.c.complete,
                cuts.c.segment_count == total.scalar_subquery(),
            )
        ).scalar()
        if alike is None:
            continue
        lost = f"restored_{one.run_id}_{one.video_id}"
        times = (
            select(
                run_segments.c.segment_id,
                literal(lost),
                run_segments.c.video_id,
                run_segments.c.ordinal,
                segments.c.start,
                segments.c.end,
                literal(False),
                segments.c.created_at,
            )
            .join(
                segments,
                (segments.c.segmentation_id == alike)
                & (segments.c.ordinal == run_segments.c.ordinal),
            )
            .where(
                run_segments.c.run_id == one.run_id,
                run_segments.c.video_id == one.video_id,
                ~exists()
                .where(segments.alias("kept").c.segment_id == run_segments.c.segment_id)
                .correlate(run_segments),
            )
        )
        columns = ["segment_id", "segmentation_id", "video_id", "ordinal", "start", "end"]
        into = insert(segments).from_select([*columns, "thumbnail", "created_at"], times)
        mended += tx.execute(into.execution_options(preserve_rowcount=True)).rowcount
    return mended
