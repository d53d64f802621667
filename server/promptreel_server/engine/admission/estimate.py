"""The dry run of execute: what a checked order would cost, as far as that can be told."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import Connection

from promptreel_server.domain.media import MediaItem, MediaType
from promptreel_server.domain.segment import SegmentationMode
from promptreel_server.engine.admission.reuse_forecast import Foresight
from promptreel_server.engine.admission.run_orders import Checked
from promptreel_server.segmenters import Limits, SegmentationRequest, fingerprint
from promptreel_server.store.analysis import segmentations
from promptreel_server.store.analysis.segmentations import Segmentation

TOKENS_A_SECOND = {MediaType.VIDEO: (100, 300), MediaType.AUDIO: (25, 40), MediaType.IMAGE: (0, 0)}
"""Input tokens a second of medium, low and high, at the providers' usual resolutions."""

TOKENS_AN_IMAGE = (250, 1300)
TOKENS_AN_ANSWER = (50, 800)
CHARACTERS_A_TOKEN = 4

_NOWHERE = Path("/dev/null")
"""A fingerprint names media by their hash; the path plays no part in it."""


@dataclass(frozen=True, kw_only=True)
class _Forecast:
    """What one media item would take."""

    item: MediaItem
    known: bool
    """Whether it was cut with these settings before."""
    segments: tuple[int, int]
    """The fewest and the most."""
    reused: int
    """Segments that are answered from earlier calls."""

    @property
    def calls(self) -> tuple[int, int]:
        """The fewest and the most calls for its segments."""
        fewest, most = self.segments
        return fewest - self.reused, most - self.reused

    @property
    def syntheses(self) -> tuple[int, int]:
        """The same for a synthesis of it: of the same material, one may have been made before."""
        return int(self.reused < self.segments[1]), 1

    def tokens(self, asked: int) -> tuple[int, int]:
        """The fewest and the most tokens, with a prompt of so many."""
        share = 1 - self.reused / self.segments[1]  # of the medium, sent a segment at a time
        of_medium = (round(tokens * share) for tokens in _media_tokens(self.item))
        least, most = (
            medium + calls * (asked + answer)
            for medium, calls, answer in zip(of_medium, self.calls, TOKENS_AN_ANSWER, strict=True)
        )
        return least, most


def estimate(checked: Checked, limits: Limits, foresight: Foresight) -> dict[str, Any]:
    """Answer the breakdown: media, seconds, segments, calls and tokens (low, high), reuse."""
    forecasts = [_forecast(checked, item, limits, foresight) for item in checked.media]
    of_kind: defaultdict[str, list[_Forecast]] = defaultdict(list)
    for forecast in forecasts:
        of_kind[forecast.item.media_type.value].append(forecast)
    calls = [forecast.calls for forecast in forecasts]
    if checked.prompt.video_level is not None:
        calls += [forecast.syntheses for forecast in forecasts]
    asked = len(checked.prompt.prompt_text) // CHARACTERS_A_TOKEN
    return {
        "media_items": {kind: len(found) for kind, found in of_kind.items()},
        "seconds": {
            kind: round(sum(float(one.item.facts.duration) for one in found), 3)
            for kind, found in of_kind.items()
        },
        "segments": {
            kind: _range(forecast.segments for forecast in found) for kind, found in of_kind.items()
        },
        "llm_calls": _range(calls),
        "tokens": _range(forecast.tokens(asked) for forecast in forecasts),
        "reused_segmentations": sum(forecast.known for forecast in forecasts),
        "reused_llm_calls": sum(forecast.reused for forecast in forecasts),
        "warnings": _warnings(checked, foresight),
    }


def _range(bounds: Iterable[tuple[int, int]]) -> dict[str, int]:
    """Add lows and highs up."""
    low = high = 0
    for least, most in bounds:
        low, high = low + least, high + most
    return {"low": low, "high": high}


def _forecast(checked: Checked, item: MediaItem, limits: Limits, foresight: Foresight) -> _Forecast:
    known = _known(foresight.connection, checked, item, limits)
    if known is None:
        segments = _segments(checked, item, limits)
        return _Forecast(item=item, known=False, segments=segments, reused=0)
    reused = 0
    if checked.order.settings.reuse_llm_calls:
        reused = foresight.reused(item, known.segmentation_id)
    count = known.segment_count
    return _Forecast(item=item, known=True, segments=(count, count), reused=reused)


def _known(
    connection: Connection, checked: Checked, item: MediaItem, limits: Limits
) -> Segmentation | None:
    """How a media item was cut with these settings, None where it was not."""
    settings = checked.order.settings
    request = SegmentationRequest(
        path=_NOWHERE,
        media_type=item.media_type,
        facts=item.facts,
        mode=settings.mode(item.media_type),
        fixed_duration=settings.fixed_duration(item.media_type),
        limits=limits,
    )
    return segmentations.find(connection, item.video_id, fingerprint(request, item.sha256))


def _segments(checked: Checked, item: MediaItem, limits: Limits) -> tuple[int, int]:
    """The fewest and the most segments that a media item can be cut into."""
    settings = checked.order.settings
    mode = settings.mode(item.media_type)
    if mode is SegmentationMode.IMAGE:
        return 1, 1
    duration = item.facts.duration
    fixed = settings.fixed_duration(item.media_type)
    if fixed is not None:
        count = max(1, -(-duration // fixed))
        return max(1, count - 1), count
    by_sound = item.media_type is MediaType.AUDIO
    shortest = limits.spoken_shortest if by_sound else limits.shortest
    return max(1, -(-duration // limits.longest)), max(1, -(-duration // shortest))


def _media_tokens(item: MediaItem) -> tuple[int, int]:
    if item.media_type is MediaType.IMAGE:
        return TOKENS_AN_IMAGE
    low, high = TOKENS_A_SECOND[item.media_type]
    return round(item.facts.duration * low), round(item.facts.duration * high)


def _warnings(checked: Checked, foresight: Foresight) -> list[str]:
    warnings = []
    if foresight.over:
        warnings.append(f"Only the first {foresight.seen} segments were looked up for reuse.")
    if checked.order.settings.processing_model == "local":
        warnings.append("The local model reads transcript, on-screen text and labels, no pictures.")
    silent = sum(1 for item in checked.media if not item.facts.has_audio)
    if silent and checked.order.settings.enable_transcription:
        warnings.append(f"{silent} of {len(checked.media)} media items have no sound.")
    return warnings
