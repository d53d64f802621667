"""What drives work with: everything that is chosen when the server is put together."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Generic, Protocol, TypeVar

from promptreel_server.domain.media import MediaFacts
from promptreel_server.embedders.embedder import ImageEmbedder
from promptreel_server.engine.dispatch.stop_flags import Stops
from promptreel_server.engine.model_calls.concurrency import Lanes
from promptreel_server.engine.model_calls.retry_policy import AttemptPolicy
from promptreel_server.extractors.extractor import ExtractorFactory
from promptreel_server.media.frames.stills import Still
from promptreel_server.media.frames.thumbnails import Thumbnails
from promptreel_server.segmenters import Limits
from promptreel_server.store.database.database import Database
from promptreel_server.transcribers.transcriber import Transcriber

Made = TypeVar("Made")


class Bytes(Protocol):
    """Where the bytes of media lie."""

    def path(self, sha256: str) -> Path:
        """The file that holds these bytes."""
        ...


class Pictures(Protocol):
    """Frames out of media."""

    async def representative_frames(
        self, path: Path, facts: MediaFacts, start: float, end: float, count: int
    ) -> list[Still]:
        """Sharp frames of a stretch, not black; none where there is nothing to see.

        Raises:
            OperationFailure: the pictures can't be decoded.
        """
        ...


class Lazy(Generic[Made]):
    """Something that is made when it is first asked for, and may turn out not to be had."""

    def __init__(self, make: Callable[[], Made]) -> None:
        self._make = make
        self.made: Made | None = None

    def get(self) -> Made:
        """Answer it, the same one every time.

        Raises:
            Unavailable: an extra or weights are missing; the message names what gets them.
        """
        if self.made is None:
            self.made = self._make()
        return self.made


@dataclass(frozen=True, kw_only=True)
class Bounds:
    """How much is done at once."""

    segments_in_flight: int = 64
    """Segments of one media item that are worked on at once."""
    cuts_at_once: int = 2
    """Media items that are cut, transcribed or looked at by ffmpeg at once."""
    frames_a_segment: int = 1


@dataclass(frozen=True, kw_only=True)
class Means:
    """The store, the media and the models that every drive shares."""

    database: Database
    blobs: Bytes
    pictures: Pictures
    thumbnails: Thumbnails
    extractors: ExtractorFactory
    transcriber: Lazy[Transcriber]
    embedder: Lazy[ImageEmbedder]
    lanes: Lanes
    stops: Stops
    policy: AttemptPolicy = field(default_factory=AttemptPolicy)
    limits: Limits = field(default_factory=Limits)
    bounds: Bounds = field(default_factory=Bounds)
