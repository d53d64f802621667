"""Media items: videos, audio and still images, all called videos on the wire."""

from dataclasses import dataclass
from datetime import datetime

from promptreel_client.model.marker import Marker
from promptreel_client.model.segments import PromptRunProcessingStatus, Segment
from promptreel_client.model.words import DeletionStatus, MediaStatus, MediaType


@dataclass(frozen=True, kw_only=True, slots=True)
class Video:
    """One video, audio or still image."""

    video_id: str
    """Names the media item."""
    title: str
    """What people call it."""
    video_uri: str
    """Where its bytes came from: the URI it was imported from, or one of ours for an upload."""
    status: MediaStatus
    """How far the latest run over it has come."""
    created_at: datetime
    """When it was taken in."""
    updated_at: datetime | None = None
    """When it last changed. None: never since."""
    media_type: MediaType
    """What it is."""
    duration_seconds: float | None = None
    """How long it lasts, in seconds. None for still images."""
    metadata_keys: tuple[str, ...] = ()
    """The top-level fields that runs have extracted from it."""
    processing_status: tuple[PromptRunProcessingStatus, ...] = ()
    """How each run over it stands, newest first."""
    marker: Marker
    """What a person pinned to it."""
    gif_data: bytes | None = None
    """Its preview GIF. None: it has none, or the call was not `BatchGetVideos`."""
    first_thumbnail: bytes | None = None
    """The thumbnail of its first segment (JPEG). None: it has none, or the call was not
    `BatchGetVideos`."""


@dataclass(frozen=True, kw_only=True, slots=True)
class VideoStatus:
    """How one media item and the runs over it stand."""

    video_id: str
    """The media item."""
    status: MediaStatus
    """How far the latest run over it has come."""
    processing_status: tuple[PromptRunProcessingStatus, ...] = ()
    """How each run over it stands, newest first."""


@dataclass(frozen=True, kw_only=True, slots=True)
class VideoSegments:
    """The segments of one media item."""

    video_id: str
    """The media item."""
    run_id: str | None = None
    """The run they stand in. None: no run has covered it."""
    segments: tuple[Segment, ...] = ()
    """Its segments, by start time."""


@dataclass(frozen=True, kw_only=True, slots=True)
class VideoDeletion:
    """The durable removal of a media item with its results."""

    video_id: str
    """The media item."""
    deletion_id: str
    """Names the deletion; asking again answers the same one."""
    status: DeletionStatus
    """How far it has come."""
    retry_after_seconds: int | None = None
    """Whole seconds, at least 1, after which to ask again. None: it is done."""
