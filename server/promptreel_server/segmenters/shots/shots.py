"""Shots, found while the frames stream by: cuts, gradual changes and blank gaps, put together."""

from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from promptreel_server.segmenters.shots.cuts import Change, sudden_changes
from promptreel_server.segmenters.shots.footage import Footage, Vectors, footage, joined, likeness
from promptreel_server.segmenters.shots.transitions import gradual_changes

CORE_SECONDS = 24.0
"""Boundaries are decided for as much footage at a time …"""
CONTEXT_SECONDS = 4.0
"""… seen together with as much before and after it."""
MOST_FRAMES = 4096
"""Footage is decided upon early where so many frames wait."""
LONG_BLANK_SECONDS = 2.0
"""A blank stretch as long is a shot of its own; a shorter one parts two shots, or is a blip."""
BLIP_SECONDS = 0.5
BLIP_LIKENESS = 0.7
"""A shorter blank stretch with the same picture before and after parts nothing."""
FADE_SECONDS = 0.5
"""How far to look beside a blank stretch for a frame that has not faded yet."""
UNFADED = 0.25
"""Frames with this part of the energy there can still be compared."""
FLASH_SECONDS = 0.3
"""A blank stretch as short belongs to the shot that follows."""
BESIDE_SECONDS = 0.2
"""A cut this close to a blank stretch that parts two shots is part of the same edit."""
JITTER_SECONDS = 0.08
"""Two boundaries closer than this, and than three frames, are one."""


@dataclass(frozen=True, kw_only=True)
class _Blank:
    """Blank frames `[start, end)` of some footage."""

    start: int
    end: int
    seconds: float


class ShotFinder:
    """Takes frames as they are decoded and keeps no more of them than it needs to decide."""

    def __init__(self, time_base: Fraction) -> None:
        """`time_base` is the length of a tick in seconds."""
        self._time_base = float(time_base)
        self._waiting: list[Footage] = []
        """The frames held, in the pieces they came in: joined only to be decided upon."""
        self._count = 0
        self._decided = 0
        """How many of the frames held are only kept as context."""
        self._decided_until = 0.0
        """When the first frame is presented that is not decided upon, in seconds."""
        self._boundaries: list[int] = []

    def feed(self, frames: NDArray[np.uint8], ticks: NDArray[np.int64]) -> None:
        """Take frames of shape (n, FRAME_BYTES) with their presentation times, in order."""
        seconds = ticks.astype(np.float64) * self._time_base
        before = self._waiting[-1].looks[-1] if self._waiting else None
        if self._count == self._decided:
            self._decided_until = float(seconds[0])
        self._waiting.append(footage(frames, ticks, seconds, before))
        self._count += len(ticks)
        wait = seconds[-1] - self._decided_until
        if wait >= CORE_SECONDS + CONTEXT_SECONDS or self._count - self._decided >= MOST_FRAMES:
            self._decide(at_end=False)

    def finish(self) -> tuple[int, ...]:
        """Answer the ticks at which a new shot begins, ascending; the first shot's is not told."""
        if self._waiting:
            self._decide(at_end=True)
        return tuple(self._boundaries)

    def _decide(self, *, at_end: bool) -> None:
        held = joined(self._waiting)
        self._waiting = []  # not to be kept beside the same footage joined
        end = len(held)
        if not at_end:
            end = int(np.searchsorted(held.seconds, held.seconds[-1] - CONTEXT_SECONDS))
            end = max(end, self._decided + (len(held) - self._decided) // 2)
        for index in boundaries(held):
            if self._decided <= index < end:
                self._note(held, index)
        keep = int(np.searchsorted(held.seconds, held.seconds[end - 1] - CONTEXT_SECONDS))
        keep = max(keep, end - MOST_FRAMES // 2)
        self._waiting = [held.copied(keep, len(held))]
        self._count, self._decided = len(held) - keep, end - keep
        self._decided_until = float(held.seconds[min(end, len(held) - 1)])

    def _note(self, held: Footage, index: int) -> None:
        """Keep a boundary, unless it is one with the boundary before."""
        tick = int(held.ticks[index])
        near = max(int(held.ticks[max(0, index - 3)]), tick - int(JITTER_SECONDS / self._time_base))
        if not self._boundaries or self._boundaries[-1] < near:
            self._boundaries.append(tick)


def boundaries(held: Footage) -> list[int]:
    """Find the frames of some footage at which a new shot begins, ascending."""
    sudden = sudden_changes(held)
    found: list[int] = []
    parting: list[_Blank] = []
    walls = {0, len(held)} | {change.index for change in sudden.changes}
    stray = sudden.stray.copy()
    for blank in _blanks(held):
        if _is_blip(held, blank):
            stray[blank.start : blank.end] = True
        else:
            walls |= {blank.start, blank.end}
            found += _around(held, blank)
            parting.append(blank)
    cuts = [
        change.index
        for change in sudden.changes
        if change.cut and not _beside(held, change, parting)
    ]
    found += cuts
    for start, end in pairwise(sorted(walls)):
        kept = ~stray[start:end]
        if kept.sum() > 1 and not held.blank[start]:
            frames = start + np.flatnonzero(kept)
            stretch = held.part(start, end)
            stretch = stretch if kept.all() else stretch.where(kept)
            found += [int(frames[change.index]) for change in gradual_changes(stretch)]
    return sorted(found)


def _blanks(held: Footage) -> list[_Blank]:
    edges = np.flatnonzero(np.diff(held.blank.astype(np.int8), prepend=0, append=0))
    return [
        _Blank(
            start=int(start),
            end=int(end),
            seconds=float(held.seconds[min(end, len(held) - 1)] - held.seconds[start]),
        )
        for start, end in edges.reshape(-1, 2)
    ]


def _around(held: Footage, blank: _Blank) -> list[int]:
    """Where shots begin at a blank stretch: after it, at both of its ends, or nowhere."""
    ends = [index for index in (blank.start, blank.end) if 0 < index < len(held)]
    if blank.seconds >= LONG_BLANK_SECONDS:
        return ends
    if len(ends) < 2:
        return []
    return [blank.start if blank.seconds <= FLASH_SECONDS else blank.end]


def _beside(held: Footage, change: Change, parting: list[_Blank]) -> bool:
    """Whether a change is part of the edit that a blank stretch close by belongs to."""
    when = held.seconds[change.index]
    return any(
        held.seconds[blank.start] - when < BESIDE_SECONDS
        and when - held.seconds[min(blank.end, len(held) - 1)] < BESIDE_SECONDS
        for blank in parting
        if blank.seconds < LONG_BLANK_SECONDS
    )


def _is_blip(held: Footage, blank: _Blank) -> bool:
    """Whether a picture from before a short blank stretch is there after it, too."""
    if blank.seconds > BLIP_SECONDS or blank.start == 0 or blank.end == len(held):
        return False
    seconds = held.seconds
    start = int(np.searchsorted(seconds, seconds[blank.start] - FADE_SECONDS))
    end = int(np.searchsorted(seconds, seconds[blank.end] + FADE_SECONDS, side="right"))
    before, after = _unfaded(held.part(start, blank.start)), _unfaded(held.part(blank.end, end))
    return float(likeness(before, after).max()) > BLIP_LIKENESS


def _unfaded(beside: Footage) -> Vectors:
    """The looks of the frames that have not faded much."""
    unfaded: Vectors = beside.looks[beside.energy >= beside.energy.max() * UNFADED]
    return unfaded
