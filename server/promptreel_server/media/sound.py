"""The sound of a medium as samples, on the container's clock."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from promptreel_server.errors import MediaUnreadable
from promptreel_server.media.child import Child, Limits, child
from promptreel_server.media.ffmpeg import Ffmpeg, opened
from promptreel_server.model.media import MediaFacts

SPARE_SECONDS = 120
"""Time that decoding may take however short the medium is."""
WALL_PER_SECOND = 5
"""Seconds that a second of the medium may take; a slow reader's time counts too."""
_SAMPLE_BYTES = 4


@asynccontextmanager
async def audio_samples(
    path: Path,
    facts: MediaFacts,
    *,
    ffmpeg: Ffmpeg,
    rate: int = 16_000,
    chunk_seconds: float = 30.0,
) -> AsyncIterator[AsyncIterator[NDArray[np.float32]]]:
    """Decode the sound as mono float32 chunks of `rate` samples a second, in -1 to 1.

    Sample `n` is heard at `facts.start + n / rate`: sound that begins late, and every gap, is
    filled with silence. Memory holds a chunk at a time. Leaving the block ends ffmpeg. The
    iterator raises errors.MediaUnreadable where nothing can be decoded or it takes too long.
    """
    if facts.audio_stream is None:
        raise MediaUnreadable("The media has no sound.")
    allowance = float(facts.duration)
    limits = Limits(
        cpu_seconds=int(SPARE_SECONDS + allowance),
        wall_seconds=SPARE_SECONDS + WALL_PER_SECOND * allowance,
    )
    with opened(path) as descriptor:
        # The clock is moved to begin at 0 first: aresample miscounts from a far or negative start.
        shift = f"{-float(facts.start):.6f}"
        source = ffmpeg.input(descriptor, copyts=None, itsoffset=shift)
        output = (
            source[str(facts.audio_stream)]
            .filter("aresample", rate, **{"async": 1, "first_pts": 0})
            .output("pipe:1", format="f32le", ac=1, ar=rate)
        )
        command = ffmpeg.command(output)
        async with child(command, limits=limits, pass_fds=(descriptor,)) as running:
            yield _chunks(running, round(rate * chunk_seconds) * _SAMPLE_BYTES)


async def _chunks(running: Child, size: int) -> AsyncIterator[NDArray[np.float32]]:
    """Read chunks of this many bytes, the last one shorter."""
    heard = False
    gathered = bytearray()
    while piece := await running.stdout.read(size - len(gathered)):
        gathered += piece
        if len(gathered) == size:
            yield np.frombuffer(bytes(gathered), "<f4")
            heard, gathered = True, bytearray()
    whole = len(gathered) // _SAMPLE_BYTES * _SAMPLE_BYTES
    if whole:
        yield np.frombuffer(bytes(gathered[:whole]), "<f4")
        heard = True
    await running.wait()
    if running.timed_out:
        raise MediaUnreadable("Decoding the sound took longer than is allowed.")
    if not heard:
        words = running.stderr_tail.partition("\n")[0] or "no samples"
        raise MediaUnreadable(f"The sound can't be decoded: {words}.")
