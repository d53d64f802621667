"""What runs yield: results of segments, and the synthesis of a media item."""

from dataclasses import dataclass, field
from datetime import datetime

from promptreel_client.model.json_object import JsonObject
from promptreel_client.model.marker import Marker
from promptreel_client.model.words import EmbeddingStatus, SynthesisStatus


@dataclass(frozen=True, kw_only=True, slots=True)
class Word:
    """One spoken word."""

    text: str
    """The word."""
    start: float
    """Where it starts, in seconds from the start of the media item."""
    end: float
    """Where it ends, in seconds from the start of the media item."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Transcription:
    """What is said in one segment."""

    text: str
    """The words as text. Empty where nothing is said."""
    language: str | None = None
    """The language, as ISO 639-1. None: nothing is said."""
    words: tuple[Word, ...] = ()
    """Word by word, in order."""


@dataclass(frozen=True, kw_only=True, slots=True)
class SegmentResult:
    """What one segment yielded in a run; a failed transcription does not hide extracted fields."""

    result_type: str
    """`segment`: tells it from a media-wide result."""
    result_id: str
    """Names the result: `segment:{segment_id}:{run_id}`."""
    segment_id: str
    """The segment."""
    video_id: str
    """Its media item."""
    run_id: str
    """The run."""
    prompt_id: str
    """The run's prompt."""
    prompt_run_id: str
    """The same as `run_id`."""
    video_name: str | None = None
    """What people call the media item. None: it is gone."""
    source_index_id: str | None = None
    """The index of the media item. None: none, it is playground media."""
    executed_at: datetime
    """When the run was accepted."""
    start_time: float
    """Where the segment starts, in seconds from the start of the media item."""
    end_time: float
    """Where it ends, in seconds from the start of the media item; not part of it."""
    segment_uri: str | None = None
    """Where its bytes are. None: they can't be had."""
    thumbnail_uri: str | None = None
    """Where its thumbnail is, a path below the REST address. None: it has none."""
    gif_uri: str | None = None
    """Where its preview GIF is, a path below the REST address. None: it has none."""
    thumbnail_available: bool
    """Whether `thumbnail_uri` answers a picture."""
    gif_available: bool
    """Whether `gif_uri` answers a picture."""
    metadata: JsonObject
    """The extracted fields: valid against the prompt's JSON Schema, or empty where field extraction
    failed."""
    metadata_text: str
    """The extracted fields as readable text. Empty where there are none."""
    processing_warning: str | None = None
    """What to keep in mind when reading the fields. None: nothing."""
    schema_used: str | None = None
    """The JSON Schema it was made with, as text. None: that of the prompt."""
    field_extraction_succeeded: bool
    """Whether field extraction succeeded."""
    transcription_succeeded: bool | None = None
    """Whether transcription succeeded. None: not enabled, or nothing to hear."""
    image_embedding_succeeded: bool | None = None
    """Whether image embedding succeeded. None: not enabled, or nothing to see."""
    field_extraction_error: str | None = None
    """Why field extraction failed. None: it did not."""
    transcription_error: str | None = None
    """Why transcription failed. None: it did not."""
    image_embedding_error: str | None = None
    """Why image embedding failed. None: it did not."""
    marker: Marker
    """What a person pinned to it."""
    extracted_metadata_markers: dict[str, Marker] = field(default_factory=dict)
    """What a person pinned to its extracted fields, by field path."""
    metadata_markers: dict[str, Marker] = field(default_factory=dict)
    """The same as `extracted_metadata_markers`."""
    transcription: Transcription | None = None
    """What is said in it. None: transcription is not enabled, failed, or had nothing to hear."""


@dataclass(frozen=True, kw_only=True, slots=True)
class VideoResult:
    """The synthesis: what one media item as a whole yielded in one run."""

    result_type: str
    """`video`: tells it from the result of a segment."""
    result_id: str
    """Names the result: `video:{video_id}:{run_id}`."""
    run_id: str
    """The run."""
    prompt_id: str
    """The run's prompt."""
    prompt_run_id: str
    """The same as `run_id`."""
    video_id: str
    """The media item."""
    video_name: str | None = None
    """What people call the media item. None: it is gone."""
    source_index_id: str | None = None
    """The index of the media item. None: none, it is playground media."""
    executed_at: datetime
    """When the run was accepted."""
    status: SynthesisStatus
    """How it stands."""
    metadata: JsonObject
    """The fields: valid against the prompt's `video_level` JSON Schema, empty until there."""
    metadata_text: str
    """The fields as readable text. Empty until there."""
    raw_llm_response: str | None = None
    """The model's answer as it came. None: there is none."""
    processing_warning: str | None = None
    """What to keep in mind when reading the fields. None: nothing."""
    schema_used: str | None = None
    """The JSON Schema it was made with, as text. None: that of the prompt."""
    successful_segment_count: int
    """Segments whose results it was made from."""
    failed_segment_count: int
    """Segments that had no result to read."""
    omitted_segment_ids: tuple[str, ...] = ()
    """Those segments."""
    template_fields: tuple[str, ...] = ()
    """The segment fields it was made from."""
    source_fingerprint: str | None = None
    """Changes when the results it was made from do. None: not made yet."""
    rendered_prompt_char_count: int
    """How many characters the model was given; 0 until it was."""
    llm_attempted: bool
    """Whether a model was asked."""
    embedding_status: EmbeddingStatus | None = None
    """Whether its text can be searched by meaning. None: not made yet."""
    embedding_error: str | None = None
    """Why its text can't be. None: it can, or not made yet."""
    attempt_id: str | None = None
    """The attempt that brought it where it stands. None: there was none."""
    error_message: str | None = None
    """Why it failed. None: it did not."""
    started_at: datetime | None = None
    """When its making began. None: not yet."""
    completed_at: datetime | None = None
    """When its making ended. None: not yet."""
    preview_segment_id: str | None = None
    """The segment that stands for the media item in previews. None: there is none."""
    preview_start_time: float | None = None
    """Where that segment starts, in seconds from the start of the media item. None: none."""
    preview_end_time: float | None = None
    """Where that segment ends, in seconds from the start of the media item. None: none."""
    preview_segment_uri: str | None = None
    """Where the bytes of that segment are. None: they can't be had."""
    preview_thumbnail_uri: str | None = None
    """Where the thumbnail of that segment is, a path below the REST address. None: none."""
    preview_gif_uri: str | None = None
    """Where the preview GIF of that segment is, a path below the REST address. None: none."""
    thumbnail_uri: str | None = None
    """Where the thumbnail of the media item is, a path below the REST address. None: none."""
    gif_uri: str | None = None
    """Where the preview GIF of the media item is, a path below the REST address. None: none."""
    thumbnail_available: bool
    """Whether `thumbnail_uri` answers a picture."""
    gif_available: bool
    """Whether `gif_uri` answers a picture."""
    marker: Marker
    """What a person pinned to it."""
