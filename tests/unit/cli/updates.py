"""Updates of a run as a server would send them, made by hand."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from promptreel_client.model.events import Event
from promptreel_client.model.marker import Marker
from promptreel_client.model.runs import PromptRun, RunUpdate, StopState, WatchEnd
from promptreel_client.model.words import RunStatus, SegmentationMode, WatchEndReason

START = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)

_COUNTS: dict[str, Any] = {
    f"{stand}_{kind}s": 0
    for stand in ("total", "completed", "failed", "partial", "cancelled")
    for kind in ("video", "audio", "image")
} | {"total_videos": 2}

RUN = PromptRun(
    run_id="run_1",
    prompt_id="prompt_1",
    prompt_name="Scenes",
    prompt_type="custom",
    executed_at=START,
    executed_by="owner",
    status=RunStatus.PENDING,
    run_context={"target": {"type": "videos", "video_ids": ["video_1"]}},
    **_COUNTS,
    total_segments=0,
    completed_segments=0,
    field_extraction_failures=0,
    transcription_failures=0,
    image_embedding_failures=0,
    video_segmentation_type=SegmentationMode.SMART,
    audio_segmentation_type=SegmentationMode.CONTENT_AWARE,
    image_segmentation_type=SegmentationMode.IMAGE,
    created_new_segments=True,
    processing_model="local",
    total_video_seconds=60.0,
    enable_transcription=True,
    enable_image_embedding=True,
    video_level_enabled=True,
    video_level_total_items=2,
    video_level_completed_items=0,
    video_level_failed_items=0,
    video_level_partial_items=0,
    stop_state=StopState(),
    billing_estimated_mt=0.0,
    billing_actual_mt=0.0,
    marker=Marker(),
)


def snapshot(**changed: Any) -> RunUpdate:
    """The run as it stands, with some fields changed."""
    return RunUpdate(sequence=0, snapshot=replace(RUN, **changed))


def event(
    event_type: str,
    *,
    at: float = 0.0,
    video: str | None = "video_1",
    segment: str | None = None,
    **payload: Any,
) -> RunUpdate:
    """Something that happened so many seconds after the start."""
    return RunUpdate(
        sequence=1,
        event=Event(
            event_id="event_1",
            event_type=event_type,
            user_id="owner",
            run_id="run_1",
            video_id=video,
            segment_id=segment,
            created_at=START + timedelta(seconds=at),
            payload=payload,
        ),
    )


def end(status: RunStatus) -> RunUpdate:
    """The last word on the run."""
    return RunUpdate(sequence=9, end=WatchEnd(status=status, reason=WatchEndReason.RUN_ENDED))
