"""What is seen and heard in a media item, stored once and read by every mode."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from fractions import Fraction
from typing import Self

SIGNALS_VERSION = "2"
"""Changes whenever the same medium might show other shots or sounds; older ones are not reused."""


class Kind(Enum):
    """What is heard for a while."""

    SPEECH = "speech"
    MUSIC = "music"
    """Tones for a second or more, and nobody talks."""
    SILENCE = "silence"
    NOISE = "noise"
    """Anything else."""


@dataclass(frozen=True, kw_only=True)
class Span:
    """A half-open stretch `[start, end)`, in seconds on the container's clock."""

    start: Fraction
    end: Fraction

    @property
    def duration(self) -> Fraction:
        """Length in seconds."""
        return self.end - self.start


@dataclass(frozen=True, kw_only=True)
class Signals:
    """The shots and sounds of one media item; None means not looked at yet, () means none there.

    `shots` cover the pictures without a gap. `speech` are the stretches in which somebody talks,
    `music` and `silence` those with only that; what is left of the sound is noise. `pauses` are
    the moments of quiet within speech.
    """

    version: str = SIGNALS_VERSION
    shots: tuple[Span, ...] | None = None
    speech: tuple[Span, ...] | None = None
    music: tuple[Span, ...] | None = None
    silence: tuple[Span, ...] | None = None
    pauses: tuple[Span, ...] | None = None

    def to_json(self) -> dict[str, object]:
        """Plain JSON: fractions as "numerator/denominator" strings, so that nothing is rounded."""
        return {
            "version": self.version,
            "shots": _listed(self.shots),
            "speech": _listed(self.speech),
            "music": _listed(self.music),
            "silence": _listed(self.silence),
            "pauses": _listed(self.pauses),
        }

    @classmethod
    def from_json(cls, stored: Mapping[str, object]) -> Self:
        """Read back what `to_json` wrote; raises ValueError on anything else."""
        return cls(
            version=str(stored["version"]),
            shots=_spans(stored.get("shots")),
            speech=_spans(stored.get("speech")),
            music=_spans(stored.get("music")),
            silence=_spans(stored.get("silence")),
            pauses=_spans(stored.get("pauses")),
        )

    def joined(self, other: "Signals | None") -> Self:
        """These signals, with what `other` knows (of the same version) where these know nothing."""
        if other is None or other.version != self.version:
            return self
        return replace(
            self,
            shots=other.shots if self.shots is None else self.shots,
            speech=other.speech if self.speech is None else self.speech,
            music=other.music if self.music is None else self.music,
            silence=other.silence if self.silence is None else self.silence,
            pauses=other.pauses if self.pauses is None else self.pauses,
        )


def _listed(spans: tuple[Span, ...] | None) -> list[list[str]] | None:
    return None if spans is None else [[str(s.start), str(s.end)] for s in spans]


def _spans(stored: object) -> tuple[Span, ...] | None:
    if stored is None:
        return None
    if not isinstance(stored, Sequence) or isinstance(stored, str):
        raise ValueError("a stored list of spans is a list")
    return tuple(Span(start=Fraction(pair[0]), end=Fraction(pair[1])) for pair in stored)
