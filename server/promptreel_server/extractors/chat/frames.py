"""Frames of a segment as JPEG files, for models that take pictures."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from promptreel_server.domain.media import MediaType
from promptreel_server.extractors.extractor import ExtractionRequest
from promptreel_server.media.frames.jpeg import jpeg
from promptreel_server.media.frames.pictures import Pictures
from promptreel_server.media.frames.stills import Still
from promptreel_server.media.process.ffmpeg import Ffmpeg

AT_ONCE = 2
"""Segments that ffmpeg looks at or cuts at once for one model."""


@dataclass(frozen=True, kw_only=True)
class Frame:
    """One frame; `at` is seconds from the beginning of the medium."""

    at: float
    jpeg: bytes


class Frames:
    """Takes frames, of `AT_ONCE` segments at a time however many calls are in flight."""

    def __init__(self, ffmpeg: Ffmpeg, *, longest_side: int) -> None:
        self._pictures = Pictures(ffmpeg=ffmpeg, longest_side=longest_side)
        self._longest_side = longest_side
        self._looking = asyncio.Semaphore(AT_ONCE)

    async def of(self, request: ExtractionRequest, count: int) -> list[Frame]:
        """Take up to `count` frames spread evenly over a segment, an image's only one.

        None where there is nothing to see. Raises errors.OperationFailure where decoding fails.
        """
        facts = request.facts
        if count < 1 or facts.video_stream is None:
            return []
        wanted = 1 if facts.media_type is MediaType.IMAGE else count
        async with self._looking:
            stills = await self._pictures.representative_frames(
                request.path, facts, request.start, request.end, wanted
            )
            return await asyncio.to_thread(self._encoded, stills, float(facts.start))

    def _encoded(self, stills: Sequence[Still], begins: float) -> list[Frame]:
        side = self._longest_side
        return [
            Frame(at=max(still.at - begins, 0.0), jpeg=jpeg(still.pixels, longest_side=side))
            for still in stills
        ]
