"""What is laid over a picture, or changes only its light: neither is another shot."""

import numpy as np
from numpy.typing import NDArray

from promptreel_server.segmenters.shots.camera_motion import planes
from promptreel_server.segmenters.shots.footage import HEIGHT, LUMA_PIXELS, WIDTH, Footage, Vectors

TOUCHED = 6.0
"""Grey levels by which a pixel must change, beyond three times its usual change."""
LARGEST = 0.6
"""What covers as much of the picture, or more, replaces it."""
FULL, ALMOST_ALL = 0.85, 0.65
"""A box is filled so far, and holds as much of all that is touched …"""
FILLED, EDGED, STRAY = 0.6, 0.75, 0.03
"""… or, where the new picture has the colours of the old one here and there, it is filled so far,
seen along each of its sides, and touches no more than that of what is around it."""
LIVELIER = 1.5
"""What is around it may also be so much livelier than in the frames about, and no more."""
SPREAD = 4.0
"""The variance of noise: two grey levels."""
UNLIT = 0.15
"""The part of a picture that a tone curve leaves unexplained where only the light changed."""

Mask = NDArray[np.bool_]


def is_overlaid(footage: Footage, index: int, around: int) -> bool:
    """Whether all that changed at frame `index` is a box, or all that stayed is one, to the pixel.

    `around` frames on each side tell how much each pixel changes usually.
    """
    steps = _steps(footage.part(max(0, index - around), index + 1 + around))
    here = min(index, around) - 1
    return _is_box(steps[here], np.delete(steps, here, axis=0))


def is_slowly_overlaid(footage: Footage) -> bool:
    """The same of all that changed from the first of some frames to the last."""
    ends = np.zeros(len(footage), np.bool_)
    ends[[0, -1]] = True
    (step,) = _steps(footage.where(ends))
    return _is_box(step, np.zeros((0, LUMA_PIXELS)))


def _is_box(step: NDArray[np.floating], others: NDArray[np.floating]) -> bool:
    """Whether a change of each pixel fills a box, given its `others` (n, LUMA_PIXELS)."""
    usual = np.median(others, axis=0) if len(others) else np.zeros(LUMA_PIXELS)
    touched = (step > TOUCHED + 3 * usual).reshape(HEIGHT, WIDTH)
    if not touched.any():
        return False
    if touched.mean() < LARGEST and (
        _boxed(touched) or (_boxed(~touched) and not _reaches_all_edges(~touched))
    ):
        return True
    box = _box(touched)
    outside = np.ones_like(touched)
    outside[box] = False
    if outside.mean() <= 1 - LARGEST or touched[box].mean() < FILLED or not _edged(touched, box):
        return False
    if touched[outside].mean() <= STRAY:
        return True
    around = outside.ravel()
    return bool(step[around].mean() <= LIVELIER * others[:, around].mean(axis=1).max(initial=0))


def is_relit(before: Vectors, after: Vectors) -> bool:
    """Whether one look is the other through a tone curve: exposure, gamma, contrast.

    The curve is a polynomial of third degree over the pixels' luma, fitted by least squares.
    """
    old, new = before[:LUMA_PIXELS], after[:LUMA_PIXELS]
    old, new = old / (old.std() + 1e-6), new * np.sqrt(LUMA_PIXELS)
    powers = np.stack([old**0, old, old**2, old**3], axis=1)
    fitted = powers @ np.linalg.lstsq(powers, new, rcond=None)[0]
    return bool((new - fitted).var() < UNLIT * (new.var() + SPREAD))


def _steps(footage: Footage) -> Vectors:
    """By how many levels of light or colour each pixel changes from frame to frame, (n - 1, …)."""
    levels = planes(footage.looks) * np.float32(np.sqrt(LUMA_PIXELS))
    levels[:, 0] += footage.light[:, None, None]
    steps: Vectors = np.abs(np.diff(levels, axis=0)).max(axis=1).reshape(-1, LUMA_PIXELS)
    return steps


def _box(mask: Mask) -> tuple[slice, slice]:
    """The rows in which most of a mask is, and the columns in which most of these is."""
    rows = _span(mask.sum(axis=1))
    columns = _span(mask[rows].sum(axis=0))
    return _span(mask[:, columns].sum(axis=1)), columns


def _span(along: NDArray[np.int64]) -> slice:
    crossed = np.flatnonzero(along >= along.max() / 2)
    return slice(int(crossed[0]), int(crossed[-1]) + 1)


def _boxed(mask: Mask) -> bool:
    """Whether a mask is a filled box and little else."""
    inside = mask[_box(mask)]
    return bool(inside.mean() > FULL and inside.sum() > ALMOST_ALL * mask.sum())


def _edged(mask: Mask, box: tuple[slice, slice]) -> bool:
    """Whether each side of a box within the picture is seen, in one of two rows of pixels."""
    rows, columns = box
    inside = mask[box]
    sides = [
        (inside[:2].any(axis=0), rows.start > 0),
        (inside[-2:].any(axis=0), rows.stop < HEIGHT),
        (inside[:, :2].any(axis=1), columns.start > 0),
        (inside[:, -2:].any(axis=1), columns.stop < WIDTH),
    ]
    return all(side.mean() >= EDGED for side, within in sides if within)


def _reaches_all_edges(mask: Mask) -> bool:
    edges = (mask[0], mask[-1], mask[:, 0], mask[:, -1])
    return all(edge.mean() > 1 - ALMOST_ALL for edge in edges)
