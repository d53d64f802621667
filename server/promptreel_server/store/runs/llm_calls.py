"""LLM calls, kept for inspection and answered again where the inputs are the same."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, func, insert, select
from sqlalchemy import Row as Found

from promptreel_server.domain.llm_call import LlmCall, LlmCallStatus
from promptreel_server.domain.page import Page, Slice
from promptreel_server.domain.run import RunMedia
from promptreel_server.domain.segment import Segment
from promptreel_server.store.schema import keyset_paging
from promptreel_server.store.schema.bulk_statements import Prepared, Row
from promptreel_server.store.schema.columns import json_text, microseconds
from promptreel_server.store.schema.tables import llm_calls
from promptreel_server.store.schema.transaction import Transaction

MOST_TEXT = 256 * 1024
"""Characters of a prompt or an answer that are kept; the rest is cut off with a note."""


@dataclass(frozen=True, kw_only=True)
class RecordedCall:
    """An LLM call, and what it belonged to."""

    call: LlmCall
    run_id: str
    prompt_id: str
    owner_id: str
    video_id: str | None
    segment_id: str | None
    segment_start: float | None
    segment_end: float | None


@dataclass(frozen=True, kw_only=True)
class CallFilter:
    """Which calls of a run are wanted; what is None excludes nothing."""

    video_id: str | None = None
    segment_id: str | None = None
    status: LlmCallStatus | None = None


def record(
    tx: Transaction,
    item: RunMedia,
    prompt_id: str,
    calls: Sequence[LlmCall],
    *,
    segment: Segment | None = None,
    fingerprint: str | None = None,
) -> None:
    """Keep the calls of one segment or, without one, of a media item.

    `fingerprint` is what the last of them asked, where its answer may serve again.
    """
    record_all(tx, rows(item, prompt_id, calls, segment=segment, fingerprint=fingerprint))


def rows(
    item: RunMedia,
    prompt_id: str,
    calls: Sequence[LlmCall],
    *,
    segment: Segment | None,
    fingerprint: str | None,
) -> list[Row]:
    """Make the rows of calls that came one after the other; see `record`."""
    last = len(calls) - 1
    return [
        _row(item, prompt_id, call, segment, fingerprint if number == last else None)
        for number, call in enumerate(calls)
    ]


def record_all(tx: Transaction, made: Sequence[Row]) -> None:
    """Keep calls given as rows."""
    _RECORD.execute_all(tx, made)


_RECORD = Prepared(
    insert(llm_calls),
    (
        *("llm_call_id", "run_id", "prompt_id", "video_id", "segment_id", "owner_id", "model"),
        *("purpose", "status", "attempt", "input_tokens", "output_tokens", "thinking_tokens"),
        *("cached_tokens", "audio_tokens", "video_seconds", "segment_start", "segment_end"),
        *("prompt_text", "response_text", "schema_used", "finish_reason", "error_code"),
        *("error_message", "cached", "fingerprint", "invoked_at", "completed_at", "result"),
    ),
)


def _row(
    item: RunMedia,
    prompt_id: str,
    call: LlmCall,
    segment: Segment | None,
    fingerprint: str | None,
) -> Row:
    """Make the row of a call, as it is stored; `fingerprint` is what finds it again."""
    return (
        call.llm_call_id,
        item.run_id,
        prompt_id,
        item.video_id,
        segment.segment_id if segment else None,
        item.owner_id,
        call.model,
        call.purpose.value,
        call.status.value,
        call.attempt,
        call.input_tokens,
        call.output_tokens,
        call.thinking_tokens,
        call.cached_tokens,
        call.audio_tokens,
        call.video_seconds,
        *(segment.seconds if segment else (None, None)),
        _capped(call.prompt_text),
        _capped(call.response_text),
        _capped(call.schema_used),
        call.finish_reason,
        call.error_code,
        _capped(call.error_message),
        call.cached,
        fingerprint,
        microseconds(call.invoked_at),
        microseconds(call.completed_at),
        json_text(call.result),
    )


def _capped(text: str | None) -> str | None:
    if text is None or len(text) <= MOST_TEXT:
        return text
    return f"{text[:MOST_TEXT]}\n[cut off: {len(text) - MOST_TEXT} of {len(text)} characters]"


def page(
    connection: Connection, run_id: str, wanted: CallFilter, part: Slice
) -> Page[RecordedCall]:
    """Answer the calls of a run in the order they were made."""
    statement = select(llm_calls).where(llm_calls.c.run_id == run_id)
    if wanted.video_id is not None:
        statement = statement.where(llm_calls.c.video_id == wanted.video_id)
    if wanted.segment_id is not None:
        statement = statement.where(llm_calls.c.segment_id == wanted.segment_id)
    if wanted.status is not None:
        statement = statement.where(llm_calls.c.status == wanted.status)
    if part.after is not None:
        statement = statement.where(llm_calls.c.llm_call_id > part.after[0])
    statement = statement.order_by(llm_calls.c.llm_call_id)
    return keyset_paging.page(
        connection, statement, part, item=_recorded, position=lambda row: (row.llm_call_id,)
    )


def answered(
    connection: Connection, owner_id: str, fingerprints: Sequence[str]
) -> dict[str, LlmCall]:
    """Answer, by fingerprint, the newest calls of an owner that asked the same and went well."""
    rows = connection.execute(
        select(llm_calls)
        .where(
            llm_calls.c.fingerprint.in_(fingerprints),
            llm_calls.c.owner_id == owner_id,
            llm_calls.c.status == LlmCallStatus.SUCCESS,
        )
        .order_by(llm_calls.c.llm_call_id)
    )
    return {row.fingerprint: _recorded(row).call for row in rows}


def count_answered(connection: Connection, owner_id: str, fingerprints: Sequence[str]) -> int:
    """Count how many of these fingerprints `answered` would find a call for."""
    found = select(func.count(llm_calls.c.fingerprint.distinct())).where(
        llm_calls.c.fingerprint.in_(fingerprints),
        llm_calls.c.owner_id == owner_id,
        llm_calls.c.status == LlmCallStatus.SUCCESS,
    )
    return int(connection.execute(found).scalar() or 0)


def _recorded(row: Found[Any]) -> RecordedCall:
    return RecordedCall(
        call=LlmCall(
            llm_call_id=row.llm_call_id,
            model=row.model,
            purpose=row.purpose,
            status=row.status,
            invoked_at=row.invoked_at,
            completed_at=row.completed_at,
            attempt=row.attempt,
            input_tokens=row.input_tokens,
            output_tokens=row.output_tokens,
            thinking_tokens=row.thinking_tokens,
            cached_tokens=row.cached_tokens,
            audio_tokens=row.audio_tokens,
            video_seconds=row.video_seconds,
            prompt_text=row.prompt_text,
            response_text=row.response_text,
            schema_used=row.schema_used,
            finish_reason=row.finish_reason,
            error_code=row.error_code,
            error_message=row.error_message,
            cached=row.cached,
            result=row.result,
        ),
        run_id=row.run_id,
        prompt_id=row.prompt_id,
        owner_id=row.owner_id,
        video_id=row.video_id,
        segment_id=row.segment_id,
        segment_start=row.segment_start,
        segment_end=row.segment_end,
    )
