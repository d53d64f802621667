"""Chooses where to cut among places of different worth, by dynamic programming."""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from promptreel_server.segmenters.even_windows import joined
from promptreel_server.segmenters.signals import Span

TOO_SHORT = 100.0
"""What a second of length outside the limits costs: more than any place is worth."""


@dataclass(frozen=True, kw_only=True)
class Place:
    """A moment at which a medium may be cut, and what the cut is worth."""

    at: Fraction
    worth: float


@dataclass(frozen=True, kw_only=True)
class Lengths:
    """The limits of the parts, in seconds; `pull` is what a part of e times the target costs."""

    shortest: Fraction
    longest: Fraction
    target: Fraction
    pull: float


def chosen(whole: Span, places: Sequence[Place], lengths: Lengths) -> tuple[Span, ...]:
    """Cut `whole` at the places that are worth most together, within the limits.

    Where the places leave no way to keep the limits they are overstepped by as little as can be;
    a part that is still too long is for the caller to divide.
    """
    inner = sorted(
        (place for place in places if whole.start < place.at < whole.end), key=lambda one: one.at
    )
    moments = [whole.start, *(place.at for place in inner), whole.end]
    seconds = np.array([float(moment) for moment in moments])
    worth = np.array([0.0, *(place.worth for place in inner), 0.0])
    best = np.zeros(len(moments))
    origin = np.zeros(len(moments), np.int64)
    for end in range(1, len(moments)):
        first = int(np.searchsorted(seconds, seconds[end] - float(lengths.longest) - 1e-9))
        first = min(first, end - 1)
        totals = best[first:end] - _cost(seconds[end] - seconds[first:end], lengths)
        origin[end] = first + int(totals.argmax())
        best[end] = totals.max() + worth[end]
    edges = [whole.end]
    at = len(moments) - 1
    while at > 0:
        at = int(origin[at])
        edges.append(moments[at])
    return joined(edges[::-1])


def _cost(
    parts: np.ndarray[tuple[int, ...], np.dtype[np.float64]], lengths: Lengths
) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    outside = np.maximum(float(lengths.shortest) - parts, 0) + np.maximum(
        parts - float(lengths.longest), 0
    )
    away = np.log(np.maximum(parts, 1e-3) / float(lengths.target))
    cost: np.ndarray[tuple[int, ...], np.dtype[np.float64]] = (
        TOO_SHORT * outside + lengths.pull * away**2
    )
    return cost
