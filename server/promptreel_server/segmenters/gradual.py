"""Dissolves, wipes and their like: one still picture turns into another through mixes of both.

The twin comparison of Zhang, Kankanhalli and Smoliar (1993), with the model of the edit checked
against the frames: what lies between the ends must be explained by the ends.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from promptreel_server.segmenters.footage import NOISE, Footage, Numbers, Vectors, alike, likeness
from promptreel_server.segmenters.motion import is_camera_motion

RATE = 12.5
"""Glances a second: frames closer than that are averaged, against noise and for speed."""
LENGTHS = (3, 4, 5, 7, 9, 11, 13, 16, 19, 23, 27, 31)
"""Lengths of a transition that are tried, in glances: 0.24 to 2.5 seconds."""
LONGEST_SECONDS = 3.2
BETWEEN = 6
"""How many of the glances between the ends are checked."""
LEAST_SCORE = 0.42
"""How much further apart the ends must be than the footage drifts in the same time, after what
they don't explain is taken off."""
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
    if len(glances) <= LENGTHS[0]:
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
    ends = np.append(first_frames[1:], len(footage))
    return [
        Transition(
            index=_turning_point(
                footage, glances[first], glances[last], int(first_frames[first]), int(ends[last])
            ),
            start=int(first_frames[first]),
            end=int(ends[last]),
            score=score,
        )
        for score, first, last in sorted(taken, key=lambda one: one[1])
        if not is_camera_motion(glances[first : last + 1])
    ]


def _glances(footage: Footage) -> tuple[Vectors, NDArray[np.int64]]:
    """Average the frames of each 1/RATE s; answer the means and where each one's frames begin."""
    turns = np.floor((footage.seconds - footage.seconds[0]) * RATE + 1e-6)
    first_frames = np.flatnonzero(np.diff(turns, prepend=-1.0))
    counts = np.diff(np.append(first_frames, len(footage)))
    means = np.add.reduceat(footage.looks, first_frames, axis=0) / counts[:, None]
    return means.astype(np.float32), first_frames


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

    drift = np.maximum(
        apart(np.maximum(first - length, 0), first),
        apart(last, np.minimum(last + length, count - 1)),
    )
    contrast = apart(first, last) - drift
    short = seconds[last] - seconds[first] <= LONGEST_SECONDS
    scored = []
    for one in np.flatnonzero((contrast >= LEAST_SCORE) & short):
        score = float(contrast[one]) - LENGTH_COST * length
        score -= _unexplained(glances, int(one), length)
        if score >= LEAST_SCORE:
            scored.append((score, int(one), int(one) + length))
    return scored


def _unexplained(glances: Vectors, first: int, length: int) -> float:
    """The part (0..1) of the glances between two ends that the ends don't explain.

    A dissolve is a weighted sum of its ends (also where one fades out before the other fades in);
    in a wipe each pixel is that of one end or between the two. Whichever fits better counts.
    """
    before, after = glances[first], glances[first + length]
    steps = np.linspace(1, length - 1, min(length - 1, BETWEEN)).round().astype(int)
    between = glances[first + steps]
    energy = np.einsum("ij,ij->i", between, between) + NOISE
    ends = np.stack([before, after])
    gram = ends @ ends.T + NOISE * np.eye(2, dtype=np.float32)
    shares = between @ ends.T
    fitted = np.einsum("ij,jk,ik->i", shares, np.linalg.inv(gram), shares)
    mixed = float(np.mean(1 - fitted / energy))
    low, high = np.minimum(before, after), np.maximum(before, after)
    outside = between - np.clip(between, low, high)
    wiped = float(np.mean(np.einsum("ij,ij->i", outside, outside) / energy))
    return min(mixed, wiped)


def _turning_point(footage: Footage, before: Vectors, after: Vectors, start: int, end: int) -> int:
    """The first frame that looks more like the picture after than like the one before."""
    sides = likeness(footage.looks[start:end], np.stack([before, after]))
    turned = np.flatnonzero(sides[:, 1] >= sides[:, 0])
    return start + (int(turned[0]) if len(turned) else (end - start) // 2)
