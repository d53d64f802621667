"""Syntheses: the media-wide result of each media item of a run."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, select, update

from promptreel_server.domain.event import EventType
from promptreel_server.domain.llm_call import LlmCall
from promptreel_server.domain.run import RunMedia, Synthesis, SynthesisStatus
from promptreel_server.errors import VideoLevelNotConfigured
from promptreel_server.store import feed
from promptreel_server.store.runs import llm_calls, runs
from promptreel_server.store.schema.columns import either_of
from promptreel_server.store.schema.tables import syntheses
from promptreel_server.store.schema.transaction import Transaction


@dataclass(frozen=True, kw_only=True)
class SynthesisOutcome:
    """The last word on a synthesis, with the LLM calls it took."""

    item: RunMedia
    prompt_id: str
    synthesis: Synthesis
    calls: tuple[LlmCall, ...] = ()
    fingerprint: str | None = None
    """What the last of the calls asked, where its answer may serve again."""


def fetch(connection: Connection, run_id: str, video_id: str) -> Synthesis:
    """Answer the synthesis of a media item in a run.

    Raises:
        VideoLevelNotConfigured: the run's prompt asks for none.
    """
    found = find(connection, run_id, video_id)
    if found is None:
        raise VideoLevelNotConfigured(
            f"The prompt of run {run_id} has no video_level; give it one and run it again.",
            details={"run_id": run_id, "video_id": video_id},
        )
    return found


def find(connection: Connection, run_id: str, video_id: str) -> Synthesis | None:
    """Answer the synthesis of a media item in a run, None where the prompt asks for none."""
    row = connection.execute(
        select(syntheses).where(syntheses.c.run_id == run_id, syntheses.c.video_id == video_id)
    ).one_or_none()
    return None if row is None else _synthesis(row)


def of_keys(
    connection: Connection, keys: Sequence[tuple[str, str]]
) -> dict[tuple[str, str], Synthesis]:
    """Answer syntheses by run id and media id, where there are any."""
    named = either_of(syntheses.c.run_id, syntheses.c.video_id, keys)
    rows = connection.execute(select(syntheses).where(named))
    return {(row.run_id, row.video_id): _synthesis(row) for row in rows}


def start(tx: Transaction, item: RunMedia) -> None:
    """Note that a synthesis is being made."""
    _write(
        tx,
        item,
        {
            "status": SynthesisStatus.PROCESSING,
            "started_at": tx.now,
            "completed_at": None,
            "error_message": None,
        },
    )


def reset(tx: Transaction, item: RunMedia) -> None:
    """Note that a synthesis reads something else now and is to be redone, where there is one."""
    if find(tx.connection, item.run_id, item.video_id) is not None:
        values = {"status": SynthesisStatus.PENDING, "error_message": None, "completed_at": None}
        _write(tx, item, values)


def give_up(tx: Transaction, item: RunMedia, message: str) -> None:
    """Note that a synthesis will not be made, where one was to be: its media item has failed."""
    found = find(tx.connection, item.run_id, item.video_id)
    if found is not None and not found.status.terminal:
        values = {"status": SynthesisStatus.FAILED, "error_message": message}
        _write(tx, item, {**values, "completed_at": tx.now})
        _tell(tx, item, SynthesisStatus.FAILED, message)


def finish(tx: Transaction, outcome: SynthesisOutcome) -> None:
    """Write what a synthesis came to, its LLM calls and its event."""
    made, item = outcome.synthesis, outcome.item
    _write(
        tx,
        item,
        {
            "status": made.status,
            "metadata": made.metadata,
            "metadata_text": made.metadata_text,
            "raw_response": made.raw_response,
            "successful_segments": made.successful_segments,
            "failed_segments": made.failed_segments,
            "omitted_segment_ids": list(made.omitted_segment_ids),
            "template_fields": list(made.template_fields),
            "source_fingerprint": made.source_fingerprint,
            "rendered_prompt_chars": made.rendered_prompt_chars,
            "llm_attempted": made.llm_attempted,
            "error_message": made.error_message,
            "processing_warning": made.processing_warning,
            "completed_at": tx.now,
        },
    )
    llm_calls.record(tx, item, outcome.prompt_id, outcome.calls, fingerprint=outcome.fingerprint)
    tokens = sum(call.total_tokens for call in outcome.calls)
    _tell(tx, item, made.status, made.error_message, tokens)


def _tell(
    tx: Transaction, item: RunMedia, status: SynthesisStatus, message: str | None, tokens: int = 0
) -> None:
    failed = status is SynthesisStatus.FAILED
    feed.append(
        tx,
        item.owner_id,
        EventType.VIDEO_RESULT_FAILED if failed else EventType.VIDEO_RESULT_COMPLETED,
        run_id=item.run_id,
        video_id=item.video_id,
        index_id=item.index_id,
        payload={"status": status.value, "error_message": message, "tokens": tokens},
    )


def _write(tx: Transaction, item: RunMedia, values: dict[str, Any]) -> None:
    here = (syntheses.c.run_id == item.run_id, syntheses.c.video_id == item.video_id)
    was = tx.execute(select(syntheses.c.status).where(*here)).scalar_one()
    tx.execute(update(syntheses).where(*here).values(values))
    runs.count_synthesis(tx, item.run_id, was, values["status"])


def _synthesis(row: Row[Any]) -> Synthesis:
    return Synthesis(
        run_id=row.run_id,
        video_id=row.video_id,
        status=row.status,
        metadata=row.metadata,
        metadata_text=row.metadata_text,
        raw_response=row.raw_response,
        successful_segments=row.successful_segments,
        failed_segments=row.failed_segments,
        omitted_segment_ids=tuple(row.omitted_segment_ids),
        template_fields=tuple(row.template_fields),
        source_fingerprint=row.source_fingerprint,
        rendered_prompt_chars=row.rendered_prompt_chars,
        llm_attempted=row.llm_attempted,
        error_message=row.error_message,
        processing_warning=row.processing_warning,
        started_at=row.started_at,
        completed_at=row.completed_at,
    )
