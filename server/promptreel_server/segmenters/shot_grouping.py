"""Makes segments of whole shots: no snippets, nothing over-long."""

from bisect import bisect_left
from collections.abc import Sequence
from fractions import Fraction

from promptreel_server.segmenters.even_windows import joined
from promptreel_server.segmenters.segmenter import Limits
from promptreel_server.segmenters.signals import Span

LEEWAY = Fraction(1, 5)
"""How far from an even division a quiet place may be, as a part of the even length."""


def whole_shots(
    shots: Sequence[Span], limits: Limits, quiet: Sequence[Span] = ()
) -> tuple[Span, ...]:
    """Gather shots into segments from `limits.shortest` to `limits.longest` seconds.

    Neighbouring shots that are too short become one segment; one alone joins its shorter
    neighbour. A shot that is too long is divided evenly, in `quiet` stretches where there are any.
    """
    gathered = _joined_to_neighbours(_runs(shots, limits), limits)
    return tuple(part for segment in gathered for part in _divided(segment, shots, limits, quiet))


def _runs(shots: Sequence[Span], limits: Limits) -> list[Span]:
    """Every long shot by itself, and neighbouring short shots as one, up to the longest length."""
    runs: list[Span] = []
    open_run = False
    for shot in shots:
        short = shot.duration < limits.shortest
        if short and open_run and shot.end - runs[-1].start <= limits.longest:
            runs[-1] = Span(start=runs[-1].start, end=shot.end)
        else:
            runs.append(shot)
        open_run = short
    return runs


def _joined_to_neighbours(segments: list[Span], limits: Limits) -> list[Span]:
    """Join what is still too short to its shorter neighbour."""
    done: list[Span] = []
    waiting = list(reversed(segments))
    while waiting:
        segment = waiting.pop()
        if segment.duration >= limits.shortest or not (done or waiting):
            done.append(segment)
        elif waiting and (not done or waiting[-1].duration <= done[-1].duration):
            waiting.append(Span(start=segment.start, end=waiting.pop().end))
        else:
            done[-1] = Span(start=done[-1].start, end=segment.end)
    return done


def _divided(
    segment: Span, shots: Sequence[Span], limits: Limits, quiet: Sequence[Span]
) -> list[Span]:
    """Equal parts of what is too long; each edge goes to a shot's begin or a quiet place nearby."""
    count = -(-segment.duration // limits.longest)
    if count <= 1:
        return [segment]
    step = segment.duration / count
    room = min(step * LEEWAY, (limits.longest - step) / 2)
    begins = [shot.start for shot in shots]
    middles = [(span.start + span.end) / 2 for span in quiet]
    edges = [segment.start]
    for index in range(1, int(count)):
        even = segment.start + index * step
        near = _near(even, room, begins) or _near(even, room, middles)
        edges.append(min((abs(at - even), at) for at in near)[1] if near else even)
    return list(joined([*edges, segment.end]))


def _near(at: Fraction, room: Fraction, moments: Sequence[Fraction]) -> Sequence[Fraction]:
    return moments[bisect_left(moments, at - room) : bisect_left(moments, at + room)]
