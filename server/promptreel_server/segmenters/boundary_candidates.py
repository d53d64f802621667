"""Where a medium may be cut by what is said and seen, and what each cut is worth."""

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise

from promptreel_server.segmenters.boundary_choice import Place
from promptreel_server.segmenters.signals import Kind, Signals, Span

WHOLE = 1.0
"""What the edge between two kinds of sound is worth; a silence adds its length to its worth."""
SILENCE, MOST_SILENCE = 0.4, 1.2
"""What a silence is worth to begin with, and at most."""
LONG_SILENCE_WORTH = 1.5
"""What a long silence gains by being a segment of its own, at each of its ends."""
INSIDE = -1.0
"""A moment of quiet within a sentence is worth less than no cut: only for want of another …"""
INSIDE_RANGE = 0.4
"""… and the longest rather than a shorter one."""
MARGINS = (Fraction(1, 10), Fraction(1, 2), Fraction(1))
"""How far from a word a cut into a silence may be, the nearest first."""
MARGIN_COST = 0.05
EDGE_MARGIN = Fraction(1, 20)
"""How far from a word a cut at its edge to music or noise is."""
SHORT_NOISE = Fraction(3, 2)
"""A noise between two sentences that is shorter is a pause, cut anywhere in it."""
SNAP = Fraction(1, 4)
"""A shot that begins this close to a pause draws the cut to it."""
SEEN = 0.5
"""What it adds to a cut that a new shot begins there, too."""
SEEN_ONLY = 0.6
"""What a new shot is worth while nobody talks."""


@dataclass(frozen=True, kw_only=True)
class Stretch:
    """A while in which one kind of sound is heard."""

    kind: Kind
    span: Span


def stretches(signals: Signals, whole: Span) -> list[Stretch]:
    """Part `whole` by what is heard: without gap or overlap, neighbours of different kind or not.

    A moment between two stretches that is no kind of its own is noise.
    """
    named = [
        Stretch(kind=kind, span=span)
        for kind, spans in (
            (Kind.SPEECH, signals.speech),
            (Kind.MUSIC, signals.music),
            (Kind.SILENCE, signals.silence),
        )
        for span in spans or ()
    ]
    parted: list[Stretch] = []
    at = whole.start
    for one in sorted(named, key=lambda stretch: stretch.span.start):
        start, end = max(one.span.start, at), min(one.span.end, whole.end)
        if end <= start:
            continue
        if start > at:
            parted.append(Stretch(kind=Kind.NOISE, span=Span(start=at, end=start)))
        parted.append(Stretch(kind=one.kind, span=Span(start=start, end=end)))
        at = end
    if at < whole.end:
        parted.append(Stretch(kind=Kind.NOISE, span=Span(start=at, end=whole.end)))
    return parted


def heard_places(signals: Signals, whole: Span, long_silence: Fraction) -> list[Place]:
    """Where to cut by sound: in pauses, at edges between kinds, about silences that are long."""
    parted = stretches(signals, whole)
    found = [
        _edge(before, after)
        for before, after in pairwise(parted)
        if Kind.SILENCE not in (before.kind, after.kind)
    ]
    for index, one in enumerate(parted):
        first, last = index == 0, index == len(parted) - 1
        if one.kind is Kind.SILENCE:
            found += _in_silence(one.span, long_silence, first=first, last=last)
        elif one.kind is Kind.NOISE and one.span.duration < SHORT_NOISE and not (first or last):
            found.append(Place(at=_middle(one.span), worth=WHOLE - MARGIN_COST))
    longest = max((pause.duration for pause in signals.pauses or ()), default=Fraction(1))
    found += [
        Place(at=_middle(pause), worth=INSIDE + INSIDE_RANGE * float(pause.duration / longest))
        for pause in signals.pauses or ()
    ]
    return found


def seen_places(signals: Signals, whole: Span, heard: Sequence[Place]) -> list[Place]:
    """Draw places to the shots that begin near them, and add the shots that begin in between.

    No shot that begins while somebody says something is a place.
    """
    begins = [shot.start for shot in (signals.shots or ())[1:]]
    spoken = [(span.start, span.end) for span in signals.speech or ()]
    pauses = [(span.start, span.end) for span in signals.pauses or ()]
    unspoken = [at for at in begins if not _within(at, spoken)]
    quiet = [at for at in begins if not _within(at, spoken) or _within(at, pauses)]
    alone = [Place(at=at, worth=SEEN_ONLY) for at in unspoken if whole.start < at < whole.end]
    return [*(_drawn(place, quiet) for place in heard), *alone]


def _edge(before: Stretch, after: Stretch) -> Place:
    """Where one kind of sound turns into another: on the side on which nobody talks."""
    at = after.span.start
    if before.kind is Kind.SPEECH and after.span.duration > 2 * EDGE_MARGIN:
        at += EDGE_MARGIN
    elif after.kind is Kind.SPEECH and before.span.duration > 2 * EDGE_MARGIN:
        at -= EDGE_MARGIN
    return Place(at=at, worth=WHOLE)


def _in_silence(span: Span, long_silence: Fraction, *, first: bool, last: bool) -> list[Place]:
    """About a long silence, at both of its ends; in a short one in its middle, or not far off."""
    margins = [margin for margin in MARGINS if margin < span.duration / 2]
    short = span.duration < long_silence
    if short and (first or last):
        return []
    worth = LONG_SILENCE_WORTH
    found = []
    if short:
        worth = min(MOST_SILENCE, SILENCE + float(span.duration))
        found.append(Place(at=_middle(span), worth=worth))
        worth -= MARGIN_COST
    for rank, margin in enumerate(margins):
        if not first:
            found.append(Place(at=span.start + margin, worth=worth - MARGIN_COST * rank))
        if not last:
            found.append(Place(at=span.end - margin, worth=worth - MARGIN_COST * rank))
    return found


def _drawn(place: Place, begins: Sequence[Fraction]) -> Place:
    after = bisect_left(begins, place.at)
    near = [at for at in begins[max(0, after - 1) : after + 1] if abs(at - place.at) <= SNAP]
    if not near:
        return place
    return Place(at=min(near, key=lambda at: abs(at - place.at)), worth=place.worth + SEEN)


def _within(at: Fraction, spans: Sequence[tuple[Fraction, Fraction]]) -> bool:
    """Whether a moment lies inside one of some spans, which follow each other."""
    index = bisect_left(spans, (at, at)) - 1
    return index >= 0 and spans[index][0] < at < spans[index][1]


def _middle(span: Span) -> Fraction:
    return (span.start + span.end) / 2
