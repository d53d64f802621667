"""Closed sets of words: each member is a `str`, spelled as on the wire."""

from enum import StrEnum


class TargetType(StrEnum):
    """What a run covers."""

    UNSPECIFIED = "unspecified"
    """A word that this client does not know yet."""
    INDEX = "index"
    """All media of one index."""
    VIDEOS = "videos"
    """The media items that the request names."""
    PLAYGROUND = "playground"
    """The caller's playground media: those with no index."""


class MediaType(StrEnum):
    """What a media item is, decided by probing its bytes."""

    UNSPECIFIED = "unspecified"
    """A word that this client does not know yet."""
    VIDEO = "video"
    """Moving pictures, with or without sound."""
    AUDIO = "audio"
    """Sound alone (a cover picture does not count)."""
    IMAGE = "image"
    """A still image."""


class MediaStatus(StrEnum):
    """How far the latest run over a media item has come."""

    UNSPECIFIED = "unspecified"
    """A word that this client does not know yet."""
    NOT_PROCESSED = "not_processed"
    """No run has covered it."""
    PROCESSING = "processing"
    """A run over it is under way."""
    PROCESSED = "processed"
    """The latest run over it ended with results."""
    FAILED = "failed"
    """The latest run over it ended without any."""


class DeletionStatus(StrEnum):
    """How far a deletion has come."""

    UNSPECIFIED = "unspecified"
    """A word that this client does not know yet."""
    DRAINING = "draining"
    """New work is refused; segments in hand end."""
    DELETING = "deleting"
    """Rows and bytes are being removed."""
    DELETED = "deleted"
    """Nothing is left: terminal."""


class SegmentationMode(StrEnum):
    """How a media item is cut into segments."""

    UNSPECIFIED = "unspecified"
    """A word that this client does not know yet."""
    SMART = "smart"
    """Whole shots joined to segments; video only."""
    FIXED = "fixed"
    """Even stretches of a given length."""
    CONTENT_AWARE = "content_aware"
    """What is said and what is seen together."""
    IMAGE = "image"
    """A still image is one segment; never asked for, only reported."""


class RunStatus(StrEnum):
    """How a run stands."""

    UNSPECIFIED = "unspecified"
    """A word that this client does not know yet."""
    PENDING = "pending"
    """Accepted, not yet started."""
    PROCESSING = "processing"
    """Under way."""
    COMPLETED = "completed"
    """Nothing that was enabled failed: terminal."""
    COMPLETED_WITH_FAILURES = "completed_with_failures"
    """Something failed, something succeeded: terminal until a retry."""
    FAILED = "failed"
    """No segment succeeded, or the run could not start: terminal until a retry."""
    CANCELLED = "cancelled"
    """Something was left undone because of the stop: terminal until a retry."""


class RunMediaStatus(StrEnum):
    """How one media item stands inside a run."""

    UNSPECIFIED = "unspecified"
    """A word that this client does not know yet."""
    PENDING = "pending"
    """Not yet started."""
    PROCESSING = "processing"
    """Being cut, or its segments are under way."""
    COMPLETED = "completed"
    """Every segment succeeded: terminal."""
    PARTIAL = "partial"
    """Some segments failed, some succeeded: terminal until a retry."""
    FAILED = "failed"
    """No segment succeeded, or it could not be cut: terminal until a retry."""
    CANCELLED = "cancelled"
    """Left undone because of the stop: terminal until a retry."""


class SegmentStatus(StrEnum):
    """How a segment stands inside a run."""

    UNSPECIFIED = "unspecified"
    """A word that this client does not know yet."""
    PENDING = "pending"
    """Not yet started, or in no run at all."""
    PROCESSING = "processing"
    """Under way."""
    COMPLETED = "completed"
    """Every enabled operation succeeded: terminal until a retry."""
    FAILED = "failed"
    """At least one enabled operation gave up: terminal until a retry."""
    CANCELLED = "cancelled"
    """Left undone because of the stop: terminal until a retry."""


class SynthesisStatus(StrEnum):
    """How the media-wide result of a media item stands."""

    UNSPECIFIED = "unspecified"
    """A word that this client does not know yet."""
    PENDING = "pending"
    """Waits for the segments."""
    PROCESSING = "processing"
    """Being made."""
    COMPLETED = "completed"
    """Made from every segment: terminal until a retry changes its sources."""
    PARTIAL = "partial"
    """Made, while some segments had no result to read: terminal until a retry."""
    FAILED = "failed"
    """Could not be made: terminal until a retry."""


class EmbeddingStatus(StrEnum):
    """Whether the text of a media-wide result can be searched by meaning."""

    UNSPECIFIED = "unspecified"
    """A word that this client does not know yet."""
    PENDING = "pending"
    """Not yet embedded."""
    COMPLETED = "completed"
    """Embedded: terminal."""
    FAILED = "failed"
    """Could not be embedded: terminal until a retry."""
    SKIPPED = "skipped"
    """There was nothing to embed, or nothing to embed it with: terminal."""


class Operation(StrEnum):
    """One kind of work on a segment."""

    UNSPECIFIED = "unspecified"
    """A word that this client does not know yet."""
    FIELD_EXTRACTION = "field_extraction"
    """The fields that the prompt's schema asks for."""
    TRANSCRIPTION = "transcription"
    """What is said."""
    IMAGE_EMBEDDING = "image_embedding"
    """The vector of a representative picture."""
    PROCESSING = "processing"
    """What comes before the other three: cutting and decoding."""


class FailureCode(StrEnum):
    """Why an operation failed. Retryable ones can be retried without `force`."""

    UNSPECIFIED = "unspecified"
    """A word that this client does not know yet."""
    RATE_LIMITED = "rate_limited"
    """The model refused for now: retryable, and tried again by itself."""
    QUOTA_EXHAUSTED = "quota_exhausted"
    """The model's quota is spent: retryable once there is more."""
    MODEL_UNAVAILABLE = "model_unavailable"
    """The model could not be reached or was overloaded: retryable, and tried again by itself."""
    TIMEOUT = "timeout"
    """The model did not answer in time: retryable, and tried again by itself."""
    OUTPUT_TRUNCATED = "output_truncated"
    """The model ran out of output tokens: retryable."""
    SCHEMA_INVALID = "schema_invalid"
    """The answer broke the prompt's schema, after its repair too: retryable by hand."""
    BLOCKED = "blocked"
    """The model declined for safety: not retryable."""
    INVALID_REQUEST = "invalid_request"
    """The model refused the request as malformed: not retryable."""
    UNAUTHENTICATED = "unauthenticated"
    """The model refused our credentials; ends the run: not retryable."""
    MEDIA_UNREADABLE = "media_unreadable"
    """The bytes can't be decoded: not retryable."""
    MEDIA_UNAVAILABLE = "media_unavailable"
    """The bytes can't be reached now: retryable, and tried again by itself."""
    CANCELLED = "cancelled"
    """Left undone because of the stop: not retryable without `force`."""
    INTERNAL = "internal"
    """Something broke on our side: retryable."""


class RetryStatus(StrEnum):
    """How a retry stands."""

    UNSPECIFIED = "unspecified"
    """A word that this client does not know yet."""
    PENDING = "pending"
    """Accepted, not yet started."""
    PROCESSING = "processing"
    """Under way."""
    COMPLETED = "completed"
    """Every operation it attempted succeeded: terminal."""
    FAILED = "failed"
    """At least one failed again: terminal."""
    CANCELLED = "cancelled"
    """Ended by a stop request before it was done: terminal."""


class LlmCallStatus(StrEnum):
    """How an LLM call ended."""

    UNSPECIFIED = "unspecified"
    """A word that this client does not know yet."""
    SUCCESS = "success"
    """A usable answer came."""
    ERROR = "error"
    """No answer came, or none that could be used."""
    BLOCKED = "blocked"
    """The model declined."""


class LlmCallPurpose(StrEnum):
    """What an LLM call was for."""

    UNSPECIFIED = "unspecified"
    """A word that this client does not know yet."""
    METADATA_EXTRACTION = "metadata_extraction"
    """The fields of one segment."""
    VIDEO_SYNTHESIS = "video_synthesis"
    """The media-wide result."""
    TRANSCRIPTION = "transcription"
    """What is said in a media item."""
    EMBEDDING = "embedding"
    """A vector of a picture or a text."""
    REPAIR = "repair"
    """The one attempt to mend an answer that broke the schema."""


class ImportStatus(StrEnum):
    """How an import job stands."""

    UNSPECIFIED = "unspecified"
    """A word that this client does not know yet."""
    PENDING = "pending"
    """Accepted, not yet started."""
    SCANNING = "scanning"
    """The bytes are being probed."""
    IMPORTING = "importing"
    """The bytes are being taken in."""
    COMPLETED = "completed"
    """Its media item is there: terminal."""
    FAILED = "failed"
    """No media item came of it, `error_message` says why: terminal until a retry."""
    CANCELLED = "cancelled"
    """Ended by a stop request: terminal until a retry."""


class ImportFileStatus(StrEnum):
    """How one file of an import job stands."""

    UNSPECIFIED = "unspecified"
    """A word that this client does not know yet."""
    PENDING = "pending"
    """Not yet started."""
    IMPORTING = "importing"
    """Being taken in."""
    IMPORTED = "imported"
    """Its media item is there: terminal."""
    FAILED = "failed"
    """No media item came of it: terminal until the job is retried."""
    SKIPPED = "skipped"
    """Left out on purpose: terminal."""
    CANCELLED = "cancelled"
    """Left undone because of the stop: terminal until the job is retried."""


class SourceKind(StrEnum):
    """Where the bytes of an import job come from."""

    UNSPECIFIED = "unspecified"
    """A word that this client does not know yet."""
    UPLOAD = "upload"
    """The caller sent them."""
    URI = "uri"
    """The server fetched them from a URI."""


class ExecutionStatus(StrEnum):
    """Whether an import job starts a run when it is done."""

    UNSPECIFIED = "unspecified"
    """A word that this client does not know yet."""
    NOT_REQUESTED = "not_requested"
    """It does not."""
    PENDING = "pending"
    """A run is to start when the media are there."""
    SUBMITTED = "submitted"
    """The run was started."""
    BLOCKED = "blocked"
    """The run could not be started."""


class Scope(StrEnum):
    """How far an API key reaches, each as far as the ones before it and further."""

    UNSPECIFIED = "unspecified"
    """A word that this client does not know yet."""
    SEARCH = "search"
    """Searches."""
    READ = "read"
    """And reads everything of its owner."""
    WRITE = "write"
    """And creates, runs, cancels and retries."""
    ADMIN = "admin"
    """And deletes and manages keys, within its owner's account."""


class WatchEndReason(StrEnum):
    """Why a watch ended."""

    UNSPECIFIED = "unspecified"
    """A word that this client does not know yet."""
    RUN_ENDED = "run_ended"
    """The run is over and everything about it has been sent."""
    TOO_SLOW = "too_slow"
    """The reader fell too far behind: watch again after the last sequence."""
    DRAINING = "draining"
    """The server is going away: watch again after the last sequence."""
