"""What must hold when everything has come to rest, whatever happened on the way."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any

from sqlalchemy import Connection, Row, select

from promptreel_server.domain.event import RUN_ENDED, EventType
from promptreel_server.domain.import_job import ImportStatus
from promptreel_server.domain.index import DeletionStatus
from promptreel_server.domain.llm_call import LlmCallStatus
from promptreel_server.domain.page import Slice
from promptreel_server.domain.run import RunStatus
from promptreel_server.domain.segment import SegmentStatus
from promptreel_server.store.runs import (
    counter_audit,
    listing_audit,
    retries,
    run_media,
    run_segments,
)
from promptreel_server.store.schema import tables
from tests.simulation.scheduler import Process
from tests.simulation.witness import Call

EVERYTHING = Slice(limit=100_000)
_MEDIA_ENDED = {EventType.MEDIA_PROCESSING_COMPLETED, EventType.MEDIA_PROCESSING_FAILED}
_RETRY_ENDED = {EventType.RETRY_COMPLETED, EventType.RETRY_FAILED}
_IMPORT_ENDED = {EventType.IMPORT_COMPLETED, EventType.IMPORT_FAILED}
_SEGMENT_ENDED = {EventType.SEGMENT_COMPLETED, EventType.SEGMENT_FAILED}
_SYNTHESIS_ENDED = {EventType.VIDEO_RESULT_COMPLETED, EventType.VIDEO_RESULT_FAILED}
_ENDINGS = (
    (_MEDIA_ENDED, "video_id"),
    (_SEGMENT_ENDED, "segment_id"),
    (_SYNTHESIS_ENDED, "video_id"),
)
_OF_WORK = {
    EventType.SEGMENT_STARTED,
    *_SEGMENT_ENDED,
    *_MEDIA_ENDED,
    EventType.MEDIA_PROCESSING_STARTED,
    *_SYNTHESIS_ENDED,
}


def at_work(connection: Connection) -> list[str]:
    """Name what has not ended."""
    open_runs = select(tables.runs.c.run_id).where(
        tables.runs.c.status.in_((RunStatus.PENDING, RunStatus.PROCESSING))
    )
    open_retries = select(tables.retries.c.retry_id).where(retries.IS_OPEN)
    open_items = select(tables.run_media.c.run_id).where(
        tables.run_media.c.status.in_(run_media.OPEN)
    )
    open_deletions = select(tables.deletions.c.deletion_id).where(
        tables.deletions.c.status != DeletionStatus.DELETED
    )
    open_imports = select(tables.import_jobs.c.job_id).where(
        tables.import_jobs.c.status.in_(
            (ImportStatus.PENDING, ImportStatus.SCANNING, ImportStatus.IMPORTING)
        )
    )
    statements = (open_runs, open_retries, open_items, open_deletions, open_imports)
    return [str(name) for one in statements for name in connection.execute(one).scalars()]


def violations(
    connection: Connection, calls: Sequence[Call], excused: set[Process]
) -> Iterator[str]:
    """Say what does not hold; `excused` are the processes that died with calls in flight."""
    for miscount in counter_audit.miscounts(connection):
        yield f"a counter is wrong: {miscount}"
    for unlisted in listing_audit.unlisted(connection):
        yield f"what is counted is not listed: {unlisted}"
    for run_id in counter_audit.stuck(connection):
        yield f"run {run_id} is stuck"
    yield from _of_listing(connection)
    yield from _of_payment(connection, calls, excused)
    yield from _of_events(connection)


def _of_listing(connection: Connection) -> Iterator[str]:
    recorded: set[Any] = set(
        connection.execute(
            select(tables.llm_calls.c.run_id, tables.llm_calls.c.segment_id).where(
                tables.llm_calls.c.status == LlmCallStatus.SUCCESS
            )
        )
    )
    for item in connection.execute(select(tables.run_media)):
        listed = run_segments.results(connection, item.run_id, item.video_id, EVERYTHING).items
        where = f"{item.video_id} of {item.run_id}"
        done = item.completed_segments + item.failed_segments
        if len(listed) != done or done + item.cancelled_segments != item.total_segments:
            yield f"{where} lists {len(listed)} of {item.total_segments} and counts {done} done"
        statuses = Counter(found.status for found in listed)
        for status in (SegmentStatus.COMPLETED, SegmentStatus.FAILED):
            says = getattr(item, f"{status.value}_segments")
            if statuses[status] != says:
                yield f"{where} lists {statuses[status]} {status.value} and counts {says}"
        for found in listed:
            if found.status is SegmentStatus.COMPLETED:
                if found.metadata is None:
                    yield f"{found.segment.segment_id} of {item.run_id} has no result"
                if (item.run_id, found.segment.segment_id) not in recorded:
                    yield f"{found.segment.segment_id} of {item.run_id} was never paid"
            elif found.status is not SegmentStatus.FAILED:
                yield f"{found.segment.segment_id} of {item.run_id} was left {found.status}"


def _of_payment(
    connection: Connection, calls: Sequence[Call], excused: set[Process]
) -> Iterator[str]:
    covered: set[Any] = set(
        connection.execute(select(tables.run_media.c.run_id, tables.run_media.c.video_id))
    )
    statement = select(tables.llm_calls.c.llm_call_id, tables.llm_calls.c.cached)
    recorded = {row.llm_call_id: row.cached for row in connection.execute(statement)}
    made = {call.llm_call_id for call in calls}
    for llm_call_id, cached in recorded.items():
        if not cached and llm_call_id not in made:
            yield f"{llm_call_id} is on record and was never made"
    for call in calls:
        lost = call.answered and call.llm_call_id not in recorded
        if lost and (call.run_id, call.video_id) in covered and call.process not in excused:
            yield f"a call was paid and is not on record: {call}"


def _of_events(connection: Connection) -> Iterator[str]:
    statement = select(tables.events).order_by(tables.events.c.owner_id, tables.events.c.sequence)
    rows = connection.execute(statement).all()
    by_owner: defaultdict[str, list[int]] = defaultdict(list)
    for row in rows:
        by_owner[row.owner_id].append(row.sequence)
    for owner_id, sequences in by_owner.items():
        if sequences != list(range(1, len(sequences) + 1)):
            yield f"the feed of {owner_id} has gaps: {sequences}"
    retried = {row.run_id for row in rows if row.event_type is EventType.RETRY_STARTED}
    gone = _deleted(connection, rows)
    by_run: defaultdict[str, list[Row[Any]]] = defaultdict(list)
    for row in rows:
        if row.run_id is not None:
            by_run[row.run_id].append(row)
    for run_id, of_run in by_run.items():
        if run_id not in retried:
            dwindled = any(row.video_id in gone for row in of_run)
            yield from _of_one_run(run_id, of_run, dwindled=dwindled)
    yield from _ended_once(rows, _RETRY_ENDED, "retry_id")
    yield from _imports_ended_once(rows)


def _deleted(connection: Connection, rows: Sequence[Row[Any]]) -> set[str]:
    """The media items that were there once and are not any more."""
    there = set(connection.execute(select(tables.media.c.video_id)).scalars())
    made = {row.video_id for row in rows if row.event_type is EventType.MEDIA_CREATED}
    return made - there


def _of_one_run(run_id: str, events: Sequence[Row[Any]], *, dwindled: bool) -> Iterator[str]:
    """A run that nobody retried anything of starts once, ends once, and is silent after it.

    One that loses media items after its end (`dwindled`) may come to something better.
    """
    ends = [event.sequence for event in events if event.event_type in RUN_ENDED]
    came_to = [event.payload["status"] for event in events if event.event_type in RUN_ENDED]
    if any(one == other for one, other in pairwise(came_to)):
        yield f"run {run_id} ended twice as {came_to}"
    if len(ends) != 1 and not (ends and dwindled):
        yield f"run {run_id} ended {len(ends)} times"
    starts = [event for event in events if event.event_type is EventType.RUN_STARTED]
    if len(starts) > 1:
        yield f"run {run_id} started {len(starts)} times"
    for event in events:
        if ends and event.sequence > ends[0] and event.event_type in _OF_WORK:
            yield f"run {run_id} told of {event.event_type.value} after its end"
    for ending, column in _ENDINGS:
        told = Counter(getattr(event, column) for event in events if event.event_type in ending)
        for name, times in told.items():
            if times != 1:
                yield f"{name} of {run_id} told {times} times of {min(e.value for e in ending)}"


def _ended_once(rows: Sequence[Row[Any]], ending: set[EventType], key: str) -> Iterator[str]:
    told = Counter(row.payload[key] for row in rows if row.event_type in ending)
    for name, times in told.items():
        if times != 1:
            yield f"{name} ended {times} times"


def _imports_ended_once(rows: Sequence[Row[Any]]) -> Iterator[str]:
    """Between two ends of an import somebody asked for it again, which tells that it waits."""
    ended: dict[str, bool] = {}
    for row in rows:
        if row.event_type in _IMPORT_ENDED:
            if ended.get(row.payload["job_id"]):
                yield f"{row.payload['job_id']} ended twice"
            ended[row.payload["job_id"]] = True
        elif row.event_type is EventType.IMPORT_PROGRESS and row.payload["status"] == "pending":
            ended[row.payload["job_id"]] = False
