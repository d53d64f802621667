"""What probing found, to and from the JSON it is stored as."""

from fractions import Fraction
from typing import Any

from promptreel_server.domain.media import MediaFacts, MediaType
from promptreel_server.domain.prompt import JsonObject

_PLAIN = (
    "container",
    "video_codec",
    "audio_codec",
    "width",
    "height",
    "rotation",
    "video_stream",
    "audio_stream",
)
_EXACT = ("start", "duration", "time_base", "frame_rate")


def to_json(facts: MediaFacts) -> dict[str, Any]:
    """Turn facts into JSON; exact seconds become `numerator/denominator`."""
    return {
        "media_type": facts.media_type.value,
        "streams": list(facts.streams),
        **{name: getattr(facts, name) for name in _PLAIN},
        **{name: str(getattr(facts, name)) for name in _EXACT},
    }


def from_json(body: JsonObject) -> MediaFacts:
    """Turn stored JSON back into facts."""
    plain: dict[str, Any] = {name: body[name] for name in _PLAIN}
    exact: dict[str, Any] = {name: Fraction(body[name]) for name in _EXACT}
    return MediaFacts(
        media_type=MediaType(body["media_type"]),
        streams=tuple(body["streams"]),
        **plain,
        **exact,
    )
