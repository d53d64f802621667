"""Runs: one prompt over one target, as frozen and as it stands."""

from dataclasses import dataclass
from datetime import datetime

from promptreel_client.model.events import Event
from promptreel_client.model.json_object import JsonObject
from promptreel_client.model.marker import Marker
from promptreel_client.model.words import RunStatus, SegmentationMode, TargetType, WatchEndReason


@dataclass(frozen=True, kw_only=True, slots=True)
class Target:
    """What a run covers."""

    type: TargetType
    """Which of the three kinds. Required."""
    index_id: str | None = None
    """The index. Required with `index`; with `videos` it may be named and then holds them all;
    refused with `playground`."""
    video_ids: tuple[str, ...] = ()
    """The media items: 1 to 1000 with `videos`, refused otherwise."""


@dataclass(frozen=True, kw_only=True, slots=True)
class StopState:
    """The stored wish to stop a run, and what came of it. Empty until somebody wishes so."""

    requested_at: datetime | None = None
    """When it was asked for. None: it was not."""
    requested_by: str | None = None
    """Who asked for it. None: nobody did."""
    mode: str | None = None
    """How it stops: `cooperative`, what is in hand may finish. None: it was not asked for."""
    observed_at: datetime | None = None
    """When everyone who drives the run knew. None: not yet."""
    completed_at: datetime | None = None
    """When the run was over. None: not yet."""


@dataclass(frozen=True, kw_only=True, slots=True)
class PromptRun:
    """One prompt over one target: what was frozen, and how it stands."""

    run_id: str
    """Names the run."""
    prompt_id: str
    """Its prompt."""
    prompt_name: str
    """What the prompt was called when the run was accepted."""
    prompt_type: str
    """`custom`, or `default` for a prompt that ships with the server. A string, because `default`
    is a reserved word in languages that this is generated for."""
    executed_at: datetime
    """When it was accepted."""
    executed_by: str
    """Who asked for it."""
    status: RunStatus
    """How it stands."""
    run_context: JsonObject
    """The frozen target and settings."""
    total_videos: int
    """Videos it covers."""
    completed_videos: int
    """Videos of which every segment succeeded."""
    failed_videos: int
    """Videos of which no segment succeeded."""
    partial_videos: int
    """Videos of which some segments succeeded."""
    cancelled_videos: int
    """Videos left undone because of the stop."""
    total_audios: int
    """Audio items it covers."""
    completed_audios: int
    """Audio items of which every segment succeeded."""
    failed_audios: int
    """Audio items of which no segment succeeded."""
    partial_audios: int
    """Audio items of which some segments succeeded."""
    cancelled_audios: int
    """Audio items left undone because of the stop."""
    total_images: int
    """Still images it covers."""
    completed_images: int
    """Still images that succeeded."""
    failed_images: int
    """Still images that failed."""
    partial_images: int
    """Still images of which some operations succeeded; counted as videos are."""
    cancelled_images: int
    """Still images left undone because of the stop."""
    total_segments: int
    """Segments of the media cut so far."""
    completed_segments: int
    """Segments of which every enabled operation succeeded."""
    field_extraction_failures: int
    """Segments whose field extraction stands failed."""
    transcription_failures: int
    """Segments whose transcription stands failed."""
    image_embedding_failures: int
    """Segments whose image embedding stands failed."""
    field_extraction_succeeded: bool | None = None
    """Whether field extraction succeeded everywhere. None: the run is not over."""
    transcription_succeeded: bool | None = None
    """Whether transcription succeeded everywhere. None: the run is not over, or not enabled."""
    image_embedding_succeeded: bool | None = None
    """Whether image embedding succeeded everywhere. None: the run is not over, or it is not
    enabled."""
    error_message: str | None = None
    """Why it failed. None: it did not."""
    video_segmentation_type: SegmentationMode
    """How videos are cut."""
    audio_segmentation_type: SegmentationMode
    """How audio is cut."""
    image_segmentation_type: SegmentationMode
    """How still images are cut: `image`."""
    video_segment_duration: int | None = None
    """Seconds a video segment. None: videos are not cut by `fixed`."""
    audio_segment_duration: int | None = None
    """Seconds an audio segment. None: audio is not cut by `fixed`."""
    created_new_segments: bool
    """Whether it cut any media itself; false where it found every media item cut alike already."""
    processing_model: str
    """The model that extracts."""
    total_video_seconds: float
    """How long the media it covers last, in seconds."""
    enable_transcription: bool
    """Whether it transcribes."""
    enable_image_embedding: bool
    """Whether it embeds pictures."""
    video_level_enabled: bool
    """Whether its prompt asks for a synthesis."""
    video_level_total_items: int
    """Media-wide results it is to make."""
    video_level_completed_items: int
    """Media-wide results made from every segment."""
    video_level_failed_items: int
    """Media-wide results that could not be made."""
    video_level_partial_items: int
    """Media-wide results made while some segments had no result to read."""
    stop_state: StopState
    """The wish to stop it, and what came of it."""
    billing_estimated_mt: float
    """What it was expected to cost: 0, nothing is billed."""
    billing_actual_mt: float
    """What it cost: 0, nothing is billed."""
    billing_status: str | None = None
    """How the bill stands. None: nothing is billed."""
    billing_error: str | None = None
    """Why the bill could not be made. None: nothing is billed."""
    marker: Marker
    """What a person pinned to it."""
    processing_warning: str | None = None
    """What to keep in mind about it, such as that it makes no progress and why. None: nothing."""


@dataclass(frozen=True, kw_only=True, slots=True)
class PromptRunEstimate:
    """What a run would cover, cost and reuse."""

    estimated_mt: float
    """What it would cost: 0, nothing is billed."""
    breakdown: JsonObject
    """Media items, seconds and segments by media type, LLM calls and tokens (low and high), what
    would be reused, and warnings."""
    sufficient_balance: bool
    """Whether the caller can pay: true, nothing is billed."""
    current_balance_mt: float
    """What the caller has: 0, nothing is billed."""


@dataclass(frozen=True, kw_only=True, slots=True)
class WatchEnd:
    """The end of a watch over one run."""

    status: RunStatus
    """How the run stands."""
    reason: WatchEndReason
    """Why the watch ended."""


@dataclass(frozen=True, kw_only=True, slots=True)
class RunUpdate:
    """One message of a watch over one run."""

    sequence: int
    """Where the watch stands: pass it as `after_sequence` to go on from here. Repeats on messages
    that are no event."""
    snapshot: PromptRun | None = None
    """The run as it stands: the first message, and again whenever its counters have changed."""
    event: Event | None = None
    """Something happened in the run."""
    end: WatchEnd | None = None
    """The watch is over: the last message."""
