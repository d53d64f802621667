"""How much of a change is left once the movement of the camera is followed from frame to frame.

Masked normalised cross-correlation (Padfield, *Masked object registration in the Fourier domain*,
2012): every shift of one picture against another is scored at once, by what both show.
"""

from collections.abc import Callable
from functools import partial

import numpy as np
from numpy.typing import NDArray

from promptreel_server.segmenters.shots.footage import (
    CHROMA_WEIGHT,
    HEIGHT,
    LUMA_PIXELS,
    NOISE,
    WIDTH,
    Vectors,
)

REACH_X, REACH_Y = 20, 5
"""How far a picture may move from one frame to the next, in pixels: whip pans go sideways."""
ZOOM_REACH_X, ZOOM_REACH_Y = 3, 1
"""How far off the middle a zoom may aim, in pixels."""
ZOOMS = (1.06, 1.12, 1.25, 1.4, 1.6, 1.85)
"""How much larger a picture may become, or have been, from one frame to the next."""
BLURS = (5, 9, 15)
"""How many pixels wide a fast pan may smear a picture that was sharp a frame before, or after."""
PADDED = (24, 54)
"""The pictures and the reach together, so that no shift wraps around."""
BATCH = 32
"""Pairs of pictures that are compared at a time."""

FEW_SHIFTS = 50
"""So many are cheaper to try one by one."""

Shifts = NDArray[np.int64]
"""Pixels, downwards or to the right."""
Planes = NDArray[np.float32]
"""Pictures (n, 3, HEIGHT, WIDTH): luma without its mean, both planes of chroma."""


def left_by_pan(looks: Vectors, others: Vectors, *, smeared: bool = False) -> Vectors:
    """What a pan leaves of the change (0..1) from each of `looks` (n, d) to that in `others`.

    With `smeared` the pan may also begin or stop between the two, so fast that only one is sharp.
    """
    return _in_batches(partial(_unpanned, smeared=smeared), looks, others)


def left_by_zoom(looks: Vectors, others: Vectors) -> Vectors:
    """The same of a zoom."""
    return _in_batches(_unzoomed, looks, others)


def _in_batches(
    left: Callable[[Planes, Planes], Vectors], looks: Vectors, others: Vectors
) -> Vectors:
    """However much moves, memory must not grow with it."""
    batches = [slice(start, start + BATCH) for start in range(0, len(looks), BATCH)]
    parts = [left(planes(looks[batch]), planes(others[batch])) for batch in batches]
    return np.concatenate([np.zeros(0, np.float32), *parts])


def _unpanned(one: Planes, other: Planes, *, smeared: bool) -> Vectors:
    left = 1 - _best_match(one, other, REACH_Y, REACH_X)
    for width in BLURS if smeared else ():
        for sharp, blurred in ((one, other), (other, one)):
            match = _best_match(_smeared(sharp, width), blurred, REACH_Y, REACH_X)
            left = np.minimum(left, 1 - match)
    return left


def _unzoomed(one: Planes, other: Planes) -> Vectors:
    zoomed, towards = [], []
    for down, across in _ZOOMING:
        zoomed += [down @ one @ across, down @ other @ across]
        towards += [other, one]
    matches = _best_match(
        np.concatenate(zoomed).astype(np.float32),
        np.concatenate(towards),
        ZOOM_REACH_Y,
        ZOOM_REACH_X,
    )
    left: Vectors = 1 - matches.reshape(len(zoomed), -1).max(axis=0)
    return left


def planes(looks: Vectors) -> Planes:
    """Looks (n, FRAME_BYTES) as pictures, chroma at the size of luma."""
    luma = looks[:, :LUMA_PIXELS].reshape(-1, 1, HEIGHT, WIDTH)
    chroma = looks[:, LUMA_PIXELS:].reshape(-1, 2, HEIGHT // 2, WIDTH // 2) / CHROMA_WEIGHT
    return np.concatenate([luma, chroma.repeat(2, axis=2).repeat(2, axis=3)], axis=1)


def _best_match(one: Planes, other: Planes, reach_y: int, reach_x: int) -> Vectors:
    """How alike two pictures are where they overlap, shifted as suits them best: shape (n,)."""
    down, right = np.arange(-reach_y, reach_y + 1), np.arange(-reach_x, reach_x + 1)
    shifts = len(down) * len(right)
    products = (_spectral if shifts > FEW_SHIFTS else _direct)(one, other, down, right)
    energies = _overlapping(one, -down, -right) * _overlapping(other, down, right)
    shares = (1 - np.abs(down) / HEIGHT)[:, None] * (1 - np.abs(right) / WIDTH)
    noise = NOISE * shares
    matches = (products + noise) / (np.sqrt(np.maximum(energies, 0)) + noise)
    best: Vectors = matches.max(axis=(1, 2)).astype(np.float32)
    return best


def _spectral(one: Planes, other: Planes, down: Shifts, right: Shifts) -> NDArray[np.floating]:
    """The inner products of pictures at each shift, (n, len(down), len(right)), by transforms."""
    spectra = np.conj(np.fft.rfft2(one, PADDED)) * np.fft.rfft2(other, PADDED)
    products: NDArray[np.floating] = np.fft.irfft2(spectra.sum(axis=1), PADDED)
    return products[:, down % PADDED[0]][:, :, right % PADDED[1]]


def _direct(one: Planes, other: Planes, down: Shifts, right: Shifts) -> NDArray[np.floating]:
    """The same, one shift after the other: cheaper for a few."""
    products = np.empty((len(one), len(down), len(right)), np.float32)
    for row, y in enumerate(map(int, down)):
        for column, x in enumerate(map(int, right)):
            still = one[..., max(0, -y) : HEIGHT - max(0, y), max(0, -x) : WIDTH - max(0, x)]
            moved = other[..., max(0, y) : HEIGHT - max(0, -y), max(0, x) : WIDTH - max(0, -x)]
            products[:, row, column] = np.einsum("ijkl,ijkl->i", still, moved)
    return products


def _overlapping(pictures: Planes, down: Shifts, right: Shifts) -> NDArray[np.float64]:
    """The energy of what is left of pictures moved out of view, (n, len(down), len(right))."""
    sums = np.zeros((len(pictures), HEIGHT + 1, WIDTH + 1))
    sums[:, 1:, 1:] = np.square(pictures).sum(axis=1).cumsum(axis=1).cumsum(axis=2)
    top, bottom = np.maximum(down, 0)[:, None], (HEIGHT + np.minimum(down, 0))[:, None]
    start, end = np.maximum(right, 0), WIDTH + np.minimum(right, 0)
    kept: NDArray[np.float64] = (
        sums[:, bottom, end] - sums[:, top, end] - sums[:, bottom, start] + sums[:, top, start]
    )
    return kept


def _smeared(pictures: Planes, width: int) -> Planes:
    """Pictures as a pan of so many pixels blurs them."""
    half = width // 2
    padded = np.pad(pictures, ((0, 0), (0, 0), (0, 0), (half + 1, half)), mode="edge")
    sums = padded.cumsum(axis=3)
    smeared: Planes = (sums[..., width:] - sums[..., :-width]) / np.float32(width)
    return smeared


def _zooming(size: int, zoom: float) -> NDArray[np.float32]:
    """The matrix that turns a row of `size` pixels into its middle, so many times larger."""
    wanted = (np.arange(size) + 0.5 - size / 2) / zoom + size / 2 - 0.5
    shares = 1 - np.abs(wanted[:, None] - np.arange(size))
    matrix: NDArray[np.float32] = np.maximum(0, shares).astype(np.float32)
    return matrix


_ZOOMING = [(_zooming(HEIGHT, zoom), _zooming(WIDTH, zoom).T) for zoom in ZOOMS]
