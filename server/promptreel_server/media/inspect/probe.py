"""What a file is, found out from its bytes and never from its name."""

import asyncio
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

from promptreel_server.domain.media import MediaFacts, MediaType
from promptreel_server.errors import PromptreelError
from promptreel_server.media.inspect import refusals
from promptreel_server.media.inspect.extent import (
    DRIFT_SECONDS,
    RESTARTING_CLOCKS,
    Extents,
    measure_extents,
    presented_end,
)
from promptreel_server.media.inspect.headers import (
    ENTRIES,
    IMAGE_FORMATS,
    MAYBE_IMAGE_FORMATS,
    FileHeader,
    StreamHeader,
    parse_header,
)
from promptreel_server.media.process.child import Completed, Limits, complete
from promptreel_server.media.process.ffmpeg import MAX_PIXELS, Ffmpeg, opened

PROBE_LIMITS = Limits(cpu_seconds=60, address_space_bytes=3 << 30, wall_seconds=90.0)
LONGEST = Fraction(48 * 3600)
"""Seconds that a media item may last; more is a damaged clock rather than a recording."""
_DECODED_SECONDS = 60
"""Media time at the start in which a frame must be decodable."""
_FRAMES_TRIED = 3
_TILTS = {3: 180, 4: 180, 5: 270, 6: 270, 7: 90, 8: 90}
"""EXIF orientation to counter-clockwise degrees; the mirroring of the even ones is left out."""


@dataclass(frozen=True, kw_only=True)
class _Sample:
    """The attempt to decode the beginning of one stream."""

    stream: StreamHeader
    frames: int
    run: Completed


async def probe(
    path: Path,
    *,
    ffmpeg: Ffmpeg,
    limits: Limits = PROBE_LIMITS,
    longest: Fraction = LONGEST,
) -> MediaFacts:
    """Find out what a file holds: its header read, its packets timed, its beginning decoded.

    `limits` bound each of the three or four children, `longest` is in seconds. Raises
    errors.UnsupportedMedia with a sentence for the sender, errors.MediaUnavailable where the file
    is gone or something killed a child.
    """
    size = await asyncio.to_thread(_size, path)
    if size == 0:
        raise refusals.empty()
    header = await _read_header(path, ffmpeg=ffmpeg, limits=limits)
    _check_claims(header)
    if header.container in IMAGE_FORMATS:
        return await _probe_image(path, header, ffmpeg=ffmpeg, limits=limits)
    extents, samples = await _look(path, size, header, ffmpeg=ffmpeg, limits=limits)
    if header.container in MAYBE_IMAGE_FORMATS and _is_still(header, extents):
        return await _probe_image(path, header, ffmpeg=ffmpeg, limits=limits)
    video, audio = _playable(header, extents, samples)
    return _facts(header, extents, video, audio, longest)


async def _look(
    path: Path, size: int, header: FileHeader, *, ffmpeg: Ffmpeg, limits: Limits
) -> tuple[Extents, list[_Sample]]:
    """Time the packets and decode the beginning of both streams, all at once."""
    try:
        async with asyncio.TaskGroup() as group:
            measuring = group.create_task(
                _measure(path, size, header, ffmpeg=ffmpeg, limits=limits), name="measure"
            )
            trying = [
                group.create_task(
                    _decode(path, stream, ffmpeg=ffmpeg, limits=limits), name="decode"
                )
                for stream in (header.video, header.audio)
                if stream is not None
            ]
    except ExceptionGroup as several:
        refusal = next((e for e in several.exceptions if isinstance(e, PromptreelError)), None)
        if refusal is None:
            raise
        raise refusal from several
    return measuring.result(), [task.result() for task in trying]


async def _read_header(path: Path, *, ffmpeg: Ffmpeg, limits: Limits) -> FileHeader:
    with opened(path) as descriptor:
        argv = ffmpeg.probe_command(descriptor, "-show_entries", ENTRIES)
        run = await complete(argv, limits=limits, pass_fds=(descriptor,))
    if run.returncode != 0 or run.exceeded is not None:
        raise refusals.unreadable(run)
    header = parse_header(run.stdout)
    if header is None:
        raise refusals.unreadable(run)
    return header


def _check_claims(header: FileHeader) -> None:
    """Refuse what the header alone rules out."""
    video = header.video
    if video is None and header.audio is None:
        raise refusals.without_streams(sorted({s.kind for s in header.streams}))
    if video is not None and video.width * video.height > MAX_PIXELS:
        raise refusals.oversized(video.width, video.height)
    if any(stream.is_encrypted for stream in (video, header.audio) if stream):
        raise refusals.encrypted()


async def _measure(
    path: Path, size: int, header: FileHeader, *, ffmpeg: Ffmpeg, limits: Limits
) -> Extents:
    with opened(path) as descriptor:
        return await measure_extents(descriptor, size, header, ffmpeg=ffmpeg, limits=limits)


async def _decode(path: Path, stream: StreamHeader, *, ffmpeg: Ffmpeg, limits: Limits) -> _Sample:
    """Decode the first frames of one stream and count them."""
    with opened(path) as descriptor:
        source = ffmpeg.input(descriptor, t=_DECODED_SECONDS)
        output = source[str(stream.index)].output(
            "pipe:1", format="framecrc", **{f"frames:{stream.kind[0]}": _FRAMES_TRIED}
        )
        run = await complete(ffmpeg.command(output), limits=limits, pass_fds=(descriptor,))
    lines = run.stdout.splitlines()
    frames = sum(1 for line in lines if line and not line.startswith(b"#"))
    return _Sample(stream=stream, frames=frames, run=run)


def _is_still(header: FileHeader, extents: Extents) -> bool:
    video = header.video
    return video is not None and extents.whole and extents.count(video.index) == 1


def _playable(
    header: FileHeader, extents: Extents, samples: Sequence[_Sample]
) -> tuple[StreamHeader | None, StreamHeader | None]:
    """The video and the audio stream that can be worked on, at least one of them.

    Video that can't be decoded is a reason to refuse: its sound alone is not what was sent. Sound
    that can't be decoded beside pictures is left out; sound that begins late is believed.
    """
    if not any(extents.count(sample.stream.index) for sample in samples):
        raise refusals.without_packets()
    for sample in samples:
        late = (sample.stream.start or 0) - (header.start or 0) > _DECODED_SECONDS
        if sample.frames or (late and extents.count(sample.stream.index)):
            continue
        kind = "pictures" if sample.stream.kind == "video" else "sound"
        if kind == "pictures" or header.video is None:
            raise refusals.undecodable(kind, sample.stream.codec, sample.run)
    heard = {s.stream.index for s in samples if s.frames}
    late_audio = header.audio is not None and (header.audio.start or 0) > _DECODED_SECONDS
    audio = header.audio if header.audio and (header.audio.index in heard or late_audio) else None
    return header.video, audio


def _facts(
    header: FileHeader,
    extents: Extents,
    video: StreamHeader | None,
    audio: StreamHeader | None,
    longest: Fraction,
) -> MediaFacts:
    """Put together what is true of the media, the packets having the last word on its length."""
    if header.container in RESTARTING_CLOCKS:
        _check_clock(extents, video, audio)
    start, end = _first_instant(extents, video, audio), presented_end(extents, header)
    if start is None or end is None or end <= start:
        raise refusals.without_times()
    if header.has_subtitles and header.end is not None and 0 < header.end - end <= DRIFT_SECONDS:
        end = header.end  # the last words may stand a little longer than the last picture
    if end - start > longest:
        raise refusals.overlong(end - start, longest)
    best = video or audio
    assert best is not None
    width, height = video.shown_size if video else (0, 0)
    return MediaFacts(
        media_type=MediaType.VIDEO if video else MediaType.AUDIO,
        container=header.container,
        start=start,
        duration=end - start,
        time_base=best.time_base,
        video_codec=video.codec if video else None,
        audio_codec=audio.codec if audio else None,
        width=width,
        height=height,
        rotation=video.rotation if video else 0,
        frame_rate=video.frame_rate if video else Fraction(0),
        video_stream=video.index if video else None,
        audio_stream=audio.index if audio else None,
        streams=tuple(stream.described() for stream in header.streams),
    )


def _check_clock(extents: Extents, *streams: StreamHeader | None) -> None:
    """Refuse a stream whose clock begins anew: two of its pictures would be shown at one time."""
    for stream in streams:
        seen = extents.streams.get(stream.index) if stream else None
        if stream and seen and seen.furthest_back * stream.time_base > DRIFT_SECONDS:
            raise refusals.restarted(seen.furthest_back * stream.time_base)


def _first_instant(extents: Extents, *streams: StreamHeader | None) -> Fraction | None:
    """The first presented instant: as the header says, who knows of edits, else by the packets."""
    starts: list[Fraction] = []
    for stream in streams:
        if stream is None:
            continue
        seen = extents.streams.get(stream.index)
        if stream.start is not None:
            starts.append(stream.start)
        elif seen is not None and seen.first is not None and extents.whole:
            starts.append(seen.first * stream.time_base)
        else:
            starts.append(Fraction(0))
    return min(starts, default=None)


async def _probe_image(
    path: Path, header: FileHeader, *, ffmpeg: Ffmpeg, limits: Limits
) -> MediaFacts:
    """Decode the picture and find out which way is up."""
    with opened(path) as descriptor:
        argv = ffmpeg.probe_command(
            descriptor,
            *("-select_streams", "v:0", "-read_intervals", "%+#1", "-show_frames"),
            *("-show_entries", "frame=width,height:frame_tags=Orientation"),
        )
        run = await complete(argv, limits=limits, pass_fds=(descriptor,))
    video = header.video
    assert video is not None
    frames = json.loads(run.stdout).get("frames", []) if run.returncode == 0 else []
    if not frames or not frames[0].get("width"):
        raise refusals.undecodable("pictures", video.codec, run)
    rotation = _tilt(frames[0])
    size = int(frames[0]["width"]), int(frames[0]["height"])
    width, height = size[::-1] if rotation in (90, 270) else size
    return MediaFacts(
        media_type=MediaType.IMAGE,
        container=header.container,
        start=Fraction(0),
        duration=Fraction(0),
        time_base=video.time_base,
        video_codec=video.codec,
        width=width,
        height=height,
        rotation=rotation,
        video_stream=video.index,
        streams=(video.described(),),
    )


def _tilt(frame: dict[str, Any]) -> int:
    """Counter-clockwise degrees that set a photograph upright, by what its camera noted."""
    noted = str(frame.get("tags", {}).get("Orientation", "1")).strip()
    return _TILTS.get(int(noted), 0) if noted.isdigit() else 0


def _size(path: Path) -> int:
    with opened(path) as descriptor:
        return os.fstat(descriptor).st_size
