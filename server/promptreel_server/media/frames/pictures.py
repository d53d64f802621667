"""Pictures for models and for people: representative frames, thumbnails, preview GIFs."""

import asyncio
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ffmpeg as builder

from promptreel_server.domain.media import MediaFacts, MediaType
from promptreel_server.errors import MediaUnreadable
from promptreel_server.media.frames.representative_frame import choose_stills, is_blank
from promptreel_server.media.frames.stills import (
    MOST_STILLS,
    Still,
    Stretch,
    pictures_of,
    scaled,
    take_shown,
    take_stills,
)
from promptreel_server.media.process.child import Bound, Limits, complete
from promptreel_server.media.process.ffmpeg import Ffmpeg, opened

CANDIDATES = 12
"""Frames looked at for each stretch of which one is chosen, at most."""
KEYFRAMES_SUFFICE_SECONDS = 15.0
"""In a longer stretch only keyframes are decoded: encoders set one at least every 10 s or so."""
LOOK_BACK_SECONDS = (5.0, 60.0, 86_400.0)
"""How far before an instant without a picture the one that still stands there is looked for."""
MOST_CHOSEN = 16
"""Frames that are chosen of one stretch at most."""
SOUGHT_TOGETHER = 8
"""Instants that one run of ffmpeg seeks, each with a decoder of its own."""
LARGE_PIXELS = 3840 * 2160
"""Beyond this size a decoder's buffers are so large that only one is opened at a time."""
THUMBNAIL_SIDE = 320
GIF_SIDE = 240
GIF_MOMENTS = 6
"""A longer medium is shown by half a second from each of so many places."""
GIF_SECONDS = 3.0
GIF_RATE = 8
MOST_PICTURE_BYTES = 8 << 20


@dataclass(frozen=True, kw_only=True)
class Pictures:
    """Takes pictures out of media, by ffmpeg alone, images too: nothing is decoded in-process.

    Every method raises errors.MediaUnreadable where decoding fails or takes too much, and
    errors.MediaUnavailable where the file is gone.
    """

    ffmpeg: Ffmpeg
    limits: Limits = Limits(cpu_seconds=120, wall_seconds=180.0)
    longest_side: int = 640
    """Pixels of the longest side of frames; smaller pictures stay as they are."""

    async def representative_frames(
        self, path: Path, facts: MediaFacts, start: float, end: float, count: int
    ) -> list[Still]:
        """Choose up to `count` (16) frames of `[start, end)`: sharp, not blank, off its edges.

        The stretch is parted evenly and the best frame of each part taken, in order of time.
        Where pictures end before the stretch, the last one is answered: it still stands there.
        An empty list means there are no pictures at all.
        """
        if facts.video_stream is None or count < 1:
            return []
        if facts.media_type is MediaType.IMAGE:
            return await self._take(path, facts, Stretch(since=0.0))
        count = min(count, MOST_CHOSEN)
        lasting = end - start
        keyframes = lasting > KEYFRAMES_SUFFICE_SECONDS
        wanted = MOST_STILLS if keyframes else max(CANDIDATES // count, 2) * count
        asked = min(wanted, MOST_STILLS - 1)
        stretch = Stretch(
            since=start,
            lasting=lasting,
            step=lasting / asked,
            most=asked + 1,
            keyframes=keyframes,
        )
        found = await self._take(path, facts, stretch)
        if stretch.keyframes:
            found += await self._between_keyframes(path, facts, stretch, count, found)
        if not found:
            return await self._still_standing(path, facts, start)
        return await asyncio.to_thread(choose_stills, found, start, end, count)

    async def frames(self, path: Path, facts: MediaFacts, times: Sequence[float]) -> list[Still]:
        """Answer the first frame from each of these seconds on, in the order asked.

        Each is sought from the keyframe before it, several in one run. Where no more are shown
        after an instant, it is one shortly before. An empty list means there are no pictures.
        """
        if facts.video_stream is None:
            return []
        found: list[Still] = []
        for at, still in zip(times, await self._shown(path, facts, times), strict=True):
            found += [still] if still else await self._still_standing(path, facts, at)
        return found

    async def thumbnail(self, path: Path, facts: MediaFacts, at: float) -> bytes | None:
        """Answer a JPEG of the instant `at`, longest side 320; None where there are no pictures."""
        if facts.video_stream is None:
            return None
        picture = await self._drawn(path, facts, at)
        if not picture:
            standing = await self._still_standing(path, facts, at)
            picture = await self._drawn(path, facts, standing[0].at) if standing else b""
        if not picture:
            raise MediaUnreadable(f"No picture could be decoded at {at:.3f} s or before it.")
        return picture

    async def preview_gif(self, path: Path, facts: MediaFacts) -> bytes | None:
        """Answer an animated GIF, 240 pixels wide or high, of at most 3 s; None without video.

        A medium over 6 s is shown by six half seconds spread over it.
        """
        if facts.media_type is not MediaType.VIDEO:
            return None
        moments, each = [float(facts.start)], GIF_SECONDS
        if facts.duration > 2 * GIF_SECONDS and facts.width * facts.height <= LARGE_PIXELS:
            part = float(facts.duration) / GIF_MOMENTS
            moments = [float(facts.start) + (index + 0.4) * part for index in range(GIF_MOMENTS)]
            each = GIF_SECONDS / GIF_MOMENTS
        with ExitStack() as stack:
            descriptors = [stack.enter_context(opened(path)) for _ in moments]
            places = zip(descriptors, moments, strict=True)
            parts = [
                scaled(pictures_of(self.ffmpeg, descriptor, facts, at, t=each, threads=1), GIF_SIDE)
                .filter("fps", GIF_RATE, eof_action="pass")
                .filter("trim", end_frame=int(each * GIF_RATE))
                for descriptor, at in places
            ]
            joined = builder.concat(*parts, v=1, a=0) if len(parts) > 1 else parts[0]
            picture = await self._made(_animated(joined), descriptors)
        if not picture:
            raise MediaUnreadable("No moving picture could be decoded.")
        return picture

    async def _drawn(self, path: Path, facts: MediaFacts, at: float) -> bytes:
        """Draw the first frame from an instant on as a JPEG; nothing where there is none."""
        with opened(path) as descriptor:
            stream = pictures_of(self.ffmpeg, descriptor, facts, at, threads=2)
            small = scaled(stream, THUMBNAIL_SIDE).filter("format", "yuvj420p")
            output = builder.output(small, "pipe:1", format="mjpeg", **{"frames:v": 1, "q:v": 4})
            return await self._made(output, (descriptor,))

    async def _take(self, path: Path, facts: MediaFacts, stretch: Stretch) -> list[Still]:
        return await take_stills(
            path,
            facts,
            stretch,
            longest_side=self.longest_side,
            ffmpeg=self.ffmpeg,
            limits=self.limits,
        )

    async def _shown(
        self, path: Path, facts: MediaFacts, times: Sequence[float], within: float = 0.0
    ) -> list[Still | None]:
        """Take the first frame from each instant on, as many in one run as memory allows."""
        together = 1 if facts.width * facts.height > LARGE_PIXELS else SOUGHT_TOGETHER
        found: list[Still | None] = []
        for first in range(0, len(times), together):
            found += await take_shown(
                path,
                facts,
                times[first : first + together],
                within=within,
                longest_side=self.longest_side,
                ffmpeg=self.ffmpeg,
                limits=self.limits,
            )
        return found

    async def _between_keyframes(
        self, path: Path, facts: MediaFacts, stretch: Stretch, count: int, keys: Sequence[Still]
    ) -> list[Still]:
        """Take a frame from the middle of each of `count` parts whose keyframes show nothing.

        An encoder sets one where a shot fades in from black.
        """
        middles = await asyncio.to_thread(_middles_unseen, stretch, count, keys)
        within = stretch.lasting / count / 2
        shown = await self._shown(path, facts, middles, within=within)
        return [still for still in shown if still is not None]

    async def _still_standing(self, path: Path, facts: MediaFacts, at: float) -> list[Still]:
        """Find the last frame before an instant at which nothing new is shown."""
        for back in LOOK_BACK_SECONDS:
            since = max(at - back, float(facts.start))
            stretch = Stretch(
                since=since,
                lasting=at - since,
                step=(at - since) / CANDIDATES,
                most=CANDIDATES + 1,
                keyframes=back > KEYFRAMES_SUFFICE_SECONDS,
            )
            found = await self._take(path, facts, stretch)
            if found:
                return found[-1:]
        return []

    async def _made(self, output: Any, descriptors: Sequence[int]) -> bytes:
        """Run ffmpeg and answer what it wrote; nothing where it found nothing to write."""
        run = await complete(
            self.ffmpeg.command(output),
            limits=self.limits,
            pass_fds=descriptors,
            most_output=MOST_PICTURE_BYTES,
        )
        if run.exceeded is Bound.OUTPUT or run.exceeded is Bound.WALL_TIME or run.returncode < 0:
            raise MediaUnreadable("Making a picture took more time or memory than is allowed.")
        return run.stdout


def _middles_unseen(stretch: Stretch, count: int, keys: Sequence[Still]) -> list[float]:
    """The middle of each of `count` parts of which no frame shows anything."""
    part = stretch.lasting / count
    seen = {int((still.at - stretch.since) / part) for still in keys if not is_blank(still)}
    return [stretch.since + (index + 0.5) * part for index in range(count) if index not in seen]


def _animated(stream: Any) -> Any:
    """Write a stream as a GIF with a palette of its own."""
    pair = stream.filter_multi_output("split")
    palette = pair.stream(0).filter("palettegen", max_colors=96, stats_mode="full")
    drawn = builder.filter([pair.stream(1), palette], "paletteuse", dither="bayer", bayer_scale=4)
    return builder.output(
        drawn, "pipe:1", format="gif", **{"frames:v": int(GIF_SECONDS * GIF_RATE)}
    )
