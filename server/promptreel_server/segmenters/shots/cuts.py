"""Hard cuts: one frame has little in common with the one before, and what follows keeps it so."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from promptreel_server.segmenters.shots.camera_motion import left_by_pan, left_by_zoom
from promptreel_server.segmenters.shots.footage import Footage, Vectors, likeness
from promptreel_server.segmenters.shots.overlay import is_overlaid, is_relit

LEAST_CHANGE = 0.1
"""Below this, two frames have too much in common to belong to two shots."""
NEIGHBOURS = 5
"""Frames on each side whose changes tell how lively the footage is."""
RANK = 3
"""Liveliness is the third largest change around: two more cuts close by don't hide this one."""
QUIET = 0.01
"""Footage is never taken to be calmer than this."""
LEAST_RATIO = 3.0
"""How far a cut must stand out from the liveliness around it."""
LEAST_STRENGTH = 2.2
"""A weak change must stand out all the more: the least of sqrt(change) times the ratio."""
MOST_RATIO = 20.0
FOLLOWED = 0.35
"""A picture that is followed leaves this part of its change, or less …"""
MOVING = 0.25
"""… and moves on in the frame before or after, by this part of the change or more."""
LEAST_LEFT = 0.3
"""How much a cut must leave where the footage moves as fast as a cut would."""
RETURN_SECONDS = 0.25
RETURN_FRAMES = 3
"""What is gone for no longer than either of these, and then back, was a flash or a glitch."""
RETURNED = 0.35
"""Back means: this part of the change, or less, is left."""
BLEND_FRAMES = 3
"""Changes that follow each other as closely are one: a blended frame, or a flash on the cut."""


@dataclass(frozen=True, kw_only=True)
class Change:
    """A sudden change between frame `index - 1` and `index`; `cut` is false for an overlay."""

    index: int
    amount: float
    cut: bool


@dataclass(frozen=True, kw_only=True)
class Sudden:
    """The changes, and which frames are no part of what they interrupt (flashes, glitches)."""

    changes: tuple[Change, ...]
    stray: NDArray[np.bool_]


def sudden_changes(footage: Footage) -> Sudden:
    """Find cuts, and overlays that come or go (captions, pictures in the picture, bars).

    The second kind is no boundary, but no gradual change may be looked for across it.
    """
    usable = ~footage.blank
    usable[1:] &= ~footage.blank[:-1]
    usable[:1] = False
    stray = np.zeros(len(footage), np.bool_)
    found: list[Change] = []
    lively = usable & (footage.change >= LEAST_CHANGE)
    left = _left(footage, lively)
    for index in map(int, np.flatnonzero(lively)):
        stands_out = _stands_out(footage.change, index) and not _moves(footage, left, index)
        if not stands_out and not _cuts_motion(footage, left, index):
            continue
        interrupted = _interruption(footage, index)
        stray[interrupted] = True
        if interrupted.start == interrupted.stop:
            amount = float(footage.change[index])
            _add(found, Change(index=index, amount=amount, cut=not _keeps(footage, index)))
    return Sudden(changes=tuple(found), stray=stray)


def _add(found: list[Change], change: Change) -> None:
    """Append, unless it is one with the change before."""
    last = found[-1] if found else None
    if last is None or change.index - last.index > BLEND_FRAMES or not (last.cut and change.cut):
        found.append(change)
    elif change.index - last.index == 1 and change.amount > last.amount:
        found[-1] = change


def _stands_out(change: NDArray[np.float32], index: int) -> bool:
    around = np.concatenate(
        [change[max(0, index - NEIGHBOURS) : index], change[index + 1 : index + 1 + NEIGHBOURS]]
    )
    lively = float(np.sort(around)[-RANK]) if len(around) >= RANK else 0.0
    amount = float(change[index])
    ratio = min(amount / (lively + QUIET), MOST_RATIO)
    return ratio >= LEAST_RATIO and min(amount, 1.0) ** 0.5 * ratio >= LEAST_STRENGTH


def _keeps(footage: Footage, index: int) -> bool:
    """Whether the picture before a change is still there: laid over in part, or in other light."""
    if is_overlaid(footage, index, NEIGHBOURS):
        return True
    return is_relit(footage.looks[index - 1], footage.looks[index])


def _left(footage: Footage, lively: NDArray[np.bool_]) -> Vectors:
    """What is left of each change once a pan is followed, where one change follows another."""
    left = footage.change.copy()
    moving = np.flatnonzero(lively & (_beside(footage.change) > MOVING * footage.change))
    left[moving] = left_by_pan(footage.looks[moving - 1], footage.looks[moving])
    return left


def _beside(change: Vectors) -> Vectors:
    """The larger one of the changes before and after each."""
    beside: Vectors = np.maximum(np.append(change[1:], 0), np.append(0, change[:-1]))
    return beside


def _moves(footage: Footage, left: Vectors, index: int) -> bool:
    """Whether a change is one of several in a row, and the picture before can be followed.

    A change by itself is none: nothing moves for a single frame.
    """
    followed = FOLLOWED * footage.change[index]
    beside = _beside(footage.change[max(0, index - 1) : index + 2])[min(index, 1)]
    if left[index] < followed or beside <= MOVING * footage.change[index]:
        return bool(left[index] < followed)
    looks = footage.looks
    return bool(left_by_zoom(looks[index - 1 : index], looks[index : index + 1])[0] < followed)


def _cuts_motion(footage: Footage, left: Vectors, index: int) -> bool:
    """Whether a change stands out of those that are left where the camera's movement is followed.

    Where a fast movement begins or stops, a sharp picture becomes a smeared one: that is no cut.
    """
    if left[index] < LEAST_LEFT or not _stands_out(left, index):
        return False
    before, after = footage.looks[index - 1 : index], footage.looks[index : index + 1]
    panned = left_by_pan(before, after, smeared=True)
    return bool(min(panned[0], left_by_zoom(before, after)[0]) >= LEAST_LEFT)


def _interruption(footage: Footage, index: int) -> slice:
    """Which frames about a change are gone again soon after it: those of a flash, or none."""
    seconds = footage.seconds
    first = min(
        int(np.searchsorted(seconds, seconds[index - 1] - RETURN_SECONDS)),
        max(0, index - RETURN_FRAMES),
    )
    last = max(
        int(np.searchsorted(seconds, seconds[index] + RETURN_SECONDS, side="right")),
        index + RETURN_FRAMES,
    )
    before = np.arange(first, index)[~footage.blank[first:index]]
    after = np.arange(index, min(last, len(footage)))
    after = after[~footage.blank[after]]
    left = 1 - likeness(footage.looks[before], footage.looks[after])
    if left.min() >= RETURNED * footage.change[index]:
        return slice(index, index)
    one, other = np.unravel_index(int(left.argmin()), left.shape)
    return slice(int(before[one]) + 1, int(after[other]))
