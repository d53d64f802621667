"""The port of segmentation: what a segmenter is asked, what it answers, and its fingerprint."""

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Protocol

from promptreel_server.domain.media import MediaFacts, MediaType
from promptreel_server.domain.segment import SegmentationMode
from promptreel_server.segmenters.signals import SIGNALS_VERSION, Signals, Span

Progress = Callable[[Fraction, Fraction], None]
"""Called with (media seconds done, media seconds in all), both on a clock that starts at 0."""


@dataclass(frozen=True, kw_only=True)
class Limits:
    """How long segments may be, in seconds; part of the fingerprint of what depends on them."""

    shortest: Fraction = Fraction(2)
    """Nothing cut by pictures is shorter, unless the medium is."""
    longest: Fraction = Fraction(60)
    """Nothing that is not asked for by `fixed` is longer."""
    spoken_shortest: Fraction = Fraction(5)
    """Nothing cut by sound is shorter, unless the medium is."""
    target: Fraction = Fraction(30)
    """The even windows of a medium with nothing to cut by; what speech is gathered towards."""

    def __post_init__(self) -> None:
        """Refuse limits that no segmentation can meet (ValueError)."""
        if not 0 < self.shortest <= self.longest / 2:
            raise ValueError("the shortest segment must be positive and at most half the longest")
        if not 0 < self.spoken_shortest <= self.longest / 2:
            raise ValueError(
                "the shortest spoken segment must be positive and at most half the longest"
            )
        if not self.spoken_shortest <= self.target <= self.longest:
            raise ValueError("the target length must lie between the shortest and the longest")


@dataclass(frozen=True, kw_only=True)
class SegmentationRequest:
    """One media item to be cut; `known` are signals of it that are stored already."""

    path: Path
    media_type: MediaType
    facts: MediaFacts
    mode: SegmentationMode
    fixed_duration: int | None = None
    limits: Limits = Limits()
    known: Signals | None = None


@dataclass(frozen=True, kw_only=True)
class Cut:
    """Where a media item is cut, and the signals that were heard and seen on the way.

    `spans` follow each other without gap or overlap from the first to the last presented instant.
    """

    spans: tuple[Span, ...]
    signals: Signals


class Segmenter(Protocol):
    """Cuts a media item."""

    version: str
    """Changes whenever the same medium might be cut elsewhere."""

    async def cut(self, request: SegmentationRequest, progress: Progress) -> Cut:
        """Cut one media item; raises MediaUnreadable where it can't be decoded, MediaUnavailable
        where its bytes can't be reached or something killed the decoder.

        Cancelling the awaiting task stops the decoding within a second.
        """
        ...


VERSIONS = {
    SegmentationMode.FIXED: "fixed-1",
    SegmentationMode.IMAGE: "image-1",
    SegmentationMode.SMART: f"smart-1/{SIGNALS_VERSION}",
    SegmentationMode.CONTENT_AWARE: f"content-aware-1/{SIGNALS_VERSION}",
}
"""The algorithm version of each mode: a changed one makes new segmentations."""


def fingerprint(request: SegmentationRequest, media_sha256: str) -> str:
    """Name what this request yields: equal fingerprints mean equal spans (64 hex digits).

    Lengths count only for the modes that heed them, so that a changed limit does not cut `fixed`
    media anew.
    """
    limits = request.limits
    heeded = (
        [limits.shortest, limits.longest, limits.spoken_shortest, limits.target]
        if request.mode in (SegmentationMode.SMART, SegmentationMode.CONTENT_AWARE)
        else []
    )
    said = json.dumps(
        [
            media_sha256,
            request.media_type.value,
            request.mode.value,
            request.fixed_duration,
            VERSIONS[request.mode],
            [str(length) for length in heeded],
        ]
    )
    return hashlib.sha256(said.encode()).hexdigest()
