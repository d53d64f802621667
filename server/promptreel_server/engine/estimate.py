"""The dry run of execute: what a checked order would cost, as far as that can be told."""

from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

from sqlalchemy import Connection

from promptreel_server.engine.acceptance import Checked
from promptreel_server.engine.foresight import Foresight
from promptreel_server.model.media import MediaItem, MediaType
from promptreel_server.model.segment import SegmentationMode
from promptreel_server.segmenters import Limits, SegmentationRequest, fingerprint
from promptreel_server.store import segmentations
from promptreel_server.store.segmentations import Segmentation

TOKENS_A_SECOND = {MediaType.VIDEO: (100, 300), MediaType.AUDIO: (25, 40), MediaType.IMAGE: (0, 0)}
"""Input tokens a second of medium, low and high, at the providers' usual resolutions."""

TOKENS_AN_IMAGE = (250, 1300)
TOKENS_AN_ANSWER = (50, 800)
CHARACTERS_A_TOKEN = 4

_NOWHERE = Path("/dev/null")
"""A fingerprint names media by their hash; the path plays no part in it."""


def estimate(checked: Checked, limits: Limits, foresight: Foresight) -> dict[str, Any]:
    """Answer the breakdown: media, seconds, segments, calls and tokens (low, high), reuse."""
    seconds: defaultdict[str, float] = defaultdict(float)
    items: Counter[str] = Counter()
    low: Counter[str] = Counter()
    high: Counter[str] = Counter()
    tokens_low = tokens_high = reused = spared = 0
    level = checked.prompt.video_level is not None
    syntheses = {"low": 0, "high": level * len(checked.media)}
    asked = len(checked.prompt.prompt_text) // CHARACTERS_A_TOKEN
    for item in checked.media:
        kind = item.media_type.value
        items[kind] += 1
        seconds[kind] += float(item.facts.duration)
        known = _known(foresight.connection, checked, item, limits)
        again = 0
        if known is not None:
            fewest = most = known.segment_count
            if checked.order.settings.reuse_llm_calls:
                again = foresight.reused(item, known.segmentation_id)
        else:
            fewest, most = _segments(checked, item, limits)
        syntheses["low"] += level and again < most  # of the same material, one was made before
        reused += known is not None
        spared += again
        low[kind] += fewest
        high[kind] += most
        least, dearest = _media_tokens(item)
        share = 1 - again / most  # of the medium, which is sent a segment at a time
        tokens_low += round(least * share) + (fewest - again) * (asked + TOKENS_AN_ANSWER[0])
        tokens_high += round(dearest * share) + (most - again) * (asked + TOKENS_AN_ANSWER[1])
    return {
        "media_items": dict(items),
        "seconds": {kind: round(value, 3) for kind, value in seconds.items()},
        "segments": {kind: {"low": low[kind], "high": high[kind]} for kind in items},
        "llm_calls": {
            "low": sum(low.values()) + syntheses["low"] - spared,
            "high": sum(high.values()) + syntheses["high"] - spared,
        },
        "tokens": {"low": tokens_low, "high": tokens_high},
        "reused_segmentations": reused,
        "reused_llm_calls": spared,
        "warnings": _warnings(checked, foresight),
    }


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
