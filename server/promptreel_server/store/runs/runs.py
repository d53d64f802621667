"""Runs: accepted, listed, stopped, recounted and closed."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, Select, func, insert, select, update

from promptreel_server.domain.event import EventType
from promptreel_server.domain.media import MediaItem, MediaType
from promptreel_server.domain.operation import Operation
from promptreel_server.domain.page import Page, Slice
from promptreel_server.domain.run import (
    MediaCounts,
    Run,
    RunMediaStatus,
    RunSettings,
    RunStatus,
    StopRequest,
    SynthesisStatus,
)
from promptreel_server.domain.segment import SegmentationMode
from promptreel_server.domain.target import Target, TargetType
from promptreel_server.errors import NotFound
from promptreel_server.store import feed
from promptreel_server.store.catalogue import prompts
from promptreel_server.store.schema import keyset_paging
from promptreel_server.store.schema.tables import run_media, run_segments, runs, syntheses
from promptreel_server.store.schema.transaction import Transaction

_COUNT_NAMES = ("total", "completed", "failed", "partial", "cancelled")

ENDED_EVENT: Mapping[RunStatus, EventType] = {
    RunStatus.COMPLETED: EventType.RUN_COMPLETED,
    RunStatus.COMPLETED_WITH_FAILURES: EventType.RUN_PARTIAL,
    RunStatus.FAILED: EventType.RUN_FAILED,
    RunStatus.CANCELLED: EventType.RUN_CANCELLED,
}


@dataclass(frozen=True, kw_only=True)
class RunFilter:
    """Which runs of an owner are wanted; what is None excludes nothing."""

    status: RunStatus | None = None
    index_id: str | None = None
    video_id: str | None = None
    prompt_id: str | None = None


def accept(tx: Transaction, run: Run, media: Sequence[MediaItem]) -> None:
    """Write a run, its media list and the first event."""
    totals = {
        f"total_{kind.value}s": sum(1 for item in media if item.media_type is kind)
        for kind in MediaType
    }
    tx.execute(
        insert(runs).values(
            run_id=run.run_id,
            owner_id=run.owner_id,
            prompt_id=run.prompt.prompt_id,
            prompt_owner_id=run.prompt.owner_id,
            prompt=prompts.to_json(run.prompt),
            prompt_created_at=run.prompt.created_at,
            target=_target_json(run.target),
            index_id=run.target.index_id,
            settings=_settings_json(run.settings),
            executed_at=run.executed_at,
            executed_by=run.executed_by,
            status=RunStatus.PENDING,
            total_media=len(media),
            total_seconds=float(sum(item.facts.duration for item in media)),
            video_level_total=len(media) if run.prompt.video_level else 0,
            **totals,
        )
    )
    tx.execute(insert(run_media), [_media_row(tx, run, n, item) for n, item in enumerate(media)])
    if run.prompt.video_level:
        tx.execute(
            insert(syntheses),
            [
                {
                    "run_id": run.run_id,
                    "video_id": item.video_id,
                    "status": SynthesisStatus.PENDING,
                }
                for item in media
            ],
        )


def _media_row(tx: Transaction, run: Run, ordinal: int, item: MediaItem) -> dict[str, Any]:
    return {
        "run_id": run.run_id,
        "video_id": item.video_id,
        "owner_id": run.owner_id,
        "ordinal": ordinal,
        "media_type": item.media_type,
        "title": item.title,
        "index_id": item.index_id,
        "status": RunMediaStatus.PENDING,
        "created_at": tx.now,
        "updated_at": tx.now,
    }


def fetch(connection: Connection, owner_id: str, run_id: str) -> Run:
    """Answer a run of this owner.

    Raises:
        NotFound: there is none, or it is somebody else's.
    """
    row = connection.execute(
        select(runs).where(runs.c.run_id == run_id, runs.c.owner_id == owner_id)
    ).one_or_none()
    if row is None:
        raise NotFound(f"There is no run {run_id}.", details={"run_id": run_id})
    return _run(row)


def load(connection: Connection, run_id: str) -> Run | None:
    """Answer a run whoever owns it, for the engine; None where it is gone."""
    row = connection.execute(select(runs).where(runs.c.run_id == run_id)).one_or_none()
    return None if row is None else _run(row)


def page(connection: Connection, owner_id: str, wanted: RunFilter, part: Slice) -> Page[Run]:
    """Answer runs of this owner, newest first."""
    statement = _filtered(select(runs).where(runs.c.owner_id == owner_id), wanted)
    if part.after is not None:
        statement = statement.where(runs.c.run_id < part.after[0])
    statement = statement.order_by(runs.c.run_id.desc())
    return keyset_paging.page(
        connection, statement, part, item=_run, position=lambda row: (row.run_id,)
    )


def _filtered(statement: Select[Any], wanted: RunFilter) -> Select[Any]:
    if wanted.status is not None:
        statement = statement.where(runs.c.status == wanted.status)
    if wanted.index_id is not None:
        statement = statement.where(runs.c.index_id == wanted.index_id)
    if wanted.prompt_id is not None:
        statement = statement.where(runs.c.prompt_id == wanted.prompt_id)
    if wanted.video_id is not None:
        of_video = select(run_media.c.run_id).where(run_media.c.video_id == wanted.video_id)
        statement = statement.where(runs.c.run_id.in_(of_video))
    return statement


def request_stop(tx: Transaction, run_id: str, requested_by: str) -> Run:
    """Store the wish to cancel; nothing changes where one stands or the run has ended.

    A run that a retry took up again can be stopped again.
    """
    asked = tx.execute(
        update(runs)
        .where(
            runs.c.run_id == run_id,
            runs.c.stop_requested_at.is_(None) | runs.c.stop_completed_at.is_not(None),
            runs.c.status.in_((RunStatus.PENDING, RunStatus.PROCESSING)),
        )
        .values(
            stop_requested_at=tx.now,
            stop_requested_by=requested_by,
            stop_observed_at=None,
            stop_completed_at=None,
        )
    ).rowcount
    run = load(tx.connection, run_id)
    if run is None:
        raise NotFound(f"There is no run {run_id}.", details={"run_id": run_id})
    if asked:
        _tell(tx, run, EventType.RUN_PROGRESS, {"phase": "stopping"})
    return run


def observe_stop(tx: Transaction, run_id: str) -> None:
    """Note that a drive has seen the stop request."""
    tx.execute(
        update(runs)
        .where(
            runs.c.run_id == run_id,
            runs.c.stop_requested_at.is_not(None),
            runs.c.stop_observed_at.is_(None),
        )
        .values(stop_observed_at=tx.now)
    )


def stop_requested(connection: Connection, run_ids: Sequence[str]) -> dict[str, bool]:
    """Answer which of these runs are asked to stop, and whether that is noted as observed."""
    statement = select(runs.c.run_id, runs.c.stop_observed_at).where(
        runs.c.run_id.in_(run_ids),
        runs.c.stop_requested_at.is_not(None),
        runs.c.stop_completed_at.is_(None),
    )
    return {run_id: at is not None for run_id, at in connection.execute(statement)}


def start(tx: Transaction, run: Run) -> None:
    """Move a pending run to processing and tell it; nothing where it has moved on already."""
    moved = tx.execute(
        update(runs)
        .where(runs.c.run_id == run.run_id, runs.c.status == RunStatus.PENDING)
        .values(status=RunStatus.PROCESSING)
    ).rowcount
    if moved:
        _tell(tx, run, EventType.RUN_STARTED, {"status": RunStatus.PROCESSING.value})


def _tell(tx: Transaction, run: Run, event_type: EventType, payload: Mapping[str, Any]) -> None:
    feed.append(
        tx,
        run.owner_id,
        event_type,
        run_id=run.run_id,
        index_id=run.target.index_id,
        payload=payload,
    )


def fail(tx: Transaction, run_id: str, message: str) -> None:
    """Note why a run as a whole can't go on; its media items still close it."""
    tx.execute(
        update(runs)
        .where(runs.c.run_id == run_id, runs.c.error_message.is_(None))
        .values(error_message=message)
    )


def reopen(
    tx: Transaction, run_id: str, kind: MediaType, was: RunMediaStatus, *, segments: int
) -> None:
    """Take one failed media item, and its stand-in segments, out of the counters; go on."""
    before = load(tx.connection, run_id)
    count_media(tx, run_id, kind, was, RunMediaStatus.PENDING)
    _add(tx, run_id, {"total_segments": -segments, "failed_segments": -segments})
    tx.execute(
        update(runs)
        .where(runs.c.run_id == run_id)
        .values(status=RunStatus.PROCESSING, error_message=None, completed_at=None)
    )
    if before is not None and before.status.terminal:
        _tell(tx, before, EventType.RUN_STARTED, {"status": RunStatus.PROCESSING.value})


def count_media(
    tx: Transaction, run_id: str, kind: MediaType, was: RunMediaStatus, now: RunMediaStatus
) -> None:
    """Correct a run's counters when one of its media items moves between statuses."""
    change: Counter[str] = Counter()
    for status, step in ((was, -1), (now, 1)):
        if status.terminal:
            change[f"{status.value}_{kind.value}s"] += step
            change["done_media"] += step
    _add(tx, run_id, change)


def count_synthesis(
    tx: Transaction, run_id: str, was: SynthesisStatus, now: SynthesisStatus
) -> None:
    """Correct a run's counters when the synthesis of a media item moves between statuses."""
    change: Counter[str] = Counter()
    for status, step in ((was, -1), (now, 1)):
        if status.terminal:
            change[f"video_level_{status.value}"] += step
    _add(tx, run_id, change)


def _add(tx: Transaction, run_id: str, change: Mapping[str, int]) -> None:
    values = {runs.c[name]: runs.c[name] + step for name, step in change.items() if step}
    if values:
        tx.execute(update(runs).where(runs.c.run_id == run_id).values(values))


def close(tx: Transaction, run_id: str) -> RunStatus | None:
    """Give a run its terminal status once all its media items have one; None before that."""
    row = tx.execute(select(runs).where(runs.c.run_id == run_id)).one_or_none()
    if row is None or row.done_media < row.total_media:
        return None
    status = _terminal_status(tx, row)
    if row.status == status:
        return status
    tx.execute(
        update(runs)
        .where(runs.c.run_id == run_id)
        .values(
            status=status,
            completed_at=tx.now,
            processing_warning=None,
            error_message=None if status is RunStatus.COMPLETED else row.error_message,
            stop_completed_at=_stop_completed(row, tx.now),
        )
    )
    feed.append(
        tx,
        row.owner_id,
        ENDED_EVENT[status],
        run_id=run_id,
        index_id=row.index_id,
        payload={"status": status.value, "error_message": row.error_message},
    )
    return status


def _stop_completed(row: Any, now: datetime) -> datetime | None:
    """When the stop request of a run that ends came to its end: the first time it ends."""
    if row.stop_requested_at is None:
        return None
    completed: datetime | None = row.stop_completed_at
    return completed or now


def _terminal_status(tx: Transaction, row: Any) -> RunStatus:
    """Cancelled: the stop left something undone. Failed: nothing succeeded. Else by failures."""
    cancelled_media = sum(getattr(row, f"cancelled_{kind.value}s") for kind in MediaType)
    undone = row.cancelled_segments + cancelled_media
    if row.stop_requested_at is not None and (undone or _open_syntheses(row)):
        return RunStatus.CANCELLED
    failed_media = sum(getattr(row, f"failed_{kind.value}s") for kind in MediaType)
    failures = undone + row.failed_segments + failed_media + row.video_level_failed
    if not failures:
        return RunStatus.COMPLETED
    if row.completed_segments == 0 and not _partly_succeeded(tx, row):
        return RunStatus.FAILED
    return RunStatus.COMPLETED_WITH_FAILURES


def _open_syntheses(row: Any) -> int:
    ended = row.video_level_completed + row.video_level_failed + row.video_level_partial
    return int(row.video_level_total - ended)


def _partly_succeeded(tx: Transaction, row: Any) -> bool:
    """Whether a failed segment yielded fields all the same (another operation failed)."""
    before_any = tx.execute(
        select(func.count())
        .select_from(run_segments)
        .where(run_segments.c.run_id == row.run_id, run_segments.c.failure_code.is_not(None))
    ).scalar_one()
    return bool(row.field_extraction_failures + before_any < row.failed_segments)


def _run(row: Row[Any]) -> Run:
    stop = None
    if row.stop_requested_at is not None:
        stop = StopRequest(
            requested_at=row.stop_requested_at,
            requested_by=row.stop_requested_by,
            observed_at=row.stop_observed_at,
            completed_at=row.stop_completed_at,
        )
    return Run(
        run_id=row.run_id,
        owner_id=row.owner_id,
        prompt=prompts.from_json(
            row.prompt,
            prompt_id=row.prompt_id,
            owner_id=row.prompt_owner_id,
            is_active=True,
            created_at=row.prompt_created_at,
        ),
        target=_target(row.target),
        settings=_settings(row.settings),
        executed_at=row.executed_at,
        executed_by=row.executed_by,
        status=row.status,
        media={
            kind: MediaCounts(
                **{name: getattr(row, f"{name}_{kind.value}s") for name in _COUNT_NAMES}
            )
            for kind in MediaType
        },
        total_segments=row.total_segments,
        completed_segments=row.completed_segments,
        failed_segments=row.failed_segments,
        cancelled_segments=row.cancelled_segments,
        operation_failures={
            operation: getattr(row, f"{operation.value}_failures") for operation in Operation
        },
        total_seconds=row.total_seconds,
        created_new_segments=row.created_new_segments,
        video_level_total=row.video_level_total,
        video_level_completed=row.video_level_completed,
        video_level_failed=row.video_level_failed,
        video_level_partial=row.video_level_partial,
        stop=stop,
        error_message=row.error_message,
        processing_warning=row.processing_warning,
        completed_at=row.completed_at,
    )


def _target_json(target: Target) -> dict[str, Any]:
    return {
        "type": target.type.value,
        "index_id": target.index_id,
        "video_ids": list(target.video_ids),
    }


def _target(body: Mapping[str, Any]) -> Target:
    return Target(
        type=TargetType(body["type"]),
        index_id=body["index_id"],
        video_ids=tuple(body["video_ids"]),
    )


def _settings_json(settings: RunSettings) -> dict[str, Any]:
    return {
        "video_segmentation": settings.video_segmentation.value,
        "audio_segmentation": settings.audio_segmentation.value,
        "video_segment_duration": settings.video_segment_duration,
        "audio_segment_duration": settings.audio_segment_duration,
        "processing_model": settings.processing_model,
        "enable_transcription": settings.enable_transcription,
        "enable_image_embedding": settings.enable_image_embedding,
        "reuse_llm_calls": settings.reuse_llm_calls,
    }


def _settings(body: Mapping[str, Any]) -> RunSettings:
    return RunSettings(
        **{
            **body,
            "video_segmentation": SegmentationMode(body["video_segmentation"]),
            "audio_segmentation": SegmentationMode(body["audio_segmentation"]),
        }
    )
