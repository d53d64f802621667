"""Shots, found while the frames stream by: cuts, gradual changes and blank gaps, put together."""

from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from promptreel_server.segmenters.footage import Footage, footage, likeness
from promptreel_server.segmenters.gradual import gradual_changes
from promptreel_server.segmenters.sudden import sudden_changes

CORE_SECONDS = 10.0
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
FLASH_SECONDS = 0.3
"""A blank stretch as short belongs to the shot that follows."""
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
        self._held: Footage | None = None
        self._decided = 0
        """How many of the frames held are only kept as context."""
        self._at_start = True
        self._boundaries: list[int] = []

    def feed(self, frames: NDArray[np.uint8], ticks: NDArray[np.int64]) -> None:
        """Take frames of shape (n, FRAME_BYTES) with their presentation times, in order."""
        held = self._held
        new = footage(
            frames, ticks, ticks * self._time_base, None if held is None else held.looks[-1]
        )
        self._held = held = new if held is None else held.followed_by(new)
        wait = held.seconds[-1] - held.seconds[min(self._decided, len(held) - 1)]
        if wait >= CORE_SECONDS + CONTEXT_SECONDS or len(held) - self._decided >= MOST_FRAMES:
            self._decide(held, at_end=False)

    def finish(self) -> tuple[int, ...]:
        """Answer the ticks at which a new shot begins, ascending; the first shot's is not told."""
        if self._held is not None and len(self._held):
            self._decide(self._held, at_end=True)
        return tuple(self._boundaries)

    def _decide(self, held: Footage, *, at_end: bool) -> None:
        end = len(held)
        if not at_end:
            end = int(np.searchsorted(held.seconds, held.seconds[-1] - CONTEXT_SECONDS))
            end = max(end, self._decided + (len(held) - self._decided) // 2)
        for index in boundaries(held, at_start=self._at_start, at_end=at_end):
            if self._decided <= index < end:
                self._note(held, index)
        keep = int(np.searchsorted(held.seconds, held.seconds[end - 1] - CONTEXT_SECONDS))
        keep = max(keep, end - MOST_FRAMES // 2)
        self._at_start = self._at_start and keep == 0
        self._decided = end - keep
        self._held = held.part(keep, len(held))

    def _note(self, held: Footage, index: int) -> None:
        """Keep a boundary, unless it is one with the boundary before."""
        tick = int(held.ticks[index])
        near = max(int(held.ticks[max(0, index - 3)]), tick - int(JITTER_SECONDS / self._time_base))
        if not self._boundaries or self._boundaries[-1] < near:
            self._boundaries.append(tick)


def boundaries(held: Footage, *, at_start: bool, at_end: bool) -> list[int]:
    """Find the frames of some footage at which a new shot begins, ascending.

    `at_start` and `at_end` say whether the medium begins and ends with it.
    """
    found: list[int] = []
    walls = {0, len(held)}
    for blank in _blanks(held):
        walls |= {blank.start, blank.end}
        found += _around(held, blank, at_start=at_start, at_end=at_end)
    for change in sudden_changes(held):
        walls.add(change.index)
        if change.cut:
            found.append(change.index)
    edges = sorted(walls)
    for start, end in zip(edges, edges[1:], strict=False):
        if end - start > 1 and not held.blank[start]:
            found += [start + change.index for change in gradual_changes(held.part(start, end))]
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


def _around(held: Footage, blank: _Blank, *, at_start: bool, at_end: bool) -> list[int]:
    """Where shots begin at a blank stretch: after it, at both of its ends, or nowhere."""
    first = blank.start == 0
    last = blank.end == len(held)
    if blank.seconds >= LONG_BLANK_SECONDS:
        return [index for index, edge in ((blank.start, first), (blank.end, last)) if not edge]
    if (first and at_start) or (last and at_end) or first or last:
        return []
    if blank.seconds <= BLIP_SECONDS and _same_beside(held, blank):
        return []
    return [blank.start if blank.seconds <= FLASH_SECONDS else blank.end]


def _same_beside(held: Footage, blank: _Blank) -> bool:
    """Whether the picture before a blank stretch and the one after it are the same."""
    seconds = held.seconds
    start = int(np.searchsorted(seconds, seconds[blank.start] - FADE_SECONDS))
    end = int(np.searchsorted(seconds, seconds[blank.end] + FADE_SECONDS, side="right"))
    before = start + int(np.argmax(held.energy[start : blank.start]))
    after = blank.end + int(np.argmax(held.energy[blank.end : end]))
    alike = likeness(held.looks[before : before + 1], held.looks[after : after + 1])
    return float(alike[0, 0]) > BLIP_LIKENESS
