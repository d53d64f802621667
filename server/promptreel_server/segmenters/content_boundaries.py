"""Cuts by what is said and what is seen together: never a word in two."""

from fractions import Fraction

from promptreel_server.segmenters.boundary_candidates import heard_places, seen_places
from promptreel_server.segmenters.boundary_choice import Lengths, chosen
from promptreel_server.segmenters.even_windows import parts, windows
from promptreel_server.segmenters.segmenter import Limits
from promptreel_server.segmenters.shot_grouping import whole_shots
from promptreel_server.segmenters.signals import Signals, Span

SOUND_PULL = 0.01
"""Sound is cut wherever it pauses; the target length only decides between equals."""
PICTURE_PULL = 0.1
"""Video is gathered towards the target length: its cuts should mean something."""


def by_content(signals: Signals, whole: Span, limits: Limits) -> tuple[Span, ...]:
    """Cut a video or a sound by its signals; without speech by its shots, with neither evenly.

    A medium that is no longer than the shortest segment is one.
    """
    shots = signals.shots or ()
    if not signals.speech and len(shots) > 1:
        return whole_shots(shots, limits, signals.pauses or ())
    heard = heard_places(signals, whole, limits.spoken_shortest)
    places = seen_places(signals, whole, heard) if shots else heard
    if not places and not signals.speech:
        return windows(whole, limits.target)
    lengths = Lengths(
        shortest=limits.spoken_shortest,
        longest=limits.longest,
        target=limits.target,
        pull=PICTURE_PULL if shots else SOUND_PULL,
    )
    return tuple(
        part for span in chosen(whole, places, lengths) for part in _divided(span, limits.longest)
    )


def _divided(span: Span, longest: Fraction) -> tuple[Span, ...]:
    """A span in equal parts that are no longer than `longest`."""
    return parts(span, -(-span.duration // longest)) if span.duration > longest else (span,)
