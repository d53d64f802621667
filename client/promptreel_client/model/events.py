"""Events: the news that something changed."""

from dataclasses import dataclass
from datetime import datetime

from promptreel_client.model.json_object import JsonObject


@dataclass(frozen=True, kw_only=True, slots=True)
class Event:
    """The news that something changed; the update that carries it has its place in the order."""

    event_id: str
    """Names the event."""
    event_type: str
    """What happened. One of `media.created`, `media.processing.{started,completed,failed}`,
    `prompt_run.{started,progress,completed,failed,cancelled,partial_completed}`,
    `segment.{started,completed,failed}`, `segment.retry.{started,completed,failed}`,
    `video_result.{completed,failed}`, `import_job.{started,progress,completed,failed}`; others may
    be added. A string, because a name in an enum can't hold a dot."""
    user_id: str
    """The owner of what changed."""
    run_id: str | None = None
    """The run. None: it is about none."""
    video_id: str | None = None
    """The media item. None: it is about none in particular."""
    segment_id: str | None = None
    """The segment. None: it is about none in particular."""
    index_id: str | None = None
    """The index. None: it is about none."""
    created_at: datetime
    """When it happened."""
    payload: JsonObject
    """What else there is to say, by event type."""


@dataclass(frozen=True, kw_only=True, slots=True)
class EventUpdate:
    """One event of a watch, with its place in the order."""

    sequence: int
    """Pass it as `after_sequence` to go on from here."""
    event: Event
    """What happened."""
