"""How media items stand in the runs over them."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, Select, func, select

from promptreel_server.domain.run import RunMedia, RunMediaStatus, Synthesis
from promptreel_server.domain.segment import SegmentRun, SegmentStatus
from promptreel_server.store.runs import run_media, run_segments, syntheses
from promptreel_server.store.schema.columns import either_of
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
    newest = connection.execute(_newest(video_ids)).all()
    keys = [(row.run_id, row.video_id) for row in newest]
    items = run_media.of_keys(connection, keys)
    going = [key for key in keys if items[key].status is RunMediaStatus.PROCESSING]
    processing = _processing(connection, going)
    made = syntheses.of_keys(connection, keys)
    segments = run_segments.first_of(connection, keys, MOST_SEGMENTS) if with_segments else {}
    found: defaultdict[str, list[Standing]] = defaultdict(list)
    for run_id, video_id, prompt_id in newest:
        key = (run_id, video_id)
        found[video_id].append(
            Standing(
                item=items[key],
                prompt_id=prompt_id,
                processing_segments=processing.get(key, 0),
                synthesis=made.get(key),
                segments=tuple(segments.get(key, ())),
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


def _processing(
    connection: Connection, keys: Sequence[tuple[str, str]]
) -> dict[tuple[str, str], int]:
    """Count the segments that are worked on, by run id and media id."""
    if not keys:
        return {}
    table = run_segments_table
    statement = (
        select(table.c.run_id, table.c.video_id, func.count())
        .where(
            either_of(table.c.run_id, table.c.video_id, keys),
            table.c.status == SegmentStatus.PROCESSING,
        )
        .group_by(table.c.run_id, table.c.video_id)
    )
    return {(run_id, video_id): count for run_id, video_id, count in connection.execute(statement)}
