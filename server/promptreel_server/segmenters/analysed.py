"""The segmenters that look and listen before they cut: `smart` and `content_aware`."""

import asyncio

from promptreel_server.domain.segment import SegmentationMode
from promptreel_server.media.process.ffmpeg import Ffmpeg
from promptreel_server.segmenters.analysis import survey
from promptreel_server.segmenters.content_boundaries import by_content
from promptreel_server.segmenters.segmenter import VERSIONS, Cut, Progress, SegmentationRequest
from promptreel_server.segmenters.shot_grouping import whole_shots
from promptreel_server.segmenters.signals import Span


class SmartSegmenter:
    """Cuts a video into segments of whole shots."""

    version = VERSIONS[SegmentationMode.SMART]

    def __init__(self, programs: Ffmpeg | None = None, *, threads: int = 1) -> None:
        """Decode with these programs (those found, where None), each on so many threads."""
        self._programs = programs
        self._threads = threads

    async def cut(self, request: SegmentationRequest, progress: Progress) -> Cut:
        """Look for shots, listen for quiet places, and gather the shots."""
        signals = await survey(self._programs, request, progress, threads=self._threads)
        whole = Span(start=request.facts.start, end=request.facts.end)
        quiet = sorted(
            (*(signals.silence or ()), *(signals.pauses or ())), key=lambda span: span.start
        )
        spans = whole_shots(signals.shots or (whole,), request.limits, quiet)
        return Cut(spans=spans, signals=signals)


class ContentAwareSegmenter:
    """Cuts a video or a sound where something new is said, heard or seen."""

    version = VERSIONS[SegmentationMode.CONTENT_AWARE]

    def __init__(self, programs: Ffmpeg | None = None, *, threads: int = 1) -> None:
        """Decode with these programs (those found, where None), each on so many threads."""
        self._programs = programs
        self._threads = threads

    async def cut(self, request: SegmentationRequest, progress: Progress) -> Cut:
        """Look and listen, then weigh all places to cut against each other."""
        signals = await survey(self._programs, request, progress, threads=self._threads)
        whole = Span(start=request.facts.start, end=request.facts.end)
        spans = await asyncio.to_thread(by_content, signals, whole, request.limits)
        return Cut(spans=spans, signals=signals)
