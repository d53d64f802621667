"""The sound cutters that are compared: each takes a file and answers speech and segments."""

import asyncio
import re
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import replace
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

from promptreel_server.domain.segment import SegmentationMode
from promptreel_server.media.inspect.probe import probe
from promptreel_server.media.process.ffmpeg import Ffmpeg
from promptreel_server.segmenters import Limits, SegmentationRequest, Span, segmenter_for

Answer = dict[str, list[list[float]]]
"""`speech` and `segments`, each a list of [start, end] in seconds."""
Listener = Callable[[Path], Answer]

EVERY_PLACE = "promptreel, every place to cut"
DEFAULTS = "promptreel, segments of 5 to 60 s"
FINEST = Limits(shortest=Fraction(3, 10), spoken_shortest=Fraction(3, 10), target=Fraction(3, 10))
"""No segment is too short, and none wanted longer: what is left are all places to cut."""


def listeners(programs: Ffmpeg) -> Mapping[str, Listener]:
    """All of them by name."""
    return {
        EVERY_PLACE: lambda path: asyncio.run(_ours(programs, path, FINEST)),
        DEFAULTS: lambda path: asyncio.run(_ours(programs, path, Limits())),
        "ffmpeg silencedetect -35 dB": lambda path: _silencedetect(programs, path, -35),
        "ffmpeg silencedetect -45 dB": lambda path: _silencedetect(programs, path, -45),
    }


async def _ours(programs: Ffmpeg, path: Path, limits: Limits) -> Answer:
    facts = await probe(path, ffmpeg=programs)
    # The shots of a video are left out: the scores are about sound.
    request = SegmentationRequest(
        path=path,
        media_type=facts.media_type,
        facts=replace(facts, video_stream=None),
        mode=SegmentationMode.CONTENT_AWARE,
        limits=limits,
    )
    cut = await segmenter_for(request.mode, request.media_type, programs).cut(
        request, lambda *_: None
    )
    return {"speech": _listed(cut.signals.speech or ()), "segments": _listed(cut.spans)}


def _silencedetect(programs: Ffmpeg, path: Path, level: int) -> Answer:
    command = [str(programs.ffmpeg), "-nostdin", "-copyts", "-i", str(path), "-vn"]
    command += ["-af", f"silencedetect=n={level}dB:d=0.5", "-f", "null", "-"]
    told = subprocess.run(command, capture_output=True, text=True, check=True).stderr
    starts = [float(at) for at in re.findall(r"silence_start: (-?[\d.]+)", told)]
    ends = [float(at) for at in re.findall(r"silence_end: (-?[\d.]+)", told)]
    duration = sum(
        float(part) * scale
        for part, scale in zip(
            re.findall(r"Duration: (\d+):(\d+):([\d.]+)", told)[0], (3600, 60, 1), strict=True
        )
    )
    ends += [duration] * (len(starts) - len(ends))
    edges = [0.0, *(edge for pair in zip(starts, ends, strict=True) for edge in pair), duration]
    middles = [(a + b) / 2 for a, b in zip(starts, ends, strict=True)]
    cuts = [0.0, *middles, duration]
    return {
        "speech": [[a, b] for a, b in zip(edges[::2], edges[1::2], strict=True) if b > a],
        "segments": [[a, b] for a, b in pairwise(cuts) if b > a],
    }


def _listed(spans: tuple[Span, ...]) -> list[list[float]]:
    return [[float(span.start), float(span.end)] for span in spans]
