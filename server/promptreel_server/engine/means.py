"""What drives work with: everything that is chosen when the server is put together."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from promptreel_server.embedders.embedder import Frame, ImageEmbedder
from promptreel_server.engine.attempts import AttemptPolicy
from promptreel_server.engine.lanes import Lanes
from promptreel_server.engine.stops import Stops
from promptreel_server.extractors.extractor import ExtractorFactory
from promptreel_server.model.media import MediaFacts
from promptreel_server.segmenters import Limits
from promptreel_server.store.database import Database
from promptreel_server.transcribers.transcriber import Transcriber


class Bytes(Protocol):
    """Where the bytes of media lie."""

    def path(self, sha256: str) -> Path:
        """The file that holds these bytes."""
        ...


@dataclass(frozen=True, kw_only=True)
class Picture:
    """A frame and its second on the container's clock."""

    at: float
    frame: Frame


class Pictures(Protocol):
    """Frames out of media, and thumbnails kept of them."""

    async def representative(
        self, path: Path, facts: MediaFacts, start: float, end: float, count: int
    ) -> list[Picture]:
        """Sharp frames of a stretch, not black; none where there is nothing to see.

        Raises:
            OperationFailure: the pictures can't be decoded.
        """
        ...

    async def keep_thumbnail(self, video_id: str, segment_id: str, picture: Picture) -> None:
        """Write the thumbnail of a segment."""
        ...


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
    extractors: ExtractorFactory
    transcriber: Transcriber | None
    """None where the extra for speech is not installed."""
    embedder: ImageEmbedder | None
    """None where the extra for embedding is not installed."""
    lanes: Lanes
    stops: Stops
    policy: AttemptPolicy = field(default_factory=AttemptPolicy)
    limits: Limits = field(default_factory=Limits)
    bounds: Bounds = field(default_factory=Bounds)
