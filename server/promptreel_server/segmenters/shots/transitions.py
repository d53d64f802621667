"""Dissolves, wipes and their like: one still picture turns into another through mixes of both.

The twin comparison of Zhang, Kankanhalli and Smoliar (1993), with the model of the edit checked
against the frames: what lies between the ends must be explained by the ends.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from promptreel_server.segmenters.shots.footage import (
    NOISE,
    Footage,
    Numbers,
    Vectors,
    alike,
    likeness,
)
from promptreel_server.segmenters.shots.overlay import is_relit, is_slowly_overlaid
from promptreel_server.segmenters.shots.transition_motion import is_camera_motion

RATE = 12.5
"""Glances a second: frames closer than that are averaged, against noise and for speed."""
LENGTHS = (3, 4, 5, 7, 9, 11, 13, 16, 19, 23, 27, 31)
"""Lengths of a transition that are tried, in glances: 0.24 to 2.5 seconds."""
LEAST_GLANCES = 8
"""Between two cuts that are closer, 0.64 s, too little is seen to tell an edit from movement."""
LONGEST_SECONDS = 3.2
STILL = 0.1
"""Change that is always taken to be there, as a part of a whole picture: it is noise."""
BETWEEN = 6
"""How many of the glances between the ends are checked."""
RETURN_SECONDS = 1.0
RETURNED = 0.35
"""A picture that differs by so much less from one within that time on the other side is back."""
LEAST_SCORE = 0.35
"""How much further apart the ends must be than the footage drifts in the same time, after what
they don't explain is taken off."""
CALM = 4
"""Footage that drifts so many times less in half of that time is calm, and something else began."""
LENGTH_COST = 0.01
"""What each glance of length takes off: of windows that explain the same, the tight one is it."""


@dataclass(frozen=True, kw_only=True)
class Transition:
    """A gradual change from glance `first` to `last`; the new picture prevails from `index` on."""

    index: int
    start: int
    end: int
    score: float


def gradual_changes(footage: Footage) -> list[Transition]:
    """Find the transitions in footage that holds no cut and no blank frame.

    `index`, `start` and `end` count frames of this footage.
    """
    glances, first_frames = _glances(footage)
    if len(glances) < LEAST_GLANCES:
        return []
    products = glances @ glances.T
    candidates = [
        (score, first, last)
        for length in LENGTHS
        if length < len(glances)
        for score, first, last in _scored(glances, products, footage.seconds[first_frames], length)
    ]
    taken: list[tuple[float, int, int]] = []
    for score, first, last in sorted(candidates, reverse=True):
        if all(last <= other[1] or first >= other[2] for other in taken):
            taken.append((score, first, last))
    edges = np.append(first_frames, len(footage))
    return [
        _transition(footage, glances[first : last + 1], edges[first:], score)
        for score, first, last in sorted(taken, key=lambda one: one[1])
        if not _is_none(footage, int(edges[first]), int(edges[last + 1]))
    ]


def _is_none(footage: Footage, start: int, end: int) -> bool:
    """Whether what changes from frame `start` to `end` is no edit."""
    looks = footage.looks[start:end]
    return (
        is_relit(looks[0], looks[-1])
        or is_slowly_overlaid(footage.part(start, end))
        or _returns(footage, start, end)
        or is_camera_motion(looks)
    )


def _returns(footage: Footage, start: int, end: int) -> bool:
    """Whether what was seen before is back soon after: something passed close to the camera."""
    seconds = footage.seconds
    first = int(np.searchsorted(seconds, seconds[start] - RETURN_SECONDS))
    last = int(np.searchsorted(seconds, seconds[end - 1] + RETURN_SECONDS, side="right"))
    before, after = footage.looks[first : start + 1], footage.looks[end - 1 : last]
    left = 1 - likeness(before, after)
    return bool(left.min() < RETURNED * left[-1, 0])


def _transition(
    footage: Footage, glances: Vectors, edges: NDArray[np.int64], score: float
) -> Transition:
    """The transition from the first of some glances to the last; `edges` are their frames."""
    start, end = int(edges[0]), int(edges[len(glances)])
    index = _turning_point(footage, glances[0], glances[-1], start, end)
    return Transition(index=index, start=start, end=end, score=score)


def _glances(footage: Footage) -> tuple[Vectors, NDArray[np.int64]]:
    """Average the frames of each 1/RATE s; answer the means and where each one's frames begin."""
    turns = np.floor((footage.seconds - footage.seconds[0]) * RATE + 1e-6)
    first_frames = np.flatnonzero(np.diff(turns, prepend=-1.0))
    counts = np.diff(np.append(first_frames, len(footage)))
    means = np.add.reduceat(footage.looks, first_frames, axis=0)
    means /= counts[:, None].astype(np.float32)
    return means, first_frames


def _scored(
    glances: Vectors, products: Vectors, seconds: Numbers, length: int
) -> list[tuple[float, int, int]]:
    """Score every transition of one length that stands out: (score, first, last)."""
    count = len(glances)
    first = np.arange(count - length)
    last = first + length
    energy = np.diagonal(products)

    def apart(one: NDArray[np.int64], other: NDArray[np.int64]) -> Vectors:
        return 1 - alike(products[one, other], energy[one], energy[other])

    ends = apart(first, last)
    if ends.max() < LEAST_SCORE:
        return []
    drift = np.zeros(len(first), np.float32)
    for sign, edge in ((-1, first), (1, last)):
        whole, half = (np.clip(edge + sign * n, 0, count - 1) for n in (length, length // 2))
        drift = np.maximum(drift, np.minimum(apart(edge, whole), CALM * apart(edge, half)))
    contrast = np.where(seconds[last] - seconds[first] > LONGEST_SECONDS, 0, ends - drift)
    scored = []
    for one in map(int, _peaks(contrast, LEAST_SCORE)):
        score = float(contrast[one]) - LENGTH_COST * length
        score -= _unexplained(glances[one : one + length + 1])
        if score >= LEAST_SCORE:
            scored.append((score, one, one + length))
    return scored


def _peaks(numbers: Vectors, least: float) -> NDArray[np.int64]:
    """Where numbers are at least `least` and no smaller than those beside them."""
    peaks = numbers >= least
    peaks[1:] &= numbers[1:] >= numbers[:-1]
    peaks[:-1] &= numbers[:-1] >= numbers[1:]
    return np.flatnonzero(peaks)


def _unexplained(glances: Vectors) -> float:
    """The part (0..1) of what changes between two ends that the ends don't explain.

    A dissolve is a weighted sum of its ends (also where one fades out before the other fades in);
    in a wipe each pixel is that of one end or between the two. Whichever fits better counts,
    relative to how far the glances are from the end that is nearer.
    """
    before, after = glances[0], glances[-1]
    last = len(glances) - 1
    between = glances[1:-1]
    if len(between) > BETWEEN:
        between = glances[[1 + index * (last - 2) // (BETWEEN - 1) for index in range(BETWEEN)]]
    ends = glances[[0, -1]]
    energy = np.einsum("ij,ij->i", between, between)
    shares = between @ ends.T
    lengths = np.einsum("ij,ij->i", ends, ends)
    away = (energy[:, None] + lengths - 2 * shares).min(axis=1).sum() + STILL * lengths.mean()
    fitted = np.einsum("ij,jk,ik->i", shares, _inverse(before, after), shares)
    outside = between - np.clip(between, np.minimum(before, after), np.maximum(before, after))
    return float(min((energy - fitted).sum(), np.einsum("ij,ij->", outside, outside)) / away)


def _inverse(one: Vectors, other: Vectors) -> Vectors:
    """The inverse of the Gram matrix of two looks, with noise on its diagonal."""
    a, b, c = one @ one + NOISE, other @ other + NOISE, one @ other
    inverse: Vectors = np.array([[b, -c], [-c, a]]) / (a * b - c * c)
    return inverse


def _turning_point(footage: Footage, before: Vectors, after: Vectors, start: int, end: int) -> int:
    """The first frame that looks more like the picture after than like the one before."""
    sides = likeness(footage.looks[start:end], np.stack([before, after]))
    turned = np.flatnonzero(sides[:, 1] >= sides[:, 0])
    return start + (int(turned[0]) if len(turned) else (end - start) // 2)
