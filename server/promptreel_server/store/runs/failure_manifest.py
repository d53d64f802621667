"""The failed-segment manifest: what stands failed, counted in SQL."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from sqlalchemy import Connection, case, func, or_, select

from promptreel_server.domain.operation import Operation, OperationStatus
from promptreel_server.domain.page import Page, Slice
from promptreel_server.domain.segment import SegmentRun, SegmentStatus, Shortfall
from promptreel_server.errors import FailureCode
from promptreel_server.store.runs import run_segments as segments_of_runs
from promptreel_server.store.schema.tables import run_segments

_OF_OPERATION = ("status", "attempts", "code", "retryable")
_LACKING = select(
    run_segments.c.video_id,
    run_segments.c.segment_id,
    run_segments.c.status,
    run_segments.c.started_at.is_not(None),
    run_segments.c.failure_code,
    *(
        run_segments.c[f"{operation.value}_{field}"]
        for operation in Operation
        for field in _OF_OPERATION
    ),
)

PROCESSING = "processing"
"""The manifest's name for a failure before any operation."""


@dataclass(frozen=True, kw_only=True)
class VideoFailures:
    """How many segments of one media item stand failed, and in which operations."""

    video_id: str
    failed_segments: int
    operation_counts: Mapping[str, int]


def by_video(connection: Connection, run_id: str) -> list[VideoFailures]:
    """Count the failures of a run, media item by media item, in one statement."""
    counts = [
        func.sum(
            case(
                (run_segments.c[f"{operation.value}_status"] == OperationStatus.FAILED, 1), else_=0
            )
        ).label(operation.value)
        for operation in Operation
    ]
    before_any = func.sum(case((run_segments.c.failure_code.is_not(None), 1), else_=0))
    rows = connection.execute(
        select(
            run_segments.c.video_id,
            func.count().label("failed_segments"),
            before_any.label(PROCESSING),
            *counts,
        )
        .where(run_segments.c.run_id == run_id, run_segments.c.status == SegmentStatus.FAILED)
        .group_by(run_segments.c.video_id)
        .order_by(run_segments.c.video_id)
    )
    return [
        VideoFailures(
            video_id=row.video_id,
            failed_segments=row.failed_segments,
            operation_counts={
                name: getattr(row, name)
                for name in (*(operation.value for operation in Operation), PROCESSING)
            },
        )
        for row in rows
    ]


def failed(connection: Connection, run_id: str, video_id: str, part: Slice) -> Page[SegmentRun]:
    """Answer the segments of one media item that stand failed, by start time."""
    return segments_of_runs.page(
        connection, run_id, video_id, part, run_segments.c.status == SegmentStatus.FAILED
    )


def shortfalls(
    connection: Connection,
    run_id: str,
    codes: tuple[FailureCode, ...],
    *,
    undone: bool = False,
    limit: int,
) -> list[tuple[str, str, Shortfall]]:
    """Answer (video_id, segment_id, what it lacks) of segments that stand failed with these codes.

    No codes: all that stand failed. `undone`: those that the end of the run left undone, too.
    """
    wanted: Any = run_segments.c.status == SegmentStatus.FAILED
    if codes:
        named = [run_segments.c[f"{operation.value}_code"].in_(codes) for operation in Operation]
        named.append(run_segments.c.failure_code.in_(codes))
        wanted &= or_(*named)
    if undone:
        wanted |= run_segments.c.status == SegmentStatus.CANCELLED
    rows = connection.execute(
        _LACKING.where(run_segments.c.run_id == run_id, wanted)
        .order_by(run_segments.c.video_id, run_segments.c.ordinal)
        .limit(limit)
    )
    return [(row[0], row[1], _shortfall(row[2:])) for row in rows]


@lru_cache(maxsize=1024)
def _shortfall(columns: tuple[Any, ...]) -> Shortfall:
    """What a segment lacks; few differ, so that what is made for one serves many."""
    status, begun, failure_code, *of_operations = columns
    undone: list[Operation] = []
    failures: list[tuple[FailureCode, bool]] = []
    for operation, of_one in zip(
        Operation, zip(*[iter(of_operations)] * len(_OF_OPERATION), strict=True), strict=True
    ):
        standing, attempted, code, retryable = of_one
        if standing in (OperationStatus.FAILED, OperationStatus.PENDING):
            undone.append(operation)
        if standing is OperationStatus.FAILED and attempted:
            failures.append((code, bool(retryable)))
    if failure_code is not None:
        failures.append((failure_code, failure_code.retryable))
    return Shortfall(
        status=status,
        begun=bool(begun),
        undone=tuple(undone),
        codes=tuple(code for code, _ in failures),
        retryable=any(retryable for _, retryable in failures),
        before_any=failure_code is not None,
    )
