"""The counters of runs and of their media items, moved on by what segments came to."""

from collections import Counter
from collections.abc import Mapping
from typing import Any

from sqlalchemy import Table, Update, bindparam, update

from promptreel_server.domain.operation import Operation, OperationState, OperationStatus
from promptreel_server.domain.run import RunMedia
from promptreel_server.domain.segment import SegmentStatus
from promptreel_server.store.schema.bulk_statements import Prepared
from promptreel_server.store.schema.columns import microseconds
from promptreel_server.store.schema.tables import run_media, runs
from promptreel_server.store.schema.transaction import Transaction

COUNTERS = (
    "completed_segments",
    "failed_segments",
    "cancelled_segments",
    *(f"{operation.value}_failures" for operation in Operation),
)


def contribution(
    status: SegmentStatus, operations: Mapping[Operation, OperationState]
) -> Counter[str]:
    """What one segment adds to the counters of its media item and run."""
    counts: Counter[str] = Counter()
    count(counts, status, operations)
    return counts


def count(
    counts: Counter[str], status: SegmentStatus, operations: Mapping[Operation, OperationState]
) -> None:
    """Count one segment; nothing where it is not done."""
    if not status.terminal:
        return
    counts[f"{status.value}_segments"] += 1
    if status is not SegmentStatus.COMPLETED:
        for operation, state in operations.items():
            if state.status is OperationStatus.FAILED:
                counts[f"{operation.value}_failures"] += 1


def _added(table: Table) -> Update:
    moved = {name: table.c[name] + bindparam(f"b_{name}") for name in COUNTERS}
    return update(table).where(table.c.run_id == bindparam("b_run")).values(moved)


_BINDS = tuple(f"b_{name}" for name in COUNTERS)
_TO_ITEM = (
    _added(run_media)
    .where(run_media.c.video_id == bindparam("b_video"))
    .values({"updated_at": bindparam("b_now")})
)
_TO_ITEM_NAMES = (*_BINDS, "b_run", "b_video", "b_now")
_ADD_TO_ITEM = Prepared(_TO_ITEM, _TO_ITEM_NAMES)
_ADD_TO_HELD = Prepared(
    _TO_ITEM.where(run_media.c.epoch == bindparam("b_epoch")), (*_TO_ITEM_NAMES, "b_epoch")
)
_ADD_TO_RUN = Prepared(
    _added(runs).returning(
        runs.c.total_segments,
        runs.c.completed_segments,
        runs.c.failed_segments,
        runs.c.cancelled_segments,
    ),
    (*_BINDS, "b_run"),
)


def add(tx: Transaction, item: RunMedia, counts: Counter[str]) -> None:
    """Count for a media item and its run, whoever drives it."""
    _ADD_TO_ITEM.execute(tx, (*_values(counts), item.run_id, item.video_id, microseconds(tx.now)))
    _ADD_TO_RUN.execute(tx, (*_values(counts), item.run_id)).close()


def add_held(tx: Transaction, item: RunMedia, counts: Counter[str]) -> bool:
    """Count for a media item; False, and nothing is counted, where another drive has taken it."""
    row = (*_values(counts), item.run_id, item.video_id, microseconds(tx.now), item.epoch)
    return _ADD_TO_HELD.execute(tx, row).rowcount == 1


def add_to_run(tx: Transaction, run_id: str, counts: Counter[str]) -> dict[str, Any]:
    """Count for a run; answers how many segments it has and has done."""
    row = _ADD_TO_RUN.execute(tx, (*_values(counts), run_id)).one()
    return dict(row._mapping)


def _values(counts: Counter[str]) -> tuple[int, ...]:
    return tuple(counts[name] for name in COUNTERS)
