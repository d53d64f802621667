"""Frames out of a medium as arrays, each with its instant."""

import asyncio
import re
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import ffmpeg as builder
import numpy as np
from numpy.typing import NDArray

from promptreel_server.domain.media import MediaFacts, MediaType
from promptreel_server.errors import MediaUnreadable
from promptreel_server.media.process.child import Child, Limits, child, piped
from promptreel_server.media.process.ffmpeg import Ffmpeg, opened

MOST_STILLS = 32
"""Frames that are held at once."""
_TURNS: dict[int, tuple[tuple[str, dict[str, int]], ...]] = {
    90: (("transpose", {"dir": 2}),),
    180: (("hflip", {}), ("vflip", {})),
    270: (("transpose", {"dir": 1}),),
}


@dataclass(frozen=True, kw_only=True)
class Still:
    """One frame: `pixels` are height × width × 3, RGB; `at` is its second on the clock."""

    at: float
    pixels: NDArray[np.uint8]


@dataclass(frozen=True, kw_only=True)
class Stretch:
    """Which frames to take: `most` of them from `since` on, `step` apart, in `lasting` seconds.

    `since` is on the container's clock; `lasting` 0 means to the end. With `keyframes` only those
    are decoded, which is cheap and may find none.
    """

    since: float
    lasting: float = 0.0
    step: float = 0.0
    most: int = 1
    keyframes: bool = False


async def take_stills(
    path: Path,
    facts: MediaFacts,
    stretch: Stretch,
    *,
    longest_side: int,
    ffmpeg: Ffmpeg,
    limits: Limits,
) -> list[Still]:
    """Decode frames, scaled down to a longest side; an empty list where none are shown there.

    Raises errors.MediaUnreadable where decoding takes too much, errors.MediaUnavailable where the
    file is gone or something killed ffmpeg.
    """
    most = min(stretch.most, MOST_STILLS)
    with opened(path) as descriptor:
        async with piped() as pipe:
            stream = pictures_of(
                ffmpeg, descriptor, facts, stretch.since, copyts=None, **_options(stretch)
            )
            if stretch.step > 0:
                far_enough = f"isnan(prev_selected_t)+gte(t-prev_selected_t,{stretch.step:.6f})"
                stream = stream.filter("select", far_enough)
            base = facts.time_base
            output = builder.output(
                scaled(stream, longest_side).filter("format", "rgb24"),
                f"[f=framecrc]pipe:1|[f=rawvideo]pipe:{pipe.writer}",
                format="tee",
                vcodec="rawvideo",
                fps_mode="passthrough",
                **{
                    "enc_time_base:v": f"{base.numerator}/{base.denominator}",
                    "frames:v": most,
                },
            )
            async with (
                child(
                    ffmpeg.command(output), limits=limits, pass_fds=(descriptor,), pipes=(pipe,)
                ) as running,
                asyncio.TaskGroup() as group,
            ):
                marks = group.create_task(running.stdout.read(), name="read marks")
                pixels = group.create_task(pipe.reader.read(), name="read pixels")
                await running.wait()
            complain_if_stopped(running)
            return _stills(marks.result(), pixels.result(), facts.time_base)


async def take_shown(
    path: Path,
    facts: MediaFacts,
    times: Sequence[float],
    *,
    within: float = 0.0,
    longest_side: int,
    ffmpeg: Ffmpeg,
    limits: Limits,
) -> list[Still | None]:
    """Decode the first frame from each of these instants on, all in one run; None: there is none.

    With `within` it must be shown so many seconds after its instant at the latest. Raises
    errors.MediaUnreadable where decoding takes too much, errors.MediaUnavailable where the file is
    gone or something killed ffmpeg.
    """
    options = {"threads": 1} | ({"t": f"{within:.6f}"} if within > 0 else {})
    async with AsyncExitStack() as stack:
        descriptors = [stack.enter_context(opened(path)) for _ in times]
        pipes = [await stack.enter_async_context(piped()) for _ in times]
        outputs = [
            builder.output(
                scaled(pictures_of(ffmpeg, descriptor, facts, at, **options), longest_side),
                f"pipe:{pipe.writer}",
                format="image2pipe",
                vcodec="ppm",
                **{"frames:v": 1},
            )
            for descriptor, pipe, at in zip(descriptors, pipes, times, strict=True)
        ]
        running = await stack.enter_async_context(
            child(
                ffmpeg.command(*outputs),
                limits=limits,
                stdout=False,
                pass_fds=descriptors,
                pipes=pipes,
            )
        )
        async with asyncio.TaskGroup() as group:
            reading = [group.create_task(pipe.reader.read(), name="read") for pipe in pipes]
        await running.wait()
        complain_if_stopped(running)
        shown = (_portable_pixmap(task.result()) for task in reading)
        return [
            None if pixels is None else Still(at=at, pixels=pixels)
            for at, pixels in zip(times, shown, strict=True)
        ]


def pictures_of(
    ffmpeg: Ffmpeg, descriptor: int, facts: MediaFacts, since: float, **options: Any
) -> Any:
    """Open the pictures of a medium from `since` on, in seconds on the container's clock.

    They come upright: video is turned by ffmpeg, a photograph by what its camera noted.
    """
    if facts.media_type is MediaType.IMAGE:
        stream = ffmpeg.input(descriptor, noautorotate=None)[str(facts.video_stream)]
        for name, arguments in _TURNS.get(facts.rotation, ()):
            stream = stream.filter(name, **arguments)
        return stream
    # From the start without seeking: a medium whose index is missing or wrong can't seek at all.
    ahead = since - float(facts.start)
    seek = {"ss": f"{ahead:.6f}"} if ahead > 0 else {}
    return ffmpeg.input(descriptor, **seek, **options)[str(facts.video_stream)]


def scaled(stream: Any, longest_side: int) -> Any:
    """Scale a stream to square pixels and at most this longest side; never up."""
    shrink = f"min(1,{longest_side}/max(iw*sar,ih))"
    return stream.filter(
        "scale",
        w=f"max(1,round(iw*sar*{shrink}))",
        h=f"max(1,round(ih*{shrink}))",
        flags="area",
    ).filter("setsar", 1)


def complain_if_stopped(running: Child) -> None:
    """Raise errors.MediaUnreadable where a limit ended the decoder, MediaUnavailable a kill."""
    running.complain_if_killed()
    if running.timed_out or (running.returncode or 0) < 0:
        raise MediaUnreadable("Decoding a picture took more time or memory than is allowed.")


def _options(stretch: Stretch) -> dict[str, Any]:
    """The options of the input; two threads, so that a large picture needs few buffers."""
    options: dict[str, Any] = {"threads": 2}
    if stretch.lasting > 0:
        options["t"] = f"{stretch.lasting:.6f}"
    if stretch.keyframes:
        options["skip_frame"] = "nokey"
    return options


def _stills(marks: bytes, pixels: bytes, time_base: Fraction) -> list[Still]:
    """Cut the raw bytes into frames, by the list of times and sizes that goes with them."""
    said = re.search(rb"#dimensions 0: (\d+)x(\d+)", marks)
    if said is None:
        return []
    width, height = int(said[1]), int(said[2])
    found: list[Still] = []
    offset = 0
    for line in marks.splitlines():
        fields = line.split(b",")
        if line.startswith(b"#") or len(fields) < 5:
            continue
        ticks, size = int(fields[2]), int(fields[4])
        raw = pixels[offset : offset + size]
        offset += size
        if len(raw) == width * height * 3:  # a medium may change its size on the way
            frame = np.frombuffer(raw, np.uint8).reshape(height, width, 3)
            found.append(Still(at=float(ticks * time_base), pixels=frame))
    return found


def _portable_pixmap(raw: bytes) -> NDArray[np.uint8] | None:
    """Read one picture as ffmpeg writes it: `P6`, width and height, 255, each ended by a line."""
    said = re.match(rb"P6\n(\d+) (\d+)\n255\n", raw)
    if said is None:
        return None
    shape = int(said[2]), int(said[1]), 3
    if len(raw) - said.end() != shape[0] * shape[1] * shape[2]:
        return None
    return np.frombuffer(raw, np.uint8, offset=said.end()).reshape(shape)
