"""Compares what runs list with what they count: every segment that is done must be listed."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import (
    ColumnElement,
    Connection,
    Select,
    String,
    cast,
    exists,
    func,
    insert,
    literal,
    select,
)

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
    """Give segments that are gone their times back, from the cut that took the place of theirs.

    That is the complete segmentation of as many segments that a run of the very same settings
    refers to; where there is none, the rows stay as they are. Answers how many are listed again.
    """
    mended = 0
    for one in found:
        alike = tx.execute(_same_cut(one)).scalar()
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


def _same_cut(one: Unlisted) -> Select[str]:
    """The segmentations that runs of the same settings refer to, of as many segments."""
    other, other_run = run_media.alias("other"), runs.alias("other_run")
    settings = cast(runs.c.settings, String) == cast(other_run.c.settings, String)
    return (
        select(cuts.c.segmentation_id)
        .join(other, other.c.segmentation_id == cuts.c.segmentation_id)
        .join(other_run, other_run.c.run_id == other.c.run_id)
        .join(runs, settings)
        .join(
            run_media,
            (run_media.c.run_id == runs.c.run_id) & (run_media.c.video_id == cuts.c.video_id),
        )
        .where(
            runs.c.run_id == one.run_id,
            cuts.c.video_id == one.video_id,
            cuts.c.complete,
            cuts.c.segment_count == run_media.c.total_segments,
        )
        .order_by(cuts.c.segmentation_id)
    )
