"""Segments of media items, and how they stand in a run."""

from dataclasses import dataclass, field
from datetime import datetime

from promptreel_client.model.json_object import JsonObject
from promptreel_client.model.marker import Marker
from promptreel_client.model.words import Operation, RunMediaStatus, SegmentStatus, SynthesisStatus


@dataclass(frozen=True, kw_only=True, slots=True)
class Segment:
    """A half-open stretch `[start_time, end_time)` of a media item, and how it stands in a run."""

    segment_id: str
    """Names the segment. Runs that cut a media item alike share its segments."""
    video_id: str
    """Its media item."""
    start_time: float
    """Where it starts, in seconds from the start of the media item."""
    end_time: float
    """Where it ends, in seconds from the start of the media item; not part of it."""
    processed: bool
    """Whether every enabled operation succeeded."""
    processing_failed: bool
    """Whether an enabled operation gave up."""
    segment_status: SegmentStatus
    """How it stands in the run `from_run_id`; `pending` where no run has touched it."""
    failure_stage: Operation | None = None
    """The operation that failed; the first one where several did. None: none stands failed."""
    failure_message: str | None = None
    """Why that operation failed. None: none stands failed."""
    attempt_id: str | None = None
    """The attempt that brought it where it stands. None: there was none."""
    metadata: JsonObject | None = None
    """The extracted fields. None: there are none."""
    metadata_text: str | None = None
    """The extracted fields as readable text. None: there are none."""
    created_at: datetime | None = None
    """When it was cut. None: not known."""
    processed_at: datetime | None = None
    """When its last operation ended. None: not yet."""
    error_message: str | None = None
    """The same as `failure_message`. None: none stands failed."""
    processing_warning: str | None = None
    """What to keep in mind when reading the fields. None: nothing."""
    thumbnail_uri: str | None = None
    """Where its thumbnail is, a path below the REST address. None: it has none."""
    gif_uri: str | None = None
    """Where its preview GIF is, a path below the REST address. None: it has none."""
    thumbnail_available: bool
    """Whether `thumbnail_uri` answers a picture."""
    gif_available: bool
    """Whether `gif_uri` answers a picture."""
    thumbnail_data: bytes | None = None
    """The thumbnail itself (JPEG). None: read `thumbnail_uri`."""
    gif_data: bytes | None = None
    """The preview GIF itself. None: read `gif_uri`."""
    gcs_uri: str | None = None
    """Where its bytes are in a cloud bucket. None: they are in none."""
    thumbnail_gcs_uri: str | None = None
    """Where its thumbnail is in a cloud bucket. None: it is in none."""
    gif_gcs_uri: str | None = None
    """Where its preview GIF is in a cloud bucket. None: it is in none."""
    from_run_id: str | None = None
    """The run it stands in. None: no run has touched it."""
    status_source: str | None = None
    """Where the status comes from: `prompt_run`. None: no run has touched it."""
    marker: Marker
    """What a person pinned to it."""
    metadata_markers: dict[str, Marker] = field(default_factory=dict)
    """What a person pinned to its extracted fields, by field path."""
    field_extraction_succeeded: bool | None = None
    """Whether field extraction succeeded. None: not yet known."""
    transcription_succeeded: bool | None = None
    """Whether transcription succeeded. None: not yet known, or not enabled."""
    image_embedding_succeeded: bool | None = None
    """Whether image embedding succeeded. None: not yet known, or not enabled."""
    field_extraction_error: str | None = None
    """Why field extraction failed. None: it did not."""
    transcription_error: str | None = None
    """Why transcription failed. None: it did not."""
    image_embedding_error: str | None = None
    """Why image embedding failed. None: it did not."""


@dataclass(frozen=True, kw_only=True, slots=True)
class VideoLevelProcessingStatus:
    """How the media-wide result of one media item stands inside one run."""

    status: SynthesisStatus
    """How it stands."""
    result_available: bool
    """Whether there is one to read."""
    successful_segment_count: int
    """Segments whose results it was made from."""
    failed_segment_count: int
    """Segments that had no result to read."""
    started_at: datetime | None = None
    """When its making began. None: not yet."""
    completed_at: datetime | None = None
    """When its making ended. None: not yet."""
    updated_at: datetime | None = None
    """When it last changed. None: never since."""
    error_message: str | None = None
    """Why it failed. None: it did not."""
    attempt_id: str | None = None
    """The attempt that brought it where it stands. None: there was none."""


@dataclass(frozen=True, kw_only=True, slots=True)
class SegmentProcessingStatus:
    """How one segment stands inside one run."""

    segment_id: str
    """The segment."""
    video_id: str
    """Its media item."""
    status: SegmentStatus
    """How it stands."""
    start_time: float | None = None
    """Where it starts, in seconds from the start of the media item. None: not known."""
    end_time: float | None = None
    """Where it ends, in seconds from the start of the media item. None: not known."""
    started_at: datetime | None = None
    """When work on it began. None: not yet."""
    completed_at: datetime | None = None
    """When work on it ended. None: not yet."""
    updated_at: datetime | None = None
    """When it last changed. None: never since."""
    error_message: str | None = None
    """Why it failed. None: it did not."""
    failure_stage: Operation | None = None
    """The operation that failed; the first one where several did. None: none stands failed."""
    attempt_id: str | None = None
    """The attempt that brought it where it stands. None: there was none."""


@dataclass(frozen=True, kw_only=True, slots=True)
class PromptRunProcessingStatus:
    """How one media item stands inside one run."""

    run_id: str
    """The run."""
    prompt_id: str | None = None
    """Its prompt. None: not known."""
    status: RunMediaStatus
    """How the media item stands inside the run."""
    total_segments: int
    """All segments of the media item in this run."""
    pending_segments: int
    """Segments that wait."""
    processing_segments: int
    """Segments under way."""
    successful_segments: int
    """Segments of which every enabled operation succeeded."""
    failed_segments: int
    """Segments of which an enabled operation gave up."""
    created_at: datetime | None = None
    """When the run took the media item in. None: not known."""
    updated_at: datetime | None = None
    """When it last changed. None: never since."""
    attempt_id: str | None = None
    """The attempt that brought it where it stands. None: there was none."""
    video_level: VideoLevelProcessingStatus | None = None
    """How its media-wide result stands. None: the prompt asks for none."""
    segments: tuple[SegmentProcessingStatus, ...] = ()
    """How its segments stand, by start time. Empty where only counts were asked for."""
