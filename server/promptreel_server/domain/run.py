"""Runs: one prompt over one target, with every setting frozen when it was accepted."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum

from promptreel_server.domain.media import MediaType
from promptreel_server.domain.operation import Operation
from promptreel_server.domain.prompt import JsonObject, Prompt
from promptreel_server.domain.segment import SegmentationMode
from promptreel_server.domain.target import Target
from promptreel_server.errors import Invalid

LONGEST_FIXED_SECONDS = 300


class RunStatus(Enum):
    """How a run stands."""

    PENDING = "pending"
    PROCESSING = "processing"
    COMPLETED = "completed"
    """Nothing that was enabled failed: terminal."""
    COMPLETED_WITH_FAILURES = "completed_with_failures"
    """Something failed, something succeeded: terminal until a retry."""
    FAILED = "failed"
    """No segment succeeded, or the run could not start: terminal until a retry."""
    CANCELLED = "cancelled"
    """Something was left undone because of the stop: terminal until a retry."""

    @property
    def terminal(self) -> bool:
        """Whether nothing more happens by itself."""
        return self not in (RunStatus.PENDING, RunStatus.PROCESSING)


class RunMediaStatus(Enum):
    """How one media item stands inside a run."""

    PENDING = "pending"
    PROCESSING = "processing"
    COMPLETED = "completed"
    PARTIAL = "partial"
    """Some segments failed, some succeeded: terminal until a retry."""
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def terminal(self) -> bool:
        """Whether nothing more happens by itself."""
        return self not in (RunMediaStatus.PENDING, RunMediaStatus.PROCESSING)


class SynthesisStatus(Enum):
    """How the media-wide result stands."""

    PENDING = "pending"
    PROCESSING = "processing"
    COMPLETED = "completed"
    PARTIAL = "partial"
    """Made, while some segments had no result to read."""
    FAILED = "failed"

    @property
    def terminal(self) -> bool:
        """Whether nothing more happens by itself."""
        return self not in (SynthesisStatus.PENDING, SynthesisStatus.PROCESSING)


@dataclass(frozen=True, kw_only=True)
class RunSettings:
    """How a run cuts, what it asks, which operations it does."""

    video_segmentation: SegmentationMode = SegmentationMode.SMART
    audio_segmentation: SegmentationMode = SegmentationMode.CONTENT_AWARE
    video_segment_duration: int | None = None
    audio_segment_duration: int | None = None
    processing_model: str
    enable_transcription: bool = True
    enable_image_embedding: bool = True
    reuse_llm_calls: bool = True
    """Whether a call may be answered from an earlier one that asked exactly the same."""

    def __post_init__(self) -> None:
        """Refuse durations that don't fit the modes."""
        if self.video_segmentation is SegmentationMode.IMAGE:
            raise Invalid.field("video_segmentation_type", "one of smart, fixed, content_aware")
        if self.audio_segmentation not in (SegmentationMode.FIXED, SegmentationMode.CONTENT_AWARE):
            raise Invalid.field("audio_segmentation_type", "one of content_aware, fixed")
        _check_duration("video", self.video_segmentation, self.video_segment_duration)
        _check_duration("audio", self.audio_segmentation, self.audio_segment_duration)

    def mode(self, media_type: MediaType) -> SegmentationMode:
        """How a media item of this type is cut."""
        if media_type is MediaType.VIDEO:
            return self.video_segmentation
        return self.audio_segmentation if media_type is MediaType.AUDIO else SegmentationMode.IMAGE

    def fixed_duration(self, media_type: MediaType) -> int | None:
        """Seconds a segment, with `fixed`; else None."""
        if media_type is MediaType.VIDEO:
            return self.video_segment_duration
        return self.audio_segment_duration if media_type is MediaType.AUDIO else None


def _check_duration(medium: str, mode: SegmentationMode, seconds: int | None) -> None:
    name = f"{medium}_segment_duration"
    if mode is SegmentationMode.FIXED:
        if seconds is None:
            raise Invalid.field(name, f"required when {medium}_segmentation_type is fixed")
        if not 1 <= seconds <= LONGEST_FIXED_SECONDS:
            raise Invalid.field(name, f"whole seconds from 1 to {LONGEST_FIXED_SECONDS}")
    elif seconds is not None:
        raise Invalid.field(name, f"only with {medium}_segmentation_type fixed")


@dataclass(frozen=True, kw_only=True)
class MediaCounts:
    """How the media items of one type stand."""

    total: int = 0
    completed: int = 0
    failed: int = 0
    partial: int = 0
    cancelled: int = 0


@dataclass(frozen=True, kw_only=True)
class StopRequest:
    """The stored wish to cancel, and what came of it."""

    requested_at: datetime
    requested_by: str
    mode: str = "cooperative"
    observed_at: datetime | None = None
    completed_at: datetime | None = None


@dataclass(frozen=True, kw_only=True)
class Run:
    """One prompt over one target: what was frozen, and how it stands."""

    run_id: str
    owner_id: str
    prompt: Prompt
    """As it was when the run was accepted."""
    target: Target
    settings: RunSettings
    executed_at: datetime
    executed_by: str
    status: RunStatus
    media: Mapping[MediaType, MediaCounts] = field(default_factory=dict)
    total_segments: int = 0
    completed_segments: int = 0
    failed_segments: int = 0
    cancelled_segments: int = 0
    operation_failures: Mapping[Operation, int] = field(default_factory=dict)
    total_seconds: float = 0.0
    created_new_segments: bool = False
    video_level_total: int = 0
    video_level_completed: int = 0
    video_level_failed: int = 0
    video_level_partial: int = 0
    stop: StopRequest | None = None
    error_message: str | None = None
    processing_warning: str | None = None
    """Why the run makes no progress, while it makes none."""
    completed_at: datetime | None = None

    @property
    def stopping(self) -> bool:
        """Whether a stop request is in force: one that has come to its end is history."""
        return self.stop is not None and self.stop.completed_at is None

    def succeeded(self, operation: Operation) -> bool | None:
        """Whether an operation went without a failure: None while running or where it is off."""
        if not self.status.terminal or not self.enabled(operation):
            return None
        return self.operation_failures.get(operation, 0) == 0 and self.completed_segments > 0

    def enabled(self, operation: Operation) -> bool:
        """Whether the run does this operation."""
        if operation is Operation.TRANSCRIPTION:
            return self.settings.enable_transcription
        if operation is Operation.IMAGE_EMBEDDING:
            return self.settings.enable_image_embedding
        return True


@dataclass(frozen=True, kw_only=True)
class RunMedia:
    """One media item inside one run: the unit of dispatch."""

    run_id: str
    video_id: str
    owner_id: str
    ordinal: int
    media_type: MediaType
    title: str
    index_id: str | None
    status: RunMediaStatus
    epoch: int
    """Rises with every claim: what writes with an older one is fenced."""
    segmentation_id: str | None = None
    total_segments: int = 0
    completed_segments: int = 0
    failed_segments: int = 0
    cancelled_segments: int = 0
    error_message: str | None = None
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, kw_only=True)
class Synthesis:
    """The media-wide result of one media item in one run."""

    run_id: str
    video_id: str
    status: SynthesisStatus
    metadata: JsonObject | None = None
    metadata_text: str = ""
    raw_response: str | None = None
    successful_segments: int = 0
    failed_segments: int = 0
    omitted_segment_ids: tuple[str, ...] = ()
    template_fields: tuple[str, ...] = ()
    source_fingerprint: str | None = None
    rendered_prompt_chars: int = 0
    llm_attempted: bool = False
    error_message: str | None = None
    processing_warning: str | None = None
    started_at: datetime | None = None
    completed_at: datetime | None = None
