"""Who talks when: sentences and pauses, from the probability of speech every 32 ms."""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from promptreel_server.segmenters.audio.audio_pass import STEP, Heard
from promptreel_server.segmenters.audio.series import BLOCK_WINDOWS, Series

BEGINS, GOES_ON = 0.5, 0.35
"""Talk begins above the one probability and ends below the other."""
SHORTEST_PAUSE = 0.46
"""Seconds: within a sentence people pause for less, and between sentences for more."""
SURE_PAUSE = 1.5
"""After that long a silence something new begins, however slowly somebody talks."""
SHORTEST_PHRASE = 1.5
"""Seconds of talk between two pauses; less is a word set apart for effect, not a sentence."""
MOST_AROUND = 40
"""Pauses that are looked at on each side of one."""
RHYTHM_SECONDS = 6.0
"""How far around a pause others tell how its speaker pauses …"""
RHYTHM_RANK = 2
"""… and as many longer ones there say that it is none that ends a sentence."""
BLIP_SECONDS = 0.4
BLIP_PEAK = 0.95
BLIP_DROP = 10.0
"""A shorter, less certain bit of talk beside something as loud, within so many decibels, is an
instrument that sounds like a voice."""
ONSET_WINDOWS = 14
"""How far before it is sure of talk the network may have missed it: 0.45 s …"""
BEYOND = 2 * ONSET_WINDOWS
"""How far the quiet before or after is listened to."""
ONSET_RISE = 15.0
"""… where the sound rises by so many decibels above what came before."""
QUIET_LEVEL = -70.0
"""What is taken for quiet where the medium ends before any is heard."""
BESIDE_WINDOWS = 10
"""Beside means: within 0.3 s, with no talk in it."""


@dataclass(frozen=True, kw_only=True)
class Talk:
    """Windows of one stretch of sound: `sentences` where somebody talks, as [start, end) pairs.

    `pauses` are the moments of quiet inside them, at which no word is cut in two.
    """

    sentences: tuple[tuple[int, int], ...]
    pauses: tuple[tuple[int, int], ...]


def talk(heard: Heard) -> Talk:
    """Find the sentences of one stretch of sound; those that run into each other stay together."""
    runs = _words(heard)
    if not runs:
        return Talk(sentences=(), pauses=())
    pauses = [(one[1], other[0]) for one, other in pairwise(runs)]
    parting = [_ends_sentence(pauses, index, runs) for index in range(len(pauses))]
    starts = [runs[0][0], *(pause[1] for pause, ends in zip(pauses, parting, strict=True) if ends)]
    ends = [*(pause[0] for pause, ends in zip(pauses, parting, strict=True) if ends), runs[-1][1]]
    return Talk(
        sentences=tuple(zip(starts, ends, strict=True)),
        pauses=tuple(pause for pause, ends in zip(pauses, parting, strict=True) if not ends),
    )


def _runs(voice: Series) -> list[tuple[int, int]]:
    """Stretches of windows in which talk goes on, each with a window in which it surely is."""
    edges: list[int] = []
    for first in range(0, len(voice), BLOCK_WINDOWS):
        inside = (voice[first : first + BLOCK_WINDOWS] >= GOES_ON).astype(np.int8)
        changes = np.flatnonzero(np.diff(inside, prepend=len(edges) % 2))
        edges += (changes + first).tolist()
    if len(edges) % 2:
        edges.append(len(voice))
    pairs = zip(edges[::2], edges[1::2], strict=True)
    return [(a, b) for a, b in pairs if voice[a:b].max() >= BEGINS]


def _words(heard: Heard) -> list[tuple[int, int]]:
    """The runs of talk, each from its onset on, without those that are no talk."""
    sure = _runs(heard.voice)
    level = heard.level
    words = []
    for index, (start, end) in enumerate(sure):
        after = sure[index - 1][1] if index else 0
        before = sure[index + 1][0] if index + 1 < len(sure) else len(level)
        onset = start - _missed(level[max(after, start - BEYOND) : start][::-1], at_edge=after == 0)
        fading = end + _missed(level[end : min(before, end + BEYOND)], at_edge=before == len(level))
        if not _is_blip(heard, (start, end), (after, onset), (fading, before)):
            words.append((onset, fading))
    return words


def _missed(beyond: NDArray[np.float32], *, at_edge: bool) -> int:
    """How many windows beyond the end of a run still belong to it: those louder than the quiet.

    The network needs time to be sure, and lets go before an echo does. `beyond` are the levels
    up to the next run, or to the edge of the medium, beyond which there is nothing.
    """
    quiet = beyond[ONSET_WINDOWS:].astype(np.float64)
    if not len(quiet) and not at_edge:
        return 0
    floor = float(np.median(quiet)) if len(quiet) else QUIET_LEVEL
    loud = beyond[:ONSET_WINDOWS] > floor + ONSET_RISE
    return len(loud) if loud.all() else int(loud.argmin())


def _is_blip(heard: Heard, run: tuple[int, int], *gaps: tuple[int, int]) -> bool:
    """Whether a run, alone between gaps without talk, is no talk at all."""
    start, end = run
    if (end - start) * STEP >= BLIP_SECONDS or heard.voice[start:end].max() >= BLIP_PEAK:
        return False
    own = _loudness(heard, start, end)
    beside = [
        (max(a, b - BESIDE_WINDOWS), b) if b <= start else (a, min(b, a + BESIDE_WINDOWS))
        for a, b in gaps
        if b - a >= BESIDE_WINDOWS
    ]
    return any(own - _loudness(heard, a, b) < BLIP_DROP for a, b in beside)


def _loudness(heard: Heard, start: int, end: int) -> float:
    return float(np.median(heard.level[start:end].astype(np.float64)))


def _ends_sentence(pauses: list[tuple[int, int]], index: int, runs: list[tuple[int, int]]) -> bool:
    """Whether a pause is one between sentences, by its length and by how its speaker pauses."""
    start, end = pauses[index]
    length = _seconds(start, end)
    if length < SHORTEST_PAUSE or length >= SURE_PAUSE:
        return length >= SURE_PAUSE
    earlier = pauses[max(0, index - MOST_AROUND) : index][::-1]
    later = pauses[index + 1 : index + 1 + MOST_AROUND]
    longer = sum(
        length < _seconds(a, b) < SURE_PAUSE
        and _seconds(b, start) <= RHYTHM_SECONDS
        and _seconds(end, a) <= RHYTHM_SECONDS
        for a, b in earlier + later
    )
    if longer >= RHYTHM_RANK:
        return False
    before = next((b for a, b in earlier if _seconds(a, b) >= SHORTEST_PAUSE), runs[0][0])
    after = next((a for a, b in later if _seconds(a, b) >= SHORTEST_PAUSE), runs[-1][1])
    return min(_seconds(before, start), _seconds(end, after)) >= SHORTEST_PHRASE


def _seconds(start: int, end: int) -> float:
    return (end - start) * float(STEP)
