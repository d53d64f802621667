"""Even cutting: windows of one length, and stretches divided into equal parts."""

from fractions import Fraction
from itertools import pairwise

from promptreel_server.segmenters.signals import Span

SMALLEST_REST = Fraction(1, 10)
"""A last window shorter than this part of a whole one joins its neighbour."""


def windows(whole: Span, length: Fraction) -> tuple[Span, ...]:
    """Cut `[k·length, (k+1)·length)` from the start of `whole`; the last one is shorter.

    A last one under a tenth of `length` joins its neighbour. An empty `whole` is one span.
    """
    if length <= 0:
        raise ValueError("a window needs a positive length")
    count, rest = divmod(whole.duration, length)
    if rest >= length * SMALLEST_REST or count == 0:
        count += 1
    edges = [whole.start + index * length for index in range(int(count))]
    return joined([*edges, whole.end])


def parts(whole: Span, count: int) -> tuple[Span, ...]:
    """Divide `whole` into `count` equal parts."""
    step = whole.duration / count
    return joined([*(whole.start + index * step for index in range(count)), whole.end])


def joined(edges: list[Fraction]) -> tuple[Span, ...]:
    """The spans between neighbouring edges, which must ascend."""
    return tuple(Span(start=a, end=b) for a, b in pairwise(edges))
