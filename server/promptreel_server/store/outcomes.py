"""What segments came to: written many at a time, each with its calls, counters and events."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import bindparam, insert, select, tuple_, update

from promptreel_server.model.event import EventType
from promptreel_server.model.llm_call import LlmCall
from promptreel_server.model.operation import (
    Failure,
    Operation,
    OperationState,
    OperationStatus,
)
from promptreel_server.model.prompt import JsonObject
from promptreel_server.model.run import RunMedia
from promptreel_server.model.segment import Segment, SegmentStatus, Transcript
from promptreel_server.store import feed, llm_calls
from promptreel_server.store.run_segments import OPEN, state_values, transcript_json
from promptreel_server.store.tables import attempts, run_media, run_segments, runs
from promptreel_server.store.transaction import Transaction

COUNTERS = (
    "completed_segments",
    "failed_segments",
    "cancelled_segments",
    *(f"{operation.value}_failures" for operation in Operation),
)

_EVENT = {
    SegmentStatus.COMPLETED: EventType.SEGMENT_COMPLETED,
    SegmentStatus.FAILED: EventType.SEGMENT_FAILED,
    SegmentStatus.CANCELLED: EventType.SEGMENT_FAILED,
}


@dataclass(frozen=True, kw_only=True)
class Attempt:
    """One try of one operation on one segment, with its outcome."""

    operation: Operation
    number: int
    at: datetime
    failure: Failure | None = None


@dataclass(frozen=True, kw_only=True)
class AttemptRecord:
    """An attempt that is not the last word, with the LLM calls it took."""

    item: RunMedia
    segment: Segment
    prompt_id: str
    attempt: Attempt
    calls: tuple[LlmCall, ...] = ()
    retry_id: str | None = None


@dataclass(frozen=True, kw_only=True)
class SegmentOutcome:
    """The last word on one segment of one run."""

    item: RunMedia
    segment: Segment
    prompt_id: str
    status: SegmentStatus
    operations: Mapping[Operation, OperationState]
    metadata: JsonObject | None = None
    metadata_text: str = ""
    transcript: Transcript | None = None
    processing_warning: str | None = None
    failure: Failure | None = None
    attempts: tuple[Attempt, ...] = ()
    calls: tuple[LlmCall, ...] = ()


_START = (
    update(run_segments)
    .where(
        run_segments.c.run_id == bindparam("b_run"),
        run_segments.c.video_id == bindparam("b_video"),
        run_segments.c.ordinal == bindparam("b_ordinal"),
        run_segments.c.status == SegmentStatus.PENDING,
    )
    .values(status=SegmentStatus.PROCESSING, started_at=bindparam("b_now"))
)


def start(tx: Transaction, started: Sequence[tuple[RunMedia, Segment]]) -> Sequence[None]:
    """Move segments to processing and tell it."""
    tx.execute(_START, [{**_key(item, segment), "b_now": tx.now} for item, segment in started])
    _tell(tx, [(item, segment, EventType.SEGMENT_STARTED, {}) for item, segment in started])
    return [None] * len(started)


def record_attempts(tx: Transaction, records: Sequence[AttemptRecord]) -> Sequence[None]:
    """Keep attempts after which the engine will try again, and their LLM calls."""
    tx.execute(insert(attempts), [_attempt_row(record) for record in records])
    for record in records:
        llm_calls.record(tx, record.item, record.prompt_id, record.calls, segment=record.segment)
        name = record.attempt.operation.value
        tx.execute(
            update(run_segments)
            .where(
                run_segments.c.run_id == record.item.run_id,
                run_segments.c.video_id == record.item.video_id,
                run_segments.c.ordinal == record.segment.ordinal,
            )
            .values(
                {
                    f"{name}_attempts": record.attempt.number,
                    f"{name}_attempted_at": record.attempt.at,
                }
            )
        )
    return [None] * len(records)


def finish(tx: Transaction, outcomes: Sequence[SegmentOutcome]) -> Sequence[bool]:
    """Write the last word on segments; False for those whose drive was fenced.

    Result, attempts, LLM calls, counters and events of a segment are one change.
    """
    kept = _held(tx, outcomes)
    mine = [outcome for outcome, is_held in zip(outcomes, kept, strict=True) if is_held]
    if mine:
        sequences = _tell(tx, [_news(outcome) for outcome in mine])
        tx.execute(
            _FINISH, [_row(tx, outcome, seq) for outcome, seq in zip(mine, sequences, strict=True)]
        )
        write_attempts(tx, mine)
        _count(tx, mine)
    return kept


_STATE_COLUMNS = tuple(
    f"{operation.value}_{field}"
    for operation in Operation
    for field in ("status", "attempts", "attempted_at", "code", "error", "retryable", "retry_after")
)
_RESULT_COLUMNS = (
    "status",
    "metadata",
    "metadata_text",
    "transcript",
    "processing_warning",
    "failure_code",
    "failure_message",
    "completed_at",
    "sequence",
)
_FINISH = (
    update(run_segments)
    .where(
        run_segments.c.run_id == bindparam("b_run"),
        run_segments.c.video_id == bindparam("b_video"),
        run_segments.c.ordinal == bindparam("b_ordinal"),
    )
    .values({name: bindparam(f"v_{name}") for name in _STATE_COLUMNS + _RESULT_COLUMNS})
)


def replace(tx: Transaction, outcome: SegmentOutcome, retry_id: str) -> None:
    """Put the outcome of a retry in the place of a segment's result, and correct the counters."""
    was = tx.execute(
        select(run_segments).where(
            run_segments.c.run_id == outcome.item.run_id,
            run_segments.c.video_id == outcome.item.video_id,
            run_segments.c.ordinal == outcome.segment.ordinal,
        )
    ).one()
    sequence = _tell(tx, [_news(outcome)])[0]
    tx.execute(_FINISH, [_row(tx, outcome, sequence)])
    write_attempts(tx, [outcome], retry_id=retry_id)
    change = contribution(outcome.status, outcome.operations)
    before = {
        operation: OperationState(status=getattr(was, f"{operation.value}_status"))
        for operation in Operation
    }
    change.subtract(contribution(was.status, before))
    _add(tx, outcome.item.run_id, outcome.item.video_id, change)


def write_attempts(
    tx: Transaction, outcomes: Sequence[SegmentOutcome], *, retry_id: str | None = None
) -> None:
    """Keep the final attempts of outcomes, and their LLM calls."""
    rows = [
        _attempt_row(
            AttemptRecord(
                item=outcome.item,
                segment=outcome.segment,
                prompt_id=outcome.prompt_id,
                attempt=attempt,
                retry_id=retry_id,
            )
        )
        for outcome in outcomes
        for attempt in outcome.attempts
    ]
    if rows:
        tx.execute(insert(attempts), rows)
    llm_calls.record_all(
        tx,
        [
            llm_calls.row(outcome.item, outcome.prompt_id, call, segment=outcome.segment)
            for outcome in outcomes
            for call in outcome.calls
        ],
    )


def contribution(
    status: SegmentStatus, operations: Mapping[Operation, OperationState]
) -> Counter[str]:
    """What one segment adds to the counters of its media item and run."""
    counts: Counter[str] = Counter()
    if status.terminal:
        counts[f"{status.value}_segments"] += 1
        for operation, state in operations.items():
            if state.status is OperationStatus.FAILED:
                counts[f"{operation.value}_failures"] += 1
    return counts


def cancel_open(tx: Transaction, item: RunMedia) -> int:
    """End every segment of a media item that is not done as cancelled; answers how many."""
    count = tx.execute(
        update(run_segments)
        .where(
            run_segments.c.run_id == item.run_id,
            run_segments.c.video_id == item.video_id,
            run_segments.c.status.in_(OPEN),
        )
        .values(status=SegmentStatus.CANCELLED, completed_at=tx.now)
    ).rowcount
    if count:
        _add(tx, item.run_id, item.video_id, Counter({"cancelled_segments": count}))
    return count


def _held(tx: Transaction, outcomes: Sequence[SegmentOutcome]) -> list[bool]:
    keys = {(outcome.item.run_id, outcome.item.video_id) for outcome in outcomes}
    rows = tx.execute(
        select(run_media.c.run_id, run_media.c.video_id, run_media.c.epoch).where(
            tuple_(run_media.c.run_id, run_media.c.video_id).in_(keys)
        )
    )
    epochs = {(row.run_id, row.video_id): row.epoch for row in rows}
    return [
        epochs.get((outcome.item.run_id, outcome.item.video_id)) == outcome.item.epoch
        for outcome in outcomes
    ]


def _count(tx: Transaction, outcomes: Iterable[SegmentOutcome]) -> None:
    by_item: defaultdict[tuple[str, str], Counter[str]] = defaultdict(Counter)
    owners: dict[str, RunMedia] = {}
    for outcome in outcomes:
        counts = contribution(outcome.status, outcome.operations)
        by_item[outcome.item.run_id, outcome.item.video_id].update(counts)
        owners[outcome.item.run_id] = outcome.item
    for (run_id, video_id), counts in by_item.items():
        _add(tx, run_id, video_id, counts)
    for run_id, item in owners.items():
        _tell_progress(tx, run_id, item)


def _add(tx: Transaction, run_id: str, video_id: str, counts: Counter[str]) -> None:
    of_item = {run_media.c[name]: run_media.c[name] + counts[name] for name in COUNTERS}
    tx.execute(
        update(run_media)
        .where(run_media.c.run_id == run_id, run_media.c.video_id == video_id)
        .values({**of_item, run_media.c.updated_at: tx.now})
    )
    of_run = {runs.c[name]: runs.c[name] + counts[name] for name in COUNTERS}
    tx.execute(update(runs).where(runs.c.run_id == run_id).values(of_run))


def _tell_progress(tx: Transaction, run_id: str, item: RunMedia) -> None:
    row = tx.execute(
        select(
            runs.c.total_segments,
            runs.c.completed_segments,
            runs.c.failed_segments,
            runs.c.cancelled_segments,
        ).where(runs.c.run_id == run_id)
    ).one()
    feed.append(
        tx,
        item.owner_id,
        EventType.RUN_PROGRESS,
        run_id=run_id,
        index_id=item.index_id,
        payload={"phase": "extracting", **row._mapping},
    )


def _key(item: RunMedia, segment: Segment) -> dict[str, Any]:
    return {"b_run": item.run_id, "b_video": item.video_id, "b_ordinal": segment.ordinal}


def _row(tx: Transaction, outcome: SegmentOutcome, sequence: int) -> dict[str, Any]:
    values = {
        **state_values(outcome.operations),
        "status": outcome.status,
        "metadata": outcome.metadata,
        "metadata_text": outcome.metadata_text,
        "transcript": transcript_json(outcome.transcript),
        "processing_warning": outcome.processing_warning,
        "failure_code": outcome.failure.code if outcome.failure else None,
        "failure_message": outcome.failure.message if outcome.failure else None,
        "completed_at": tx.now,
        "sequence": sequence,
    }
    return {
        **_key(outcome.item, outcome.segment),
        **{f"v_{name}": value for name, value in values.items()},
    }


def _attempt_row(record: AttemptRecord) -> dict[str, Any]:
    attempt, failure = record.attempt, record.attempt.failure
    return {
        "run_id": record.item.run_id,
        "segment_id": record.segment.segment_id,
        "operation": attempt.operation,
        "attempt": attempt.number,
        "succeeded": failure is None,
        "code": failure.code if failure else None,
        "message": failure.message if failure else None,
        "retryable": failure.retryable if failure else None,
        "retry_id": record.retry_id,
        "at": attempt.at,
    }


_Told = tuple[RunMedia, Segment, EventType, Mapping[str, Any]]


def _news(outcome: SegmentOutcome) -> _Told:
    failed = {
        operation.value: {"code": state.failure.code.value, "message": state.failure.message}
        for operation, state in outcome.operations.items()
        if state.failure is not None
    }
    payload: dict[str, Any] = {"status": outcome.status.value}
    if failed:
        payload["failures"] = failed
    if outcome.failure is not None:
        payload["error_message"] = outcome.failure.message
    if tokens := sum(call.total_tokens for call in outcome.calls):
        payload["tokens"] = tokens
    return outcome.item, outcome.segment, _EVENT[outcome.status], payload


def _tell(tx: Transaction, told: Sequence[_Told]) -> list[int]:
    """Write one event a segment, owner by owner; answers the sequences in the order given."""
    by_owner: defaultdict[str, list[int]] = defaultdict(list)
    for position, (item, *_) in enumerate(told):
        by_owner[item.owner_id].append(position)
    sequences = [0] * len(told)
    for owner, positions in by_owner.items():
        first = feed.append_all(tx, owner, [_new_event(told[position]) for position in positions])
        for offset, position in enumerate(positions):
            sequences[position] = first + offset
    return sequences


def _new_event(told: _Told) -> feed.NewEvent:
    item, segment, event_type, payload = told
    return feed.NewEvent(
        event_type=event_type,
        run_id=item.run_id,
        video_id=item.video_id,
        segment_id=segment.segment_id,
        index_id=item.index_id,
        payload={
            "start_time": float(segment.start),
            "end_time": float(segment.end),
            **payload,
        },
    )
