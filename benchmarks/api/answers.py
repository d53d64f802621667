"""The answer of GET /api/v2/prompt-runs/{run_id} as a pydantic model, field by field."""

from datetime import datetime
from typing import Any, ClassVar

from pydantic import BaseModel


class Marker(BaseModel):
    """Nothing is pinned."""


class StopState(BaseModel):
    """The wish to stop a run."""

    requested_at: datetime | None = None
    requested_by: str | None = None
    mode: str | None = None
    observed_at: datetime | None = None
    completed_at: datetime | None = None


class PromptRun(BaseModel):
    """One run."""

    COUNTS: ClassVar[tuple[str, ...]] = (
        *(
            f"{state}_{kind}s"
            for kind in ("video", "audio", "image")
            for state in ("total", "completed", "failed", "partial", "cancelled")
        ),
        "total_segments",
        "completed_segments",
        "field_extraction_failures",
        "transcription_failures",
        "image_embedding_failures",
    )

    run_id: str
    prompt_id: str
    prompt_name: str
    prompt_type: str
    executed_at: datetime
    executed_by: str
    status: str
    run_context: dict[str, Any]
    total_videos: int
    completed_videos: int
    failed_videos: int
    partial_videos: int
    cancelled_videos: int
    total_audios: int
    completed_audios: int
    failed_audios: int
    partial_audios: int
    cancelled_audios: int
    total_images: int
    completed_images: int
    failed_images: int
    partial_images: int
    cancelled_images: int
    total_segments: int
    completed_segments: int
    field_extraction_failures: int
    transcription_failures: int
    image_embedding_failures: int
    field_extraction_succeeded: bool | None = None
    transcription_succeeded: bool | None = None
    image_embedding_succeeded: bool | None = None
    error_message: str | None = None
    video_segmentation_type: str
    audio_segmentation_type: str
    image_segmentation_type: str
    video_segment_duration: int | None = None
    audio_segment_duration: int | None = None
    created_new_segments: bool
    processing_model: str
    total_video_seconds: float
    enable_transcription: bool
    enable_image_embedding: bool
    video_level_enabled: bool
    video_level_total_items: int
    video_level_completed_items: int
    video_level_failed_items: int
    video_level_partial_items: int
    stop_state: StopState
    billing_estimated_mt: float = 0.0
    billing_actual_mt: float = 0.0
    billing_status: str | None = None
    billing_error: str | None = None
    marker: Marker = Marker()
