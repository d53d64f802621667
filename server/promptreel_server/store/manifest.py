"""The failed-segment manifest: what stands failed, counted in SQL."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, case, func, or_, select

from promptreel_server.errors import FailureCode
from promptreel_server.model.operation import Operation, OperationStatus
from promptreel_server.model.page import Page, Slice
from promptreel_server.model.segment import SegmentRun, SegmentStatus
from promptreel_server.store import run_segments as segments_of_runs
from promptreel_server.store.tables import run_segments

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


def failed_with(
    connection: Connection,
    run_id: str,
    codes: tuple[FailureCode, ...],
    *,
    undone: bool = False,
    limit: int,
) -> list[tuple[str, str]]:
    """Answer (video_id, segment_id) of segments that stand failed, with one of these codes.

    No codes: all that stand failed. `undone`: those that the end of the run left undone, too.
    """
    wanted: Any = run_segments.c.status == SegmentStatus.FAILED
    if codes:
        named = [run_segments.c[f"{operation.value}_code"].in_(codes) for operation in Operation]
        named.append(run_segments.c.failure_code.in_(codes))
        wanted &= or_(*named)
    if undone:
        wanted |= run_segments.c.status == SegmentStatus.CANCELLED
    statement: Any = select(run_segments.c.video_id, run_segments.c.segment_id).where(
        run_segments.c.run_id == run_id, wanted
    )
    statement = statement.order_by(run_segments.c.video_id, run_segments.c.ordinal).limit(limit)
    return [(row.video_id, row.segment_id) for row in connection.execute(statement)]
