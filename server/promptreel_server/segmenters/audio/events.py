"""Sound parted into speech, music, noise and silence, and where it pauses."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from promptreel_server.segmenters.audio.audio_pass import TONE_WINDOWS, Heard
from promptreel_server.segmenters.audio.series import BLOCK_WINDOWS
from promptreel_server.segmenters.audio.speech import talk
from promptreel_server.segmenters.signals import Kind, Span

SILENCE_BELOW_LOUD = 35.0
"""Decibels below the loud parts at which sound counts as silence …"""
SILENCE_LIMITS = (-65.0, -50.0)
"""… within these levels, in decibels below full scale."""
LOUD_PERCENTILE = 95
TONAL = 2.0
"""Music stands out of its own spectrum by more decibels than that, noise by less."""
SHORTEST_WINDOWS = 12
"""A stretch of one kind lasts 0.4 s or is part of what surrounds it."""

SHORTEST_MUSIC = 32
"""A second of tones is music."""
UNSPOKEN = (Kind.SILENCE, Kind.NOISE, Kind.MUSIC)
"""What is heard while nobody talks; windows are labelled by the place in this list."""


@dataclass(frozen=True, kw_only=True)
class Sounds:
    """The sounds of a medium; what is neither of the first three is noise."""

    speech: tuple[Span, ...]
    music: tuple[Span, ...]
    silence: tuple[Span, ...]
    pauses: tuple[Span, ...]
    """Moments of quiet within the speech."""


def sounds(stretches: Sequence[Heard]) -> Sounds:
    """Part what was heard."""
    speech: list[Span] = []
    pauses: list[Span] = []
    others: dict[Kind, list[Span]] = {kind: [] for kind in UNSPOKEN}
    for heard in stretches:
        spoken = talk(heard)
        silent = _silence_level(heard)
        speech += [_span(heard, *windows) for windows in spoken.sentences]
        pauses += [_span(heard, *windows) for windows in spoken.pauses]
        for start, end in _between(spoken.sentences, len(heard.voice)):
            for first in range(start, end, BLOCK_WINDOWS):
                for kind, a, b in _kinds(heard, first, min(end, first + BLOCK_WINDOWS), silent):
                    _append(others[kind], _span(heard, a, b))
    return Sounds(
        speech=tuple(speech),
        music=tuple(others[Kind.MUSIC]),
        silence=tuple(others[Kind.SILENCE]),
        pauses=tuple(pauses),
    )


def _span(heard: Heard, start: int, end: int) -> Span:
    return Span(start=heard.at(start), end=heard.at(end))


def _between(windows: Sequence[tuple[int, int]], count: int) -> list[tuple[int, int]]:
    """The gaps before, between and after some windows of `count`."""
    edges = [0, *(edge for pair in windows for edge in pair), count]
    pairs = list(zip(edges[::2], edges[1::2], strict=True))
    return [(start, end) for start, end in pairs if start < end]


def _append(spans: list[Span], span: Span) -> None:
    """Add a span, as one with the span before where that goes on."""
    if spans and spans[-1].end == span.start:
        span = Span(start=spans.pop().start, end=span.end)
    spans.append(span)


def _silence_level(heard: Heard) -> float:
    """The level, in decibels below full scale, under which this sound is silent."""
    part = heard.level[:: max(1, len(heard.level) // BLOCK_WINDOWS)]  # evenly, of what is long
    loud = float(np.percentile(part, LOUD_PERCENTILE))
    return min(max(loud - SILENCE_BELOW_LOUD, SILENCE_LIMITS[0]), SILENCE_LIMITS[1])


def _kinds(heard: Heard, start: int, end: int, silent: float) -> list[tuple[Kind, int, int]]:
    """Name what is heard from window to window, in stretches of no less than SHORTEST_WINDOWS."""
    labels = np.where(
        heard.level[start:end] < silent,
        UNSPOKEN.index(Kind.SILENCE),
        np.where(
            _tone(heard, start, end) > TONAL,
            UNSPOKEN.index(Kind.MUSIC),
            UNSPOKEN.index(Kind.NOISE),
        ),
    )
    return [
        (_named(int(labels[a]), b - a), start + int(a), start + int(b))
        for a, b in _smoothed(labels)
    ]


def _named(label: int, windows: int) -> Kind:
    """The kind of a stretch; what is tonal for a moment only is the ring of what was said."""
    kind = UNSPOKEN[label]
    return Kind.NOISE if kind is Kind.MUSIC and windows < SHORTEST_MUSIC else kind


def _tone(heard: Heard, start: int, end: int) -> NDArray[np.float32]:
    """How tonal each window is: the mean that begins with it, so that no speech before counts.

    The last windows have nothing after them but what comes next; they keep the last value.
    """
    ahead = heard.tone[start + TONE_WINDOWS - 1 : end]
    (last,) = heard.tone[end - 1 : end]
    return np.concatenate([ahead, np.full(end - start - len(ahead), last, np.float32)])


def _smoothed(labels: NDArray[np.int64]) -> list[tuple[int, int]]:
    """Runs of one label: what most of the windows about each one say, none of them too short.

    Changes `labels` accordingly.
    """
    around = np.ones(min(2 * SHORTEST_WINDOWS + 1, len(labels)))
    votes = [np.convolve(labels == label, around, "same") for label in range(len(UNSPOKEN))]
    labels[:] = np.argmax(votes, axis=0)
    edges = [0, *(np.flatnonzero(np.diff(labels)) + 1), len(labels)]
    runs: list[tuple[int, int]] = []
    for start, end in pairwise(map(int, edges)):
        if runs and (
            end - start < SHORTEST_WINDOWS
            or runs[-1][1] - runs[-1][0] < SHORTEST_WINDOWS
            or labels[start] == labels[runs[-1][0]]
        ):
            before, _ = runs.pop()
            longer = start if end - start > start - before else before
            labels[before:end] = labels[longer]
            start = before
        runs.append((start, end))
    return runs
