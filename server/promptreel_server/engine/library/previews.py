"""Pictures for people: thumbnails and preview GIFs, made when asked for and then kept."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Protocol

from promptreel_server.concurrency.keyed_lock import Turns
from promptreel_server.domain.media import MediaFacts, MediaItem
from promptreel_server.domain.segment import Segment
from promptreel_server.errors import (
    MediaUnavailable,
    NotFound,
    OperationFailure,
    Unavailable,
)
from promptreel_server.media.frames.thumbnails import Thumbnails

_MADE_AT_ONCE = 2


class Painter(Protocol):
    """Makes small pictures of media."""

    async def thumbnail(self, path: Path, facts: MediaFacts, at: float) -> bytes | None:
        """Answer a JPEG of the instant `at` in seconds; None where there is nothing to see."""
        ...

    async def preview_gif(self, path: Path, facts: MediaFacts) -> bytes | None:
        """Answer a short GIF; None where there are no moving pictures."""
        ...


class Originals(Protocol):
    """Where the bytes of media lie."""

    def path(self, sha256: str) -> Path:
        """The file that holds these bytes."""
        ...


class Previews:
    """Answers pictures; of all who want the same one, one makes it."""

    def __init__(self, kept: Thumbnails, painter: Painter, originals: Originals) -> None:
        self._kept = kept
        self._painter = painter
        self._originals = originals
        self._turns = Turns()
        self._places = asyncio.Semaphore(_MADE_AT_ONCE)

    async def thumbnail(self, item: MediaItem, segment: Segment) -> bytes:
        """Answer the thumbnail of a segment, a JPEG.

        Raises:
            NotFound: there is nothing to see.
            Unavailable: the bytes can't be reached now.
        """
        target = self._kept.thumbnail_path(item.video_id, segment.segment_id)
        middle = float(segment.start + segment.end) / 2
        async with self._turns.turn(segment.segment_id):
            made = await self._kept.read(target)
            if made is None:
                path = self._originals.path(item.sha256)
                async with self._painting():
                    made = await self._painter.thumbnail(path, item.facts, middle)
                if made is None:
                    raise NotFound(
                        f"Segment {segment.segment_id} has no picture; it is sound alone.",
                        details={"segment_id": segment.segment_id},
                    )
                await self._kept.write(target, made)
        return made

    async def gif(self, item: MediaItem) -> bytes:
        """Answer the preview GIF of a media item.

        Raises:
            NotFound: it has no moving pictures.
            Unavailable: the bytes can't be reached now.
        """
        target = self._kept.gif_path(item.video_id)
        async with self._turns.turn(item.video_id):
            made = await self._kept.read(target)
            if made is None:
                path = self._originals.path(item.sha256)
                async with self._painting():
                    made = await self._painter.preview_gif(path, item.facts)
                if made is None:
                    raise NotFound(
                        f"Media item {item.video_id} has no moving pictures.",
                        details={"video_id": item.video_id},
                    )
                await self._kept.write(target, made)
        return made

    @asynccontextmanager
    async def _painting(self) -> AsyncIterator[None]:
        """Wait for a place; what goes wrong with the bytes is said as callers know it."""
        async with self._places:
            try:
                yield
            except MediaUnavailable as error:
                raise Unavailable(error.message, retry_after=5.0) from error
            except OperationFailure as error:
                raise NotFound(error.message) from error

    async def kept_gif(self, video_id: str) -> bytes | None:
        """Answer a preview GIF that was made before, None where there is none yet."""
        return await self._kept.read(self._kept.gif_path(video_id))

    async def kept_thumbnail(self, video_id: str, segment_id: str) -> bytes | None:
        """Answer a thumbnail that was made before, None where there is none yet."""
        return await self._kept.read(self._kept.thumbnail_path(video_id, segment_id))
