"""What stands failed in a run, and the retries that mend it."""

from dataclasses import dataclass
from datetime import datetime

from promptreel_client.model.words import FailureCode, Operation, RetryStatus, RunStatus


@dataclass(frozen=True, kw_only=True, slots=True)
class OperationCounts:
    """Failures by operation."""

    field_extraction: int
    """Segments whose field extraction stands failed."""
    transcription: int
    """Segments whose transcription stands failed."""
    image_embedding: int
    """Segments whose image embedding stands failed."""
    processing: int
    """Segments that failed before any operation: cutting, decoding."""


@dataclass(frozen=True, kw_only=True, slots=True)
class FailedSegment:
    """What stands failed in one segment of a run."""

    segment_id: str
    """The segment."""
    failed_operations: tuple[Operation, ...] = ()
    """The operations that stand failed; `processing` where it failed before any."""
    field_extraction_error: str | None = None
    """Why field extraction failed. None: it did not."""
    transcription_error: str | None = None
    """Why transcription failed. None: it did not."""
    image_embedding_error: str | None = None
    """Why image embedding failed. None: it did not."""
    failure_stage: Operation | None = None
    """The first of the failed operations."""
    failure_message: str | None = None
    """Why that operation failed. None: not known."""
    failure_code: FailureCode | None = None
    """Why that operation failed, as a code. None: not known."""
    retryable: bool
    """Whether a retry can help without `force`."""
    start_time: float
    """Where it starts, in seconds from the start of the media item."""
    end_time: float
    """Where it ends, in seconds from the start of the media item; not part of it."""
    projection_only: bool
    """Whether only the searchable copy of its result is missing: false here, both are written as
    one."""
    attempts: int
    """How many attempts were made, over all failed operations."""
    last_attempt_at: datetime | None = None
    """When the last one was. None: there was none."""
    retry_after: datetime | None = None
    """When a retry can first succeed. None: at once, as far as is known."""


@dataclass(frozen=True, kw_only=True, slots=True)
class FailedVideo:
    """What stands failed in one media item of a run."""

    video_id: str
    """The media item."""
    failed_segments: int
    """Its failed segments."""
    operation_counts: OperationCounts
    """Its failures by operation."""
    segments: tuple[FailedSegment, ...] = ()
    """Its failed segments, by start time."""


@dataclass(frozen=True, kw_only=True, slots=True)
class FailedSegmentManifest:
    """What stands failed in a run.

    A segment that failed two operations counts once in `failed_segments`, once per operation.
    """

    run_id: str
    """The run."""
    status: RunStatus
    """How the run stands."""
    videos_with_failures: int
    """Media items with a failed segment, in the whole run."""
    failed_segments: int
    """Failed segments, in the whole run."""
    operation_counts: OperationCounts
    """Failures by operation, in the whole run."""
    videos: tuple[FailedVideo, ...] = ()
    """The media items with failed segments, in the order of the run: all of them, or one page."""
    truncated: bool
    """Whether the whole manifest was asked for and `videos` is not all of it."""
    next_cursor: str | None = None
    """Pass it as `cursor` to get what follows. None: nothing does."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Retry:
    """A request to attempt the operations of one segment that stand failed once more."""

    run_id: str
    """The run."""
    retry_id: str
    """Names the retry."""
    status: RetryStatus
    """How it stands."""
    message: str | None = None
    """What was done with the request, as a sentence. None: this answers how the retry stands."""
    idempotency_key: str | None = None
    """The idempotency key it was asked for with. None: none, or this answers how it stands."""
    video_id: str
    """The media item."""
    segment_id: str
    """The segment."""
    created_at: datetime
    """When it was accepted."""
    started_at: datetime | None = None
    """When it began. None: not yet."""
    completed_at: datetime | None = None
    """When it ended. None: not yet."""
    error: str | None = None
    """Why it failed. None: it did not."""
    billing_estimated_mt: float
    """What it was expected to cost: 0, nothing is billed."""
    billing_actual_mt: float
    """What it cost: 0, nothing is billed."""
    billing_status: str | None = None
    """How the bill stands. None: nothing is billed."""
    billing_error: str | None = None
    """Why the bill could not be made. None: nothing is billed."""
    field_extraction_succeeded: bool | None = None
    """Whether its field extraction succeeded. None: not attempted, or not yet done."""
    transcription_succeeded: bool | None = None
    """Whether its transcription succeeded. None: not attempted, or not yet done."""
    image_embedding_succeeded: bool | None = None
    """Whether its image embedding succeeded. None: not attempted, or not yet done."""


@dataclass(frozen=True, kw_only=True, slots=True)
class SkippedSegment:
    """A failed segment that was left out of a retry."""

    segment_id: str
    """The segment."""
    reason: str
    """Why, as the lower case reason a retry of it alone would be refused with: `not_retryable`,
    `retry_in_flight`, `being_deleted`."""


@dataclass(frozen=True, kw_only=True, slots=True)
class RetriedSegments:
    """What came of retrying the failed segments of a run."""

    run_id: str
    """The run."""
    retries: tuple[Retry, ...] = ()
    """The retries that were accepted: the first 1000."""
    skipped: tuple[SkippedSegment, ...] = ()
    """The segments that were left out: the first 1000."""
    retry_count: int
    """How many retries were accepted."""
    skipped_count: int
    """How many segments were left out."""
