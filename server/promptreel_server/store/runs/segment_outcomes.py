"""What segments came to: written many at a time, each with its calls, counters and events."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any

from sqlalchemy import bindparam, func, insert, select, update

from promptreel_server.domain.event import EventType
from promptreel_server.domain.llm_call import LlmCall
from promptreel_server.domain.operation import Failure, Operation, OperationState, OperationStatus
from promptreel_server.domain.prompt import JsonObject
from promptreel_server.domain.run import RunMedia
from promptreel_server.domain.segment import Segment, SegmentStatus, Transcript
from promptreel_server.store import feed
from promptreel_server.store.runs import counters, llm_calls, run_media
from promptreel_server.store.runs.run_segments import OPEN, transcript_json
from promptreel_server.store.schema import tables
from promptreel_server.store.schema.bulk_statements import Prepared, Row
from promptreel_server.store.schema.columns import json_text, microseconds
from promptreel_server.store.schema.tables import attempts, run_segments
from promptreel_server.store.schema.transaction import Transaction

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
class SegmentStart:
    """A segment of one run that is worked on from now on."""

    item: RunMedia
    segment: Segment


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
    fingerprint: str | None = None
    """What the last of the calls asked, where its answer may serve again."""


Step = SegmentStart | SegmentOutcome


def advance(tx: Transaction, steps: Sequence[Step]) -> Sequence[bool]:
    """Write how segments go on; False for the steps of drives that were fenced.

    Result, attempts, LLM calls, counters and events of a segment are one change. A segment that
    started and ended within the group is written once and told of twice.
    """
    counted = _count(tx, steps)
    kept = [_drive(step.item) in counted for step in steps]
    _keep_calls_of_fenced(
        tx, [step for step, is_held in zip(steps, kept, strict=True) if not is_held]
    )
    mine = [step for step, is_held in zip(steps, kept, strict=True) if is_held]
    starts = [step for step in mine if isinstance(step, SegmentStart)]
    outcomes = [step for step in mine if isinstance(step, SegmentOutcome)]
    progress = _progress(tx, outcomes, counted)
    sequences = _tell(tx, [*map(_start_news, starts), *map(_news, outcomes), *progress])
    _start(tx, starts, outcomes)
    _end(tx, outcomes, sequences[len(starts) :])
    _keep_attempts(tx, outcomes)
    return kept


def _keep_calls_of_fenced(tx: Transaction, steps: Sequence[Step]) -> None:
    """Keep the calls of drives that were fenced: they were paid, whoever's result stands."""
    for step in steps:
        if not isinstance(step, SegmentOutcome) or not step.calls:
            continue
        run_id, video_id = step.item.run_id, step.item.video_id
        covered = select(tables.run_media.c.run_id).where(
            tables.run_media.c.run_id == run_id, tables.run_media.c.video_id == video_id
        )
        if tx.execute(covered).first() is not None:  # else it was deleted, and its calls with it
            llm_calls.record(
                tx,
                step.item,
                step.prompt_id,
                step.calls,
                segment=step.segment,
                fingerprint=step.fingerprint,
            )


_KEY = ("b_run", "b_video", "b_ordinal")
_UPDATE = update(run_segments).where(
    run_segments.c.run_id == bindparam("b_run"),
    run_segments.c.video_id == bindparam("b_video"),
    run_segments.c.ordinal == bindparam("b_ordinal"),
)
_START = Prepared(
    _UPDATE.where(run_segments.c.status == bindparam("b_pending")).values(
        status=bindparam("b_processing"), started_at=bindparam("b_now")
    ),
    (*_KEY, "b_pending", "b_processing", "b_now"),
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
_STATE_FIELDS = ("status", "attempts", "attempted_at", "code", "error", "retryable", "retry_after")


@cache
def _ending(operations: tuple[Operation, ...]) -> Prepared:
    """What ends a segment that these operations were done on; the others stay as they are."""
    states = tuple(
        f"{operation.value}_{field}" for operation in operations for field in _STATE_FIELDS
    )
    columns = (*_RESULT_COLUMNS, *states)
    started_at = func.coalesce(run_segments.c.started_at, bindparam("b_now"))
    values: dict[str, Any] = {name: bindparam(f"v_{name}") for name in columns}
    return Prepared(
        _UPDATE.values({**values, "started_at": started_at}),
        (*_KEY, "b_now", *(f"v_{name}" for name in columns)),
    )


def _start(
    tx: Transaction, starts: Sequence[SegmentStart], outcomes: Sequence[SegmentOutcome]
) -> None:
    """Move segments to processing, but for those that end at once."""
    ending = {_key(outcome) for outcome in outcomes}
    moved = (
        SegmentStatus.PENDING.value,
        SegmentStatus.PROCESSING.value,
        microseconds(tx.now),
    )
    keys = [_key(start) for start in starts]
    _START.execute_all(tx, [(*key, *moved) for key in keys if key not in ending])


def _end(tx: Transaction, outcomes: Sequence[SegmentOutcome], sequences: Sequence[int]) -> None:
    now = microseconds(tx.now)
    rows: defaultdict[tuple[Operation, ...], list[Row]] = defaultdict(list)
    for outcome, sequence in zip(outcomes, sequences, strict=False):
        done = tuple(
            operation
            for operation, state in outcome.operations.items()
            if state.status is not OperationStatus.OFF
        )
        rows[done].append(_row(outcome, done, sequence, now))
    for done, of_these in rows.items():
        _ending(done).execute_all(tx, of_these)


def _row(outcome: SegmentOutcome, done: tuple[Operation, ...], sequence: int, now: int) -> Row:
    failure = outcome.failure
    values: list[Any] = [
        *_key(outcome),
        now,
        outcome.status.value,
        json_text(outcome.metadata),
        outcome.metadata_text,
        json_text(transcript_json(outcome.transcript)),
        outcome.processing_warning,
        failure.code.value if failure else None,
        failure.message if failure else None,
        now,
        sequence,
    ]
    for operation in done:
        values += _state_values(outcome.operations[operation])
    return tuple(values)


def _state_values(state: OperationState) -> Row:
    failure, at = state.failure, state.last_attempt_at
    return (
        state.status.value,
        state.attempts,
        microseconds(at) if at else None,
        failure.code.value if failure else None,
        failure.message if failure else None,
        failure.retryable if failure else None,
        failure.retry_after if failure else None,
    )


def record_attempts(tx: Transaction, records: Sequence[AttemptRecord]) -> Sequence[bool]:
    """Keep attempts after which the engine will try again, and their LLM calls.

    False for the attempts of drives that were fenced: only their calls are kept, which were paid.
    """
    held = _held_drives(tx, records)
    kept = [record.retry_id is not None or _drive(record.item) in held for record in records]
    for record in records:
        llm_calls.record(tx, record.item, record.prompt_id, record.calls, segment=record.segment)
    mine = [record for record, is_held in zip(records, kept, strict=True) if is_held]
    _ATTEMPT.execute_all(
        tx, [_attempt_row(record, record.attempt, record.retry_id) for record in mine]
    )
    for record in mine:
        attempt = record.attempt
        made = (attempt.number, microseconds(attempt.at))
        _attempted(attempt.operation).execute(tx, (*_key(record), *made))
    return kept


def _held_drives(tx: Transaction, records: Sequence[AttemptRecord]) -> set["_Drive"]:
    items = {_drive(record.item): record.item for record in records if record.retry_id is None}
    return {drive for drive, item in items.items() if run_media.held(tx.connection, item)}


@cache
def _attempted(operation: Operation) -> Prepared:
    values: dict[str, Any] = {
        f"{operation.value}_attempts": bindparam("b_number"),
        f"{operation.value}_attempted_at": bindparam("b_at"),
    }
    return Prepared(_UPDATE.values(values), (*_KEY, "b_number", "b_at"))


def replace(tx: Transaction, outcome: SegmentOutcome, retry_id: str) -> None:
    """Put the outcome of a retry in the place of a segment's result, and correct the counters."""
    was = tx.execute(
        select(run_segments).where(
            run_segments.c.run_id == outcome.item.run_id,
            run_segments.c.video_id == outcome.item.video_id,
            run_segments.c.ordinal == outcome.segment.ordinal,
        )
    ).one()
    _end(tx, [outcome], _tell(tx, [_news(outcome)]))
    _keep_attempts(tx, [outcome], retry_id=retry_id)
    change = counters.contribution(outcome.status, outcome.operations)
    before = {
        operation: OperationState(status=getattr(was, f"{operation.value}_status"))
        for operation in Operation
    }
    change.subtract(counters.contribution(was.status, before))
    counters.add(tx, outcome.item, change)


_ATTEMPT = Prepared(
    insert(attempts),
    (
        "run_id",
        "segment_id",
        "operation",
        "attempt",
        "succeeded",
        "code",
        "message",
        "retryable",
        "retry_id",
        "at",
    ),
)


def _keep_attempts(
    tx: Transaction, outcomes: Sequence[SegmentOutcome], *, retry_id: str | None = None
) -> None:
    """Keep the final attempts of outcomes, and their LLM calls."""
    rows = [
        _attempt_row(outcome, attempt, retry_id)
        for outcome in outcomes
        for attempt in outcome.attempts
    ]
    _ATTEMPT.execute_all(tx, rows)
    calls = [
        row
        for outcome in outcomes
        for row in llm_calls.rows(
            outcome.item,
            outcome.prompt_id,
            outcome.calls,
            segment=outcome.segment,
            fingerprint=outcome.fingerprint,
        )
    ]
    llm_calls.record_all(tx, calls)


def _attempt_row(of: SegmentOutcome | AttemptRecord, attempt: Attempt, retry_id: str | None) -> Row:
    failure = attempt.failure
    return (
        of.item.run_id,
        of.segment.segment_id,
        attempt.operation.value,
        attempt.number,
        failure is None,
        failure.code.value if failure else None,
        failure.message if failure else None,
        failure.retryable if failure else None,
        retry_id,
        microseconds(attempt.at),
    )


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
        counters.add(tx, item, Counter({"cancelled_segments": count}))
    return count


_Drive = tuple[str, str, int]


def _drive(item: RunMedia) -> _Drive:
    return item.run_id, item.video_id, item.epoch


def _key(of: Step | AttemptRecord) -> tuple[str, str, int]:
    return of.item.run_id, of.item.video_id, of.segment.ordinal


def _count(tx: Transaction, steps: Sequence[Step]) -> dict[_Drive, Counter[str]]:
    """Count outcomes for their media items; answers by drive, without those that were fenced."""
    counts: dict[_Drive, Counter[str]] = {}
    items: dict[_Drive, RunMedia] = {}
    for step in steps:
        drive = _drive(step.item)
        items[drive] = step.item
        of_drive = counts.setdefault(drive, Counter())
        if isinstance(step, SegmentOutcome):
            counters.count(of_drive, step.status, step.operations)
    return {
        drive: of_drive
        for drive, of_drive in counts.items()
        if counters.add_held(tx, items[drive], of_drive)
    }


_Told = tuple[str, feed.NewEvent]
"""An event and the owner whose it is."""


def _progress(
    tx: Transaction, outcomes: Sequence[SegmentOutcome], counted: Mapping[_Drive, Counter[str]]
) -> list[_Told]:
    """Count for the runs what was counted for their media items, and tell how far they are."""
    by_run: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for (run_id, _, _), counts in counted.items():
        by_run[run_id].update(counts)
    told: list[_Told] = []
    for item in {outcome.item.run_id: outcome.item for outcome in outcomes}.values():
        standing = counters.add_to_run(tx, item.run_id, by_run[item.run_id])
        news = feed.NewEvent(
            event_type=EventType.RUN_PROGRESS,
            run_id=item.run_id,
            index_id=item.index_id,
            payload={"phase": "extracting", **standing},
        )
        told.append((item.owner_id, news))
    return told


def _start_news(start: SegmentStart) -> _Told:
    return _of_segment(start, EventType.SEGMENT_STARTED, {})


def _news(outcome: SegmentOutcome) -> _Told:
    payload: dict[str, Any] = {"status": outcome.status.value}
    if outcome.status is not SegmentStatus.COMPLETED:
        failed = {
            operation.value: {"code": state.failure.code.value, "message": state.failure.message}
            for operation, state in outcome.operations.items()
            if state.failure is not None
        }
        if failed:
            payload["failures"] = failed
    if outcome.failure is not None:
        payload["error_message"] = outcome.failure.message
    if tokens := sum(call.total_tokens for call in outcome.calls):
        payload["tokens"] = tokens
    return _of_segment(outcome, _EVENT[outcome.status], payload)


def _of_segment(step: Step, event_type: EventType, payload: dict[str, Any]) -> _Told:
    item, segment = step.item, step.segment
    start, end = segment.seconds
    news = feed.NewEvent(
        event_type=event_type,
        run_id=item.run_id,
        video_id=item.video_id,
        segment_id=segment.segment_id,
        index_id=item.index_id,
        payload={"start_time": start, "end_time": end, **payload},
    )
    return item.owner_id, news


def _tell(tx: Transaction, told: Sequence[_Told]) -> list[int]:
    """Write events, owner by owner; answers their sequences in the order given."""
    by_owner: defaultdict[str, list[int]] = defaultdict(list)
    for position, (owner_id, _) in enumerate(told):
        by_owner[owner_id].append(position)
    sequences = [0] * len(told)
    for owner_id, positions in by_owner.items():
        first = feed.append_all(tx, owner_id, [told[position][1] for position in positions])
        for offset, position in enumerate(positions):
            sequences[position] = first + offset
    return sequences
