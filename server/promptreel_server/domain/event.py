"""Events: the news that something changed, in order."""

from dataclasses import dataclass
from datetime import datetime
from enum import Enum

from promptreel_server.domain.prompt import JsonObject


class EventType(Enum):
    """What happened."""

    MEDIA_CREATED = "media.created"
    MEDIA_PROCESSING_STARTED = "media.processing.started"
    MEDIA_PROCESSING_COMPLETED = "media.processing.completed"
    MEDIA_PROCESSING_FAILED = "media.processing.failed"
    RUN_STARTED = "prompt_run.started"
    RUN_PROGRESS = "prompt_run.progress"
    RUN_COMPLETED = "prompt_run.completed"
    RUN_FAILED = "prompt_run.failed"
    RUN_CANCELLED = "prompt_run.cancelled"
    RUN_PARTIAL = "prompt_run.partial_completed"
    SEGMENT_STARTED = "segment.started"
    SEGMENT_COMPLETED = "segment.completed"
    SEGMENT_FAILED = "segment.failed"
    RETRY_STARTED = "segment.retry.started"
    RETRY_COMPLETED = "segment.retry.completed"
    RETRY_FAILED = "segment.retry.failed"
    VIDEO_RESULT_COMPLETED = "video_result.completed"
    VIDEO_RESULT_FAILED = "video_result.failed"
    IMPORT_STARTED = "import_job.started"
    IMPORT_PROGRESS = "import_job.progress"
    IMPORT_COMPLETED = "import_job.completed"
    IMPORT_FAILED = "import_job.failed"


RUN_ENDED = frozenset(
    {EventType.RUN_COMPLETED, EventType.RUN_FAILED, EventType.RUN_CANCELLED, EventType.RUN_PARTIAL}
)


@dataclass(frozen=True, kw_only=True)
class Event:
    """One change; `sequence` never goes back or skips within an owner."""

    event_id: str
    sequence: int
    event_type: EventType
    owner_id: str
    created_at: datetime
    run_id: str | None = None
    video_id: str | None = None
    segment_id: str | None = None
    index_id: str | None = None
    payload: JsonObject
