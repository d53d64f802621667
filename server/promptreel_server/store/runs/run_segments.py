"""The segments of a run: how each stands and what it yielded."""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, Select, select

from promptreel_server.domain.json_values import UNREADABLE
from promptreel_server.domain.operation import Failure, Operation, OperationState, OperationStatus
from promptreel_server.domain.page import Page, Slice
from promptreel_server.domain.segment import Segment, SegmentRun, SegmentStatus, Transcript, Word
from promptreel_server.errors import FailureCode, NotFound
from promptreel_server.store.schema import keyset_paging
from promptreel_server.store.schema.columns import either_of
from promptreel_server.store.schema.tables import run_segments, segments

OPEN = (SegmentStatus.PENDING, SegmentStatus.PROCESSING)

_JOINED = select(
    run_segments,
    segments.c.start.label("segment_start"),
    segments.c.end.label("segment_end"),
    segments.c.thumbnail,
).join(segments, segments.c.segment_id == run_segments.c.segment_id)


_TO_DO = select(
    run_segments.c.ordinal,
    run_segments.c.segment_id,
    run_segments.c.status,
    segments.c.start,
    segments.c.end,
    *(
        run_segments.c[f"{operation.value}_{field}"]
        for field in ("status", "attempts", "attempted_at")
        for operation in Operation
    ),
).join(segments, segments.c.segment_id == run_segments.c.segment_id)


def open_batch(
    connection: Connection, run_id: str, video_id: str, *, after: int = -1, limit: int
) -> list[SegmentRun]:
    """Answer the next segments that still have something to be done, in order.

    None of them has yielded anything yet, so no column that would hold it is read.
    """
    statement = _next(_TO_DO, run_id, video_id, after, limit)
    rows = connection.execute(statement.where(run_segments.c.status.in_(OPEN)))
    return [
        SegmentRun(
            run_id=run_id,
            segment=Segment(
                segment_id=segment_id, video_id=video_id, ordinal=ordinal, start=start, end=end
            ),
            status=status,
            operations=_to_do(tuple(columns)),
        )
        for ordinal, segment_id, status, start, end, *columns in rows.all()
    ]


@lru_cache(maxsize=64)
def _to_do(columns: tuple[Any, ...]) -> Mapping[Operation, OperationState]:
    """The states of the operations of a segment that are not done; next to all stand alike."""
    count = len(Operation)
    fields = (columns[:count], columns[count : 2 * count], columns[2 * count :])
    return {
        operation: OperationState(status=status, attempts=attempts, last_attempt_at=at)
        for operation, status, attempts, at in zip(Operation, *fields, strict=True)
    }


def batch(
    connection: Connection, run_id: str, video_id: str, *, after: int = -1, limit: int
) -> list[SegmentRun]:
    """Answer the next segments of a media item, however they stand, in order."""
    statement = _next(_JOINED, run_id, video_id, after, limit)
    return [_segment_run(row) for row in connection.execute(statement)]


def first_of(
    connection: Connection, keys: Sequence[tuple[str, str]], most: int
) -> dict[tuple[str, str], list[SegmentRun]]:
    """Answer the first segments of several media items of runs, by run id and media id."""
    statement = _JOINED.where(
        either_of(run_segments.c.run_id, run_segments.c.video_id, keys),
        run_segments.c.ordinal < most,
    ).order_by(run_segments.c.run_id, run_segments.c.video_id, run_segments.c.ordinal)
    found: dict[tuple[str, str], list[SegmentRun]] = {key: [] for key in keys}
    for row in connection.execute(statement):
        if (row.run_id, row.video_id) in found:
            found[row.run_id, row.video_id].append(_segment_run(row))
    return found


def of_segments(connection: Connection, keys: Sequence[tuple[str, str]]) -> dict[str, SegmentRun]:
    """Answer segments as they stand in runs, by run id and segment id; keyed by segment id."""
    named = either_of(run_segments.c.run_id, run_segments.c.segment_id, keys)
    wanted = set(keys)
    return {
        row.segment_id: _segment_run(row)
        for row in connection.execute(_JOINED.where(named))
        if (row.run_id, row.segment_id) in wanted
    }


def _next(columns: Select[Any], run_id: str, video_id: str, after: int, limit: int) -> Select[Any]:
    return (
        columns.where(
            run_segments.c.run_id == run_id,
            run_segments.c.video_id == video_id,
            run_segments.c.ordinal > after,
        )
        .order_by(run_segments.c.ordinal)
        .limit(limit)
    )


def page(
    connection: Connection,
    run_id: str,
    video_id: str,
    part: Slice,
    *only: ColumnElement[bool],
) -> Page[SegmentRun]:
    """Answer the segments of one media item by start time."""
    after = int(part.after[0]) if part.after is not None else -1
    statement = _next(_JOINED, run_id, video_id, after, part.limit).where(*only)
    return keyset_paging.page(
        connection, statement, part, item=_segment_run, position=lambda row: (row.ordinal,)
    )


def results(connection: Connection, run_id: str, video_id: str, part: Slice) -> Page[SegmentRun]:
    """Answer the segments of one media item that are done, by start time."""
    return page(connection, run_id, video_id, part, run_segments.c.sequence.is_not(None))


def results_after(
    connection: Connection, run_id: str, video_id: str | None, sequence: int, limit: int
) -> list[tuple[int, SegmentRun]]:
    """Answer results in the order they were committed, each with its sequence."""
    statement = (
        _JOINED.where(
            run_segments.c.run_id == run_id,
            run_segments.c.sequence > sequence,
        )
        .order_by(run_segments.c.sequence)
        .limit(limit)
    )
    if video_id is not None:
        statement = statement.where(run_segments.c.video_id == video_id)
    return [(row.sequence, _segment_run(row)) for row in connection.execute(statement)]


def fetch(connection: Connection, run_id: str, video_id: str, segment_id: str) -> SegmentRun:
    """Answer one segment of one media item of a run.

    Raises:
        NotFound: the run has no such segment of this media item.
    """
    row = connection.execute(
        _JOINED.where(
            run_segments.c.run_id == run_id,
            run_segments.c.video_id == video_id,
            run_segments.c.segment_id == segment_id,
        )
    ).one_or_none()
    if row is None:
        raise NotFound(
            f"Run {run_id} has no segment {segment_id} of {video_id}.",
            details={"run_id": run_id, "video_id": video_id, "segment_id": segment_id},
        )
    return _segment_run(row)


def states(row: Row[Any]) -> dict[Operation, OperationState]:
    """Gather operation states from their columns."""
    values = row._mapping  # the documented way to a row's columns by name
    return {operation: _state(values, name) for operation, name in _NAMES}


_NAMES = tuple((operation, operation.value) for operation in Operation)
_UNTOUCHED = {status: OperationState(status=status) for status in OperationStatus}
"""Most states that are read stand at their beginning: every segment shares these."""


def _state(values: Mapping[Any, Any], name: str) -> OperationState:
    if not values[f"{name}_attempts"]:
        return _UNTOUCHED[values[f"{name}_status"]]
    failure = None
    if values[f"{name}_status"] is OperationStatus.FAILED:
        failure = Failure(
            code=values[f"{name}_code"],
            message=values[f"{name}_error"],
            retryable=bool(values[f"{name}_retryable"]),
            retry_after=values[f"{name}_retry_after"],
        )
    return OperationState(
        status=values[f"{name}_status"],
        attempts=values[f"{name}_attempts"],
        last_attempt_at=values[f"{name}_attempted_at"],
        failure=failure,
    )


def transcript_json(transcript: Transcript | None) -> dict[str, Any] | None:
    """Make what is stored of a transcript."""
    if transcript is None:
        return None
    return {
        "text": transcript.text,
        "language": transcript.language,
        "words": [[word.text, word.start, word.end] for word in transcript.words],
    }


def transcript_of(body: Mapping[str, Any] | None) -> Transcript | None:
    """Make a transcript of what was stored."""
    if body is None or body is UNREADABLE:
        return None
    return Transcript(
        text=body["text"],
        language=body["language"],
        words=tuple(Word(text=text, start=start, end=end) for text, start, end in body["words"]),
    )


def _before_any(row: Any) -> Failure | None:
    """The failure of a segment that failed before any operation."""
    code: FailureCode | None = row.failure_code
    if code is None:
        return None
    return Failure(code=code, message=row.failure_message, retryable=code.retryable)


def _segment_run(row: Row[Any]) -> SegmentRun:
    return SegmentRun(
        run_id=row.run_id,
        segment=Segment(
            segment_id=row.segment_id,
            video_id=row.video_id,
            ordinal=row.ordinal,
            start=row.segment_start,
            end=row.segment_end,
        ),
        status=row.status,
        operations=states(row),
        metadata=row.metadata,
        metadata_text=row.metadata_text,
        transcript=transcript_of(row.transcript),
        processing_warning=row.processing_warning,
        failure=_before_any(row),
        started_at=row.started_at,
        completed_at=row.completed_at,
        thumbnail_available=row.thumbnail,
    )
