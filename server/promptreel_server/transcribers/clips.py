"""Which stretches of a recording are transcribed, and where a long one may be parted."""

from collections.abc import Sequence

Stretch = tuple[float, float]
"""From, to, in seconds."""

LONGEST_CLIP = 28.0
"""The model hears 30 s at a time; what is longer would be cut off."""
WIDEST_GAP = 3.0
"""Speech parted by less is heard as one, pause included: the clip keeps the clock exact."""
LEAST_SINGING = 4.0
"""Shorter calls of singing within music are mistakes more often than not."""
_SUNG_GAP = 2.0


def clips(speech: Sequence[Stretch], singing: Sequence[Stretch]) -> list[Stretch]:
    """Gather speech, and singing that was not taken for speech, into clips of at most 28 s.

    Voice activity detection passes over singing; the longer stretches of it are heard as well.
    """
    sung = [
        (start, end)
        for joined in _joined(singing, _SUNG_GAP)
        if _length(singing, joined) >= LEAST_SINGING
        for start, end in _without(joined, speech)
    ]
    pieces = [piece for voice in sorted([*speech, *sung]) for piece in _parted(voice)]
    gathered: list[Stretch] = []
    for start, end in pieces:
        if gathered:
            first, last = gathered[-1]
            if start - last <= WIDEST_GAP and end - first <= LONGEST_CLIP:
                gathered[-1] = (first, max(last, end))
                continue
        gathered.append((start, end))
    return gathered


def resting_place(speech: Sequence[Stretch], length: float, earliest: float) -> float:
    """Say where the first `length` seconds can be parted without cutting a word.

    The last pause after `earliest` (failing that, where voice activity detection split a long
    stretch), or the whole length where nobody pauses, or nobody speaks at the end.
    """
    edges = [0.0, *(edge for stretch in speech for edge in stretch), length]
    *pauses, (last, _) = [(edges[i], edges[i + 1]) for i in range(0, len(edges), 2)]
    if length - last > WIDEST_GAP:
        return length
    late = [(end - start > 0, (start + end) / 2) for start, end in pauses]
    return max((found for found in late if found[1] >= earliest), default=(False, length))[1]


def _joined(stretches: Sequence[Stretch], gap: float) -> list[Stretch]:
    found: list[Stretch] = []
    for start, end in sorted(stretches):
        if found and start - found[-1][1] <= gap:
            found[-1] = (found[-1][0], max(found[-1][1], end))
        else:
            found.append((start, end))
    return found


def _length(stretches: Sequence[Stretch], within: Stretch) -> float:
    return sum(end - start for start, end in stretches if within[0] <= start < within[1])


def _without(stretch: Stretch, taken: Sequence[Stretch]) -> list[Stretch]:
    left, (position, end) = [], stretch
    for start, stop in sorted(taken):
        if stop <= position or start >= end:
            continue
        if start > position:
            left.append((position, start))
        position = max(position, stop)
    if position < end:
        left.append((position, end))
    return [(start, stop) for start, stop in left if stop - start >= 1.0]


def _parted(stretch: Stretch) -> list[Stretch]:
    start, end = stretch
    count = max(1, -int(-(end - start) // LONGEST_CLIP))
    step = (end - start) / count
    return [(start + n * step, start + (n + 1) * step) for n in range(count)]
