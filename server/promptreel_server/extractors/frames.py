"""Frames of a segment as JPEG files, for models that take pictures."""

import asyncio
from dataclasses import dataclass

from promptreel_server.extractors.extractor import ExtractionRequest
from promptreel_server.media.jpeg import jpeg
from promptreel_server.media.pictures import Pictures
from promptreel_server.model.media import MediaType


@dataclass(frozen=True, kw_only=True)
class Frame:
    """One frame; `at` is seconds from the beginning of the medium."""

    at: float
    jpeg: bytes


async def frames(pictures: Pictures, request: ExtractionRequest, count: int) -> list[Frame]:
    """Take up to `count` frames spread evenly over a segment, an image's only one.

    None where there is nothing to see. Raises errors.OperationFailure where decoding fails.
    """
    facts = request.facts
    if count < 1 or facts.video_stream is None:
        return []
    wanted = 1 if facts.media_type is MediaType.IMAGE else count
    stills = await pictures.representative_frames(
        request.path, facts, request.start, request.end, wanted
    )
    begins = float(facts.start)
    return [
        Frame(
            at=max(still.at - begins, 0.0),
            jpeg=await asyncio.to_thread(
                jpeg, still.pixels, longest_side=max(still.pixels.shape[:2])
            ),
        )
        for still in stills
    ]
