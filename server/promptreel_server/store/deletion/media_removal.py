"""What goes with a media item: its place in runs, its segments and all that hangs on them."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Table, delete, exists, func, select, tuple_, update

from promptreel_server.domain.media import MediaItem, MediaType
from promptreel_server.domain.run import RunMediaStatus, SynthesisStatus
from promptreel_server.store.catalogue import media
from promptreel_server.store.runs import run_media, runs
from promptreel_server.store.runs.retries import IS_OPEN, cancel_of_media
from promptreel_server.store.schema.tables import (
    attempts,
    embeddings,
    llm_calls,
    retries,
    run_segments,
    segmentations,
    segments,
    signals,
    syntheses,
)
from promptreel_server.store.schema.tables import run_media as run_media_table
from promptreel_server.store.schema.tables import runs as runs_table
from promptreel_server.store.schema.transaction import Transaction

DELETED = "The media item is being deleted."
"""Why a retry of it was cancelled."""

_BULK: tuple[tuple[Table, tuple[str, ...]], ...] = (
    (run_segments, ("run_id", "video_id", "ordinal")),
    (llm_calls, ("llm_call_id",)),
    (embeddings, ("segment_id", "space", "ordinal")),
)
"""The large tables that name the media item, with the keys by which they are removed in steps."""


def give_up(tx: Transaction, video_id: str) -> None:
    """Cancel what waits for a media item; what is in hand sees that it is being deleted."""
    cancel_of_media(tx, video_id, DELETED)
    waiting = select(run_media_table.c.run_id).where(
        run_media_table.c.video_id == video_id,
        run_media_table.c.status == RunMediaStatus.PENDING,
        run_media_table.c.epoch == 0,  # what was claimed is in hand, and ends itself
    )
    for run_id in tx.execute(waiting).scalars().all():
        item = run_media.fetch(tx.connection, run_id, video_id)
        run_media.settle(tx, item, RunMediaStatus.CANCELLED)


def in_hand(connection: Connection, video_id: str) -> bool:
    """Tell whether a run or a retry still works on a media item."""
    driven = select(run_media_table.c.run_id).where(
        run_media_table.c.video_id == video_id, run_media_table.c.status.in_(run_media.OPEN)
    )
    retried = select(retries.c.retry_id).where(retries.c.video_id == video_id, IS_OPEN)
    return bool(connection.execute(select(exists(driven) | exists(retried))).scalar())


def remove_step(tx: Transaction, video_id: str, most: int) -> bool:
    """Remove at most `most` rows of each large table; answers whether more may be left.

    Segments go last: attempts name nothing but them.
    """
    removed = _remove_attempts(tx, video_id, most)
    for table, names in _BULK:
        removed += _remove_some(tx, table, names, video_id, most)
    if not removed:
        removed = _remove_some(tx, segments, ("segment_id",), video_id, most)
    return bool(removed)


def finish(tx: Transaction, item: MediaItem) -> None:
    """Remove what is left of a media item, recount the runs it was in, drop those now empty."""
    covering = select(run_media_table.c.run_id).where(run_media_table.c.video_id == item.video_id)
    run_ids = tx.execute(covering).scalars().all()
    small: Sequence[Table] = (
        retries,
        syntheses,
        signals,
        segmentations,
        run_media_table,
    )
    for table in small:
        tx.execute(delete(table).where(table.c.video_id == item.video_id))
    for run_id in run_ids:
        _recount(tx, run_id, item)
    media.remove(tx, item.video_id)


def _remove_some(
    tx: Transaction, table: Table, names: Sequence[str], video_id: str, most: int
) -> int:
    key = [table.c[name] for name in names]
    chosen = select(*key).where(table.c.video_id == video_id).limit(most)
    return tx.execute(delete(table).where(tuple_(*key).in_(chosen))).rowcount


def _remove_attempts(tx: Transaction, video_id: str, most: int) -> int:
    """Remove attempts, which name a segment only."""
    key = (attempts.c.run_id, attempts.c.segment_id, attempts.c.operation, attempts.c.attempt)
    of_video = select(segments.c.segment_id).where(segments.c.video_id == video_id)
    chosen = select(*key).where(attempts.c.segment_id.in_(of_video)).limit(most)
    return tx.execute(delete(attempts).where(tuple_(*key).in_(chosen))).rowcount


def _recount(tx: Transaction, run_id: str, item: MediaItem) -> None:
    """Make a run's counters what its remaining media items say."""
    here = run_media_table.c.run_id == run_id
    rows = tx.execute(select(run_media_table).where(here)).all()
    if not rows:
        tx.execute(delete(runs_table).where(runs_table.c.run_id == run_id))
        return
    values: dict[str, Any] = {
        "total_media": len(rows),
        "done_media": sum(row.status.terminal for row in rows),
        "total_seconds": runs_table.c.total_seconds - float(item.facts.duration),
        **_media_counts(rows),
        **_video_level_counts(tx, run_id),
    }
    for name in _SUMMED:
        values[name] = sum(getattr(row, name) for row in rows)
    tx.execute(update(runs_table).where(runs_table.c.run_id == run_id).values(values))
    runs.close(tx, run_id)


_SUMMED = (
    "total_segments",
    "completed_segments",
    "failed_segments",
    "cancelled_segments",
    "field_extraction_failures",
    "transcription_failures",
    "image_embedding_failures",
)
_COUNTED = (
    RunMediaStatus.COMPLETED,
    RunMediaStatus.FAILED,
    RunMediaStatus.PARTIAL,
    RunMediaStatus.CANCELLED,
)


def _media_counts(rows: Sequence[Any]) -> dict[str, int]:
    counts: dict[str, int] = {}
    for kind in MediaType:
        alike = [row.status for row in rows if row.media_type is kind]
        counts[f"total_{kind.value}s"] = len(alike)
        for status in _COUNTED:
            counts[f"{status.value}_{kind.value}s"] = alike.count(status)
    return counts


def _video_level_counts(tx: Transaction, run_id: str) -> dict[str, int]:
    statement = (
        select(syntheses.c.status, func.count().label("members"))
        .where(syntheses.c.run_id == run_id)
        .group_by(syntheses.c.status)
    )
    found: dict[SynthesisStatus, int] = {}
    for row in tx.execute(statement):
        found[row.status] = row.members
    ended = (SynthesisStatus.COMPLETED, SynthesisStatus.FAILED, SynthesisStatus.PARTIAL)
    return {
        "video_level_total": sum(found.values()),
        **{f"video_level_{status.value}": found.get(status, 0) for status in ended},
    }
