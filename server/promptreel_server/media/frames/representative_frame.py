"""Which frame of a stretch shows best what there is to see."""

from collections.abc import Sequence

import numpy as np

from promptreel_server.media.frames.stills import Still

EDGE = 0.08
"""The part of a stretch at either end where a transition may still be going on."""
BLANK_CONTRAST = 6.0
"""Standard deviation of luma (0-255) below which a frame shows nothing."""
_LUMA = np.array([0.299, 0.587, 0.114], np.float32)


def choose_stills(found: Sequence[Still], start: float, end: float, count: int) -> list[Still]:
    """Take the best frame of each of `count` even parts of `[start, end)`, in order of time.

    Blank ones are left out unless all are. `found` must not be empty.
    """
    worths = [worth(still, start, end) for still in found]
    part = (end - start) / count
    chosen: list[int] = []
    for index in range(count):
        since, until = start + index * part, start + (index + 1) * part
        here = [i for i, still in enumerate(found) if since <= still.at < until]
        if here:
            chosen.append(max(here, key=lambda i: worths[i]))
    best = max(range(len(found)), key=lambda i: worths[i])
    return [found[i] for i in chosen if worths[i] > 0] or [found[best]]


def worth(still: Still, start: float, end: float) -> float:
    """How much a frame shows: its mean gradient; 0 where blank, halved near the stretch's ends.

    Blur, of motion or of a dissolve, lowers the gradient by itself.
    """
    if is_blank(still):
        return 0.0
    luma = still.pixels.astype(np.float32) @ _LUMA
    gradient = sum(
        float(np.abs(np.diff(luma, axis=axis)).mean()) for axis in (0, 1) if luma.shape[axis] > 1
    )
    place = (still.at - start) / (end - start) if end > start else 0.5
    return gradient if EDGE <= place <= 1 - EDGE else gradient / 2


def is_blank(still: Still) -> bool:
    """Whether a frame shows nothing: all of about one brightness."""
    return bool((still.pixels.astype(np.float32) @ _LUMA).std() < BLANK_CONTRAST)
