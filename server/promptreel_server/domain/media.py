"""Media items: what an upload became, and what probing it found."""

from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from fractions import Fraction


class MediaType(Enum):
    """What a media item is, decided by probing its bytes."""

    VIDEO = "video"
    AUDIO = "audio"
    IMAGE = "image"


class MediaStatus(Enum):
    """How far the latest run over a media item has come."""

    NOT_PROCESSED = "not_processed"
    PROCESSING = "processing"
    PROCESSED = "processed"
    FAILED = "failed"


@dataclass(frozen=True, kw_only=True)
class MediaFacts:
    """What probing found.

    `start` and `duration` are seconds on the container's clock: `start` is the first presented
    instant, `start + duration` the last. Images have duration 0. `time_base` is that of the best
    video stream (else audio). `width`/`height` are as displayed (after rotation), 0 for audio.
    `frame_rate` is the average rate, 0 where there is none.
    """

    media_type: MediaType
    container: str
    start: Fraction
    duration: Fraction
    time_base: Fraction = Fraction(1, 1000)
    video_codec: str | None = None
    audio_codec: str | None = None
    width: int = 0
    height: int = 0
    rotation: int = 0
    frame_rate: Fraction = Fraction(0)
    video_stream: int | None = None
    audio_stream: int | None = None
    streams: tuple[str, ...] = ()

    @property
    def end(self) -> Fraction:
        """The last presented instant, in seconds on the container's clock."""
        return self.start + self.duration

    @property
    def has_audio(self) -> bool:
        """Whether there is sound to transcribe."""
        return self.audio_stream is not None

    @property
    def has_video(self) -> bool:
        """Whether there are pictures to look at (a cover picture does not count)."""
        return self.video_stream is not None


@dataclass(frozen=True, kw_only=True)
class MediaItem:
    """One video, audio or image of an owner; without an index it is playground media."""

    video_id: str
    owner_id: str
    index_id: str | None
    title: str
    source_uri: str
    status: MediaStatus
    sha256: str
    size_bytes: int
    facts: MediaFacts
    created_at: datetime
    updated_at: datetime | None = None
    metadata_keys: tuple[str, ...] = ()
    deletion_id: str | None = None

    @property
    def media_type(self) -> MediaType:
        """What it is."""
        return self.facts.media_type
