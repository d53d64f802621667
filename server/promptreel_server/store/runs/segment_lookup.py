"""The segments that media items were ever cut into, each as it stands in its latest run."""

from collections.abc import Sequence

from sqlalchemy import Connection, func, select, tuple_

from promptreel_server.domain.media import MediaItem
from promptreel_server.domain.page import Page, Slice
from promptreel_server.domain.segment import Segment, SegmentRun
from promptreel_server.errors import NotFound
from promptreel_server.store.analysis.segmentations import (
    fetch_segment,
    segment_of,
    unknown_segment,
)
from promptreel_server.store.catalogue import media
from promptreel_server.store.runs import run_segments
from promptreel_server.store.schema.tables import run_media, segments
from promptreel_server.store.schema.tables import run_segments as run_segments_table

Cut = tuple[Segment, SegmentRun | None]


def page_of_video(connection: Connection, video_id: str, wanted: Slice) -> Page[Cut]:
    """Answer a page of the segments of a media item, cutting by cutting, by start time."""
    statement = (
        select(segments)
        .where(segments.c.video_id == video_id)
        .order_by(segments.c.segmentation_id, segments.c.ordinal)
        .limit(wanted.limit + 1)
    )
    if wanted.after is not None:
        key = tuple_(segments.c.segmentation_id, segments.c.ordinal)
        statement = statement.where(key > tuple_(*wanted.after))
    rows = connection.execute(statement).all()
    kept = rows[: wanted.limit]
    after = (kept[-1].segmentation_id, kept[-1].ordinal) if len(rows) > wanted.limit else None
    standing = _latest(connection, [row.segment_id for row in kept])
    cuts = tuple((segment_of(row), standing.get(row.segment_id)) for row in kept)
    return Page(items=cuts, after=after)


def latest_run(connection: Connection, owner_id: str, video_id: str) -> str | None:
    """Answer the newest run over a media item, None where no run has covered it."""
    statement = select(func.max(run_media.c.run_id)).where(
        run_media.c.video_id == video_id, run_media.c.owner_id == owner_id
    )
    return connection.execute(statement).scalar()


def fetch(connection: Connection, owner_id: str, segment_id: str) -> tuple[MediaItem, Segment]:
    """Answer a segment of an owner with its media item.

    Raises:
        NotFound: the owner has no such segment.
    """
    segment = fetch_segment(connection, segment_id)
    try:
        return media.fetch(connection, owner_id, segment.video_id), segment
    except NotFound as error:  # somebody else's: say the same as of one that does not exist
        raise unknown_segment(segment_id) from error


def first_with_thumbnail(connection: Connection, video_ids: Sequence[str]) -> dict[str, str]:
    """Answer, by media item, its first segment that has a thumbnail on disk."""
    rank = func.row_number().over(
        partition_by=segments.c.video_id, order_by=(segments.c.ordinal, segments.c.segment_id)
    )
    ranked = (
        select(segments.c.video_id, segments.c.segment_id, rank.label("rank"))
        .where(segments.c.video_id.in_(video_ids), segments.c.thumbnail)
        .subquery()
    )
    statement = select(ranked.c.video_id, ranked.c.segment_id).where(ranked.c.rank == 1)
    return {row.video_id: row.segment_id for row in connection.execute(statement)}


def _latest(connection: Connection, segment_ids: list[str]) -> dict[str, SegmentRun]:
    table = run_segments_table
    statement = (
        select(table.c.segment_id, func.max(table.c.run_id))
        .where(table.c.segment_id.in_(segment_ids))
        .group_by(table.c.segment_id)
    )
    latest = [(run_id, segment_id) for segment_id, run_id in connection.execute(statement)]
    return run_segments.of_segments(connection, latest)
