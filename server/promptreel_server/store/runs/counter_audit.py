"""Counts again what is kept as counters, and finds runs that nothing will ever end."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, Table, and_, case, func, select, update

from promptreel_server.domain.media import MediaType
from promptreel_server.domain.operation import Operation, OperationStatus
from promptreel_server.domain.run import RunMediaStatus, RunStatus, SynthesisStatus
from promptreel_server.domain.segment import SegmentStatus
from promptreel_server.store.runs import runs as runs_of_owners
from promptreel_server.store.schema.tables import run_media, run_segments, runs, syntheses
from promptreel_server.store.schema.transaction import Transaction

TERMINAL_SEGMENTS = (SegmentStatus.COMPLETED, SegmentStatus.FAILED, SegmentStatus.CANCELLED)
OPEN_RUNS = (RunStatus.PENDING, RunStatus.PROCESSING)


@dataclass(frozen=True, kw_only=True)
class Miscount:
    """A counter that does not say what the rows say."""

    table: str
    key: tuple[str, ...]
    counter: str
    says: int
    counted: int


def miscounts(connection: Connection) -> list[Miscount]:
    """Compare the counters of all media items and runs with the rows they count."""
    return [*_of_run_media(connection), *_of_runs(connection)]


def mend(tx: Transaction, found: list[Miscount]) -> None:
    """Write what was counted into the counters."""
    for one in found:
        table = run_media if one.table == run_media.name else runs
        statement = update(table).values({one.counter: one.counted})
        for column, value in zip(table.primary_key.columns, one.key, strict=True):
            statement = statement.where(column == value)
        tx.execute(statement)


def stuck(connection: Connection) -> list[str]:
    """Name the runs that stand open although all their media items have ended."""
    undone = (
        select(run_media.c.run_id)
        .where(
            run_media.c.run_id == runs.c.run_id,
            run_media.c.status.in_((RunMediaStatus.PENDING, RunMediaStatus.PROCESSING)),
        )
        .exists()
    )
    statement = select(runs.c.run_id).where(runs.c.status.in_(OPEN_RUNS), ~undone)
    return list(connection.execute(statement).scalars())


def close(tx: Transaction, run_ids: list[str]) -> None:
    """Give stuck runs the status that their counters say."""
    for run_id in run_ids:
        runs_of_owners.close(tx, run_id)


def _sum(condition: ColumnElement[bool]) -> ColumnElement[int]:
    return func.coalesce(func.sum(case((condition, 1), else_=0)), 0)


def _of_run_media(connection: Connection) -> Iterator[Miscount]:
    counted = {
        f"{status.value}_segments": _sum(run_segments.c.status == status)
        for status in TERMINAL_SEGMENTS
    }
    for operation in Operation:
        failed = run_segments.c[f"{operation.value}_status"] == OperationStatus.FAILED
        done = run_segments.c.status.in_(TERMINAL_SEGMENTS)
        counted[f"{operation.value}_failures"] = _sum(and_(failed, done))
    counted["total_segments"] = func.count(run_segments.c.segment_id)
    joined = run_media.outerjoin(
        run_segments,
        and_(
            run_segments.c.run_id == run_media.c.run_id,
            run_segments.c.video_id == run_media.c.video_id,
        ),
    )
    statement = (
        select(*_labelled(run_media, counted))
        .select_from(joined)
        .where(run_media.c.segmentation_id.is_not(None))
        .group_by(run_media.c.run_id, run_media.c.video_id)
    )
    yield from _differences(connection, run_media, statement, tuple(counted))


def _of_runs(connection: Connection) -> Iterator[Miscount]:
    counted: dict[str, Any] = {
        name: func.coalesce(func.sum(run_media.c[name]), 0)
        for name in (
            "total_segments",
            *(f"{status.value}_segments" for status in TERMINAL_SEGMENTS),
            *(f"{operation.value}_failures" for operation in Operation),
        )
    }
    for kind in MediaType:
        for status in RunMediaStatus:
            if status.terminal:
                here = and_(run_media.c.media_type == kind, run_media.c.status == status)
                counted[f"{status.value}_{kind.value}s"] = _sum(here)
    for made in (SynthesisStatus.COMPLETED, SynthesisStatus.FAILED, SynthesisStatus.PARTIAL):
        counted[f"video_level_{made.value}"] = (
            select(func.count())
            .select_from(syntheses)
            .where(syntheses.c.run_id == runs.c.run_id, syntheses.c.status == made)
            .scalar_subquery()
        )
    statement = (
        select(*_labelled(runs, counted))
        .select_from(runs.outerjoin(run_media, run_media.c.run_id == runs.c.run_id))
        .group_by(runs.c.run_id)
    )
    yield from _differences(connection, runs, statement, tuple(counted))


def _labelled(table: Table, counted: dict[str, Any]) -> Iterator[ColumnElement[Any]]:
    yield from table.primary_key.columns
    for name, count in counted.items():
        yield table.c[name].label(f"says_{name}")
        yield count.label(f"counted_{name}")


def _differences(
    connection: Connection, table: Table, statement: Any, names: tuple[str, ...]
) -> Iterator[Miscount]:
    keys = [column.name for column in table.primary_key.columns]
    for row in connection.execute(statement).mappings():
        for name in names:
            says, count = row[f"says_{name}"], row[f"counted_{name}"]
            if says != count:
                yield Miscount(
                    table=table.name,
                    key=tuple(row[key] for key in keys),
                    counter=name,
                    says=says,
                    counted=count,
                )
