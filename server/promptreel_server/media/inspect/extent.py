"""From when to when the packets of each stream really last, whatever the header claims."""

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

from promptreel_server.media.inspect import refusals
from promptreel_server.media.inspect.headers import FileHeader
from promptreel_server.media.process.child import Limits, child
from promptreel_server.media.process.ffmpeg import Ffmpeg

SMALL_FILE_BYTES = 32 << 20
"""A file up to this size is read through; of a longer one only the end, unless that is missing."""
TAIL_SECONDS = 20
DRIFT_SECONDS = 1
"""How far a claimed end may lie from the packets' (subtitles, padding, rounded headers)."""
RESTARTING_CLOCKS = frozenset({"mpegts", "mpeg"})
"""Formats whose clock may begin anew in the middle: they are always read through."""
READ_BYTES_A_CPU_SECOND = 4 << 20
READ_BYTES_A_SECOND = 1 << 20
"""How slowly a file may be read through on a busy machine before it counts as a trap."""
_READ_BYTES = 1 << 16


@dataclass(slots=True)
class Extent:
    """What was seen of one stream, in ticks of its time base; None where nothing had a time."""

    packets: int = 0
    first: int | None = None
    end: int | None = None
    last: int | None = None
    """When the last one begins to be shown."""
    clock: int | None = None
    furthest_back: int = 0
    """The longest jump back of the decoding clock: more than a blink means it began anew."""

    def add(self, shown_at: int | None, decoded_at: int | None, lasting: int) -> None:
        """Count one packet that will be presented."""
        self.packets += 1
        at = decoded_at if shown_at is None else shown_at
        if at is None:
            return
        self.first = at if self.first is None else min(self.first, at)
        self.end = at + lasting if self.end is None else max(self.end, at + lasting)
        self.last = at if self.last is None else max(self.last, at)
        if decoded_at is not None:
            clock = decoded_at if self.clock is None else self.clock
            self.furthest_back = max(self.furthest_back, clock - decoded_at)
            self.clock = max(clock, decoded_at)


@dataclass(frozen=True, kw_only=True)
class Extents:
    """What was seen of each stream, by its index; `whole` tells a file that was read through."""

    streams: dict[int, Extent]
    whole: bool

    def count(self, stream: int | None) -> int:
        """How many packets of a stream were seen."""
        return self.streams[stream].packets if stream in self.streams else 0


async def measure_extents(
    descriptor: int,
    size: int,
    header: FileHeader,
    *,
    ffmpeg: Ffmpeg,
    limits: Limits,
    small: int = SMALL_FILE_BYTES,
) -> Extents:
    """Read the packets' times: of the whole file where it is small or lies, else of its end.

    `size` and `small` are bytes; `limits` are for a small file and grow with the size. Memory
    stays flat. What is damaged counts as far as it can be read. Raises errors.UnsupportedMedia
    where a limit ends it.
    """
    trusted = header.container not in RESTARTING_CLOCKS and header.end is not None
    if size > small and trusted and header.end is not None:
        since = max(header.end - TAIL_SECONDS, header.start or Fraction(0))
        # An end is named because ffprobe 6.0 forgets to note that there is none.
        interval = f"{float(since):.3f}%+{10 * TAIL_SECONDS}"
        tail = await _read(descriptor, [interval], ffmpeg=ffmpeg, limits=limits)
        end = presented_end(Extents(streams=tail, whole=False), header)
        if end is not None and abs(end - header.end) <= DRIFT_SECONDS:
            return Extents(streams=tail, whole=False)
    patient = replace(
        limits,
        cpu_seconds=limits.cpu_seconds + size // READ_BYTES_A_CPU_SECOND,
        wall_seconds=limits.wall_seconds + size / READ_BYTES_A_SECOND,
    )
    seen = await _read(descriptor, [], ffmpeg=ffmpeg, limits=patient)
    return Extents(streams=seen, whole=True)


def presented_end(extents: Extents, header: FileHeader) -> Fraction | None:
    """The last instant of sound or pictures that packets show, on the container's clock."""
    ends = [
        (seen.end + _last_length(stream.frame_rate, stream.time_base, seen)) * stream.time_base
        for stream in (header.video, header.audio)
        if stream is not None
        and (seen := extents.streams.get(stream.index)) is not None
        and seen.end is not None
    ]
    return max(ends, default=None)


def _last_length(rate: Fraction, time_base: Fraction, seen: Extent) -> Fraction:
    """How long the last picture stands where its packet does not say: one average frame."""
    said_nothing = seen.end == seen.last and rate > 0
    return 1 / rate / time_base if said_nothing else Fraction(0)


async def _read(
    descriptor: int, intervals: Sequence[str], *, ffmpeg: Ffmpeg, limits: Limits
) -> dict[int, Extent]:
    """Run ffprobe over the packets and add them up as they are printed."""
    options = [word for interval in intervals for word in ("-read_intervals", interval)]
    argv = ffmpeg.probe_command(
        descriptor,
        *("-show_entries", "packet=stream_index,pts,dts,duration,flags"),
        *options,
        form="csv=print_section=0",
    )
    streams: dict[int, Extent] = {}
    os.lseek(descriptor, 0, os.SEEK_SET)  # an earlier run has left it elsewhere
    async with child(argv, limits=limits, pass_fds=(descriptor,)) as running:
        rest = b""
        while piece := await running.stdout.read(_READ_BYTES):
            *lines, rest = (rest + piece).split(b"\n")
            for line in lines:
                _add_line(streams, line)
        returncode = await running.wait()
        running.complain_if_killed()
        if running.timed_out or returncode < 0:
            raise refusals.exhausting()
    return streams


def _add_line(streams: dict[int, Extent], line: bytes) -> None:
    """Add one line `stream,pts,dts,duration,flags`; D among the flags: decoded, never shown."""
    fields = line.split(b",")
    if len(fields) < 5 or b"D" in fields[4]:
        return
    index = _ticks(fields[0])
    if index is not None:
        seen = streams.setdefault(index, Extent())
        seen.add(_ticks(fields[1]), _ticks(fields[2]), _ticks(fields[3]) or 0)


def _ticks(text: bytes) -> int | None:
    return None if text in (b"N/A", b"") else int(text)
