"""Where a media item is cut: one segmenter a mode, over shots and sounds found in one pass."""

from promptreel_server.domain.media import MediaType
from promptreel_server.domain.segment import SegmentationMode
from promptreel_server.media.process.ffmpeg import Ffmpeg
from promptreel_server.segmenters.analysed import ContentAwareSegmenter, SmartSegmenter
from promptreel_server.segmenters.analysis import survey
from promptreel_server.segmenters.fixed import FixedSegmenter, ImageSegmenter
from promptreel_server.segmenters.segmenter import (
    Cut,
    Limits,
    Progress,
    SegmentationRequest,
    Segmenter,
    fingerprint,
)
from promptreel_server.segmenters.signals import SIGNALS_VERSION, Signals, Span

__all__ = [
    "SIGNALS_VERSION",
    "Cut",
    "Limits",
    "Progress",
    "SegmentationRequest",
    "Segmenter",
    "Signals",
    "Span",
    "fingerprint",
    "segmenter_for",
    "survey",
]


def segmenter_for(
    mode: SegmentationMode,
    media_type: MediaType,
    programs: Ffmpeg | None = None,
    *,
    threads: int = 1,
) -> Segmenter:
    """Choose the segmenter of a mode; ValueError for a pair that no run can ask for.

    `programs` are ffmpeg and ffprobe (looked for where None), `threads` what one decoder may use.
    """
    if media_type is MediaType.IMAGE or mode is SegmentationMode.IMAGE:
        return ImageSegmenter()
    if mode is SegmentationMode.FIXED:
        return FixedSegmenter()
    if mode is SegmentationMode.CONTENT_AWARE:
        return ContentAwareSegmenter(programs, threads=threads)
    if media_type is MediaType.VIDEO:
        return SmartSegmenter(programs, threads=threads)
    raise ValueError(f"{media_type.value} can't be cut by {mode.value}")
