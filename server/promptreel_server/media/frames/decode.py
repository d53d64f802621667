"""Decodes a medium once: small pictures and plain sound stream by, with exact times."""

import asyncio
import signal
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import ffmpeg as builder
import numpy as np
from numpy.typing import NDArray

from promptreel_server.domain.media import MediaFacts
from promptreel_server.errors import MediaUnreadable
from promptreel_server.media.process.child import Child, Limits, Pipe, child, piped
from promptreel_server.media.process.ffmpeg import Ffmpeg, opened

SPARE_SECONDS = 120
"""Time that any medium may take, however short."""
CPU_PER_SECOND = 4
"""Processor seconds that a second of the medium may take (8K needs about as many)."""
WALL_PER_SECOND = 20
"""Seconds that a second of the medium may take on a busy machine."""
MARKS_BYTES = 1 << 12
"""How much of the list of times is read at once: some 100 frames of 40 bytes each."""
SAMPLE_BYTES = 2
SMALLEST_GAP_SAMPLES = 320
"""Packets of sound that are off by less follow each other: resampling makes them jitter."""


@dataclass(frozen=True, kw_only=True)
class Frames:
    """Consecutive frames: (n, bytes of a frame) and their times in ticks of the stream."""

    frames: NDArray[np.uint8]
    ticks: NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class Sound:
    """Samples that follow each other without a gap; `start` is when the first is heard, in s."""

    samples: NDArray[np.int16]
    start: Fraction


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """What to decode: pictures as planar 4:2:0 of this size, sound as mono at this rate."""

    width: int = 0
    """Even pixels; 0 for no pictures."""
    height: int = 0
    sample_rate: int = 0
    """Samples a second; 0 for no sound."""
    threads: int = 1


@dataclass(frozen=True, kw_only=True)
class _Marks:
    """The times of some packets: (n, 3) of stream, presentation time, bytes."""

    rows: NDArray[np.int64]

    def of(self, stream: int) -> NDArray[np.int64]:
        """Presentation times and bytes of one stream's packets, (n, 2)."""
        rows: NDArray[np.int64] = self.rows[self.rows[:, 0] == stream, 1:]
        return rows


@asynccontextmanager
async def decoded(
    programs: Ffmpeg, path: Path, facts: MediaFacts, wanted: Wanted
) -> AsyncIterator[AsyncIterator[Frames | Sound]]:
    """Start decoding; leaving the block ends ffmpeg within a second, whatever the reason.

    The iterator raises MediaUnreadable where nothing could be decoded or it took too much, and
    MediaUnavailable where something killed ffmpeg; what follows a damaged place is decoded as far
    as it can be.
    """
    allowance = float(facts.duration)
    limits = Limits(
        cpu_seconds=int(SPARE_SECONDS + CPU_PER_SECOND * allowance),
        wall_seconds=SPARE_SECONDS + WALL_PER_SECOND * allowance,
    )
    pictures = facts.video_stream is not None and wanted.width > 0
    sound = facts.audio_stream is not None and wanted.sample_rate > 0
    async with AsyncExitStack() as stack:
        source = stack.enter_context(opened(path))
        pipes = [await stack.enter_async_context(piped()) for _ in range(pictures + sound)]
        running = await stack.enter_async_context(
            child(
                _command(programs, source, facts, wanted, pipes, pictures=pictures, sound=sound),
                limits=limits,
                pass_fds=[source],
                pipes=pipes,
            )
        )
        yield _pieces(running, facts, wanted, pipes, pictures=pictures, sound=sound)


def _command(
    programs: Ffmpeg,
    source: int,
    facts: MediaFacts,
    wanted: Wanted,
    pipes: Sequence[Pipe],
    *,
    pictures: bool,
    sound: bool,
) -> list[str]:
    """Compile a run that writes pictures and sound to a pipe each, and all their times to stdout.

    Deblocking is skipped: it is a third of the work, and cannot be seen once scaled down. One
    thread scales: to divide so little work among several costs more than the work.
    """
    medium = programs.input(
        source, copyts=None, noautorotate=None, skip_loop_filter="all", threads=wanted.threads
    )
    options: dict[str, str | int] = {"filter_threads": 1}
    streams, outputs = [], ["[f=framecrc:flush_packets=0]pipe:1"]
    if pictures:
        base = facts.time_base
        streams.append(medium[str(facts.video_stream)])
        outputs.append(f"[select=v:f=rawvideo]pipe:{pipes[0].writer}")
        options |= {
            "vf": f"scale={wanted.width}:{wanted.height}:flags=area,format=yuv420p",
            "vcodec": "rawvideo",
            "fps_mode": "passthrough",
            "enc_time_base:v": f"{base.numerator}/{base.denominator}",
        }
    if sound:
        streams.append(medium[str(facts.audio_stream)])
        outputs.append(f"[select=a:f=s16le]pipe:{pipes[-1].writer}")
        options |= {"acodec": "pcm_s16le", "ac": 1, "ar": wanted.sample_rate}
    return programs.command(builder.output(*streams, "|".join(outputs), f="tee", **options))


async def _pieces(
    running: Child,
    facts: MediaFacts,
    wanted: Wanted,
    pipes: Sequence[Pipe],
    *,
    pictures: bool,
    sound: bool,
) -> AsyncIterator[Frames | Sound]:
    """Read the times first, then the pictures and the sound they announce."""
    frame_bytes = wanted.width * wanted.height * 3 // 2
    decoded_any = False
    with suppress(asyncio.IncompleteReadError):  # it crashed: what came before it is used
        async for marks in _marks(running):
            decoded_any = True
            if pictures and len(rows := marks.of(0)):
                raw = await pipes[0].reader.readexactly(frame_bytes * len(rows))
                frames = np.frombuffer(raw, np.uint8).reshape(len(rows), frame_bytes)
                yield Frames(frames=frames, ticks=rows[:, 0])
            if sound and len(rows := marks.of(int(pictures))):
                for stretch in _stretches(rows):
                    raw = await pipes[-1].reader.readexactly(int(stretch[:, 1].sum()))
                    start = Fraction(int(stretch[0, 0]), wanted.sample_rate)
                    yield Sound(samples=np.frombuffer(raw, np.int16), start=start)
    returncode = await running.wait()
    running.complain_if_killed()
    if running.timed_out or returncode == -signal.SIGKILL:
        raise MediaUnreadable("Decoding took longer than a medium of this length may take.")
    if not decoded_any:
        last_words = running.stderr_tail.rpartition("\n")[2].removeprefix("fd:: ")
        raise MediaUnreadable(f"Nothing in it can be decoded: {last_words or 'no frames'}.")


async def _marks(running: Child) -> AsyncIterator[_Marks]:
    """Read the list of packets that ffmpeg writes as it goes: stream, dts, pts, length, bytes, …"""
    rest = b""
    while read := await running.stdout.read(MARKS_BYTES):
        *lines, rest = (rest + read).split(b"\n")
        rows = [
            (int(fields[0]), int(fields[2]), int(fields[4]))
            for fields in (line.split(b",", 5) for line in lines if line[:1] != b"#")
            if len(fields) > 4
        ]
        if rows:
            yield _Marks(rows=np.array(rows, np.int64))


def _stretches(rows: NDArray[np.int64]) -> list[NDArray[np.int64]]:
    """Part packets of sound (start in samples, bytes) where the next starts elsewhere."""
    lengths = rows[:, 1] // SAMPLE_BYTES
    expected = rows[0, 0] + np.concatenate([[0], np.cumsum(lengths[:-1])])
    gaps = np.abs(np.diff(rows[:, 0] - expected)) > SMALLEST_GAP_SAMPLES
    return np.split(rows, np.flatnonzero(gaps) + 1)
