"""How media items stand in the runs over them."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, Select, func, select

from promptreel_server.domain.run import RunMedia, RunMediaStatus, Synthesis
from promptreel_server.domain.segment import SegmentRun, SegmentStatus
from promptreel_server.store.runs import run_media, run_segments, syntheses
from promptreel_server.store.schema.tables import run_media as run_media_table
from promptreel_server.store.schema.tables import run_segments as run_segments_table
from promptreel_server.store.schema.tables import runs

MOST_RUNS = 5
"""Runs that are told of a media item in a list; the newest ones."""
MOST_SEGMENTS = 1000
"""Segments that are told of a media item in one run; the first ones."""


@dataclass(frozen=True, kw_only=True)
class Standing:
    """How one media item stands in one run."""

    item: RunMedia
    prompt_id: str
    processing_segments: int = 0
    synthesis: Synthesis | None = None
    segments: tuple[SegmentRun, ...] = ()


Standings = Mapping[str, Sequence[Standing]]
"""Media id → how it stands in its newest runs."""


def of_media(
    connection: Connection, video_ids: Sequence[str], *, with_segments: bool = False
) -> Standings:
    """Answer how each media item stands in its newest runs, newest first."""
    found: defaultdict[str, list[Standing]] = defaultdict(list)
    for run_id, video_id, prompt_id in connection.execute(_newest(video_ids)):
        item = run_media.fetch(connection, run_id, video_id)
        found[video_id].append(
            Standing(
                item=item,
                prompt_id=prompt_id,
                processing_segments=_processing(connection, item),
                synthesis=syntheses.find(connection, run_id, video_id),
                segments=_segments(connection, item) if with_segments else (),
            )
        )
    return found


def _newest(video_ids: Sequence[str]) -> Select[str, str, str]:
    media = run_media_table
    rank = func.row_number().over(partition_by=media.c.video_id, order_by=media.c.run_id.desc())
    ranked = (
        select(media.c.run_id, media.c.video_id, rank.label("rank"))
        .where(media.c.video_id.in_(video_ids))
        .subquery()
    )
    return (
        select(ranked.c.run_id, ranked.c.video_id, runs.c.prompt_id)
        .join(runs, runs.c.run_id == ranked.c.run_id)
        .where(ranked.c.rank <= MOST_RUNS)
        .order_by(ranked.c.run_id.desc())
    )


def _processing(connection: Connection, item: RunMedia) -> int:
    if item.status is not RunMediaStatus.PROCESSING:
        return 0
    statement = (
        select(func.count())
        .select_from(run_segments_table)
        .where(
            run_segments_table.c.run_id == item.run_id,
            run_segments_table.c.status == SegmentStatus.PROCESSING,
            run_segments_table.c.video_id == item.video_id,
        )
    )
    return int(connection.execute(statement).scalar() or 0)


def _segments(connection: Connection, item: RunMedia) -> tuple[SegmentRun, ...]:
    return tuple(run_segments.batch(connection, item.run_id, item.video_id, limit=MOST_SEGMENTS))
