"""The segmenters that look at nothing: even windows, and a still image as one segment."""

from fractions import Fraction

from promptreel_server.domain.segment import SegmentationMode
from promptreel_server.segmenters.even_windows import windows
from promptreel_server.segmenters.segmenter import VERSIONS, Cut, Progress, SegmentationRequest
from promptreel_server.segmenters.signals import Signals, Span


class FixedSegmenter:
    """Cuts `[k·d, (k+1)·d)` from the first presented instant, in `fixed_duration` seconds."""

    version = VERSIONS[SegmentationMode.FIXED]

    async def cut(self, request: SegmentationRequest, progress: Progress) -> Cut:
        """Cut without reading the medium; ValueError where no length is given."""
        if request.fixed_duration is None:
            raise ValueError("fixed segmentation needs a length")
        facts = request.facts
        spans = windows(Span(start=facts.start, end=facts.end), Fraction(request.fixed_duration))
        progress(facts.duration, facts.duration)
        return Cut(spans=spans, signals=request.known or Signals())


class ImageSegmenter:
    """Takes a still image for one segment."""

    version = VERSIONS[SegmentationMode.IMAGE]

    async def cut(self, request: SegmentationRequest, progress: Progress) -> Cut:
        """One span; its length is that of the image, usually 0."""
        facts = request.facts
        progress(facts.duration, facts.duration)
        return Cut(
            spans=(Span(start=facts.start, end=facts.end),),
            signals=request.known or Signals(),
        )
