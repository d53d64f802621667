"""Tells a moving camera from an edit: motion carries the old picture along, an edit replaces it."""

from itertools import pairwise

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from promptreel_server.segmenters.following import left_over, left_over_zoom
from promptreel_server.segmenters.footage import HEIGHT, LUMA_PIXELS, NOISE, WIDTH, Vectors, likeness

BLOCK_WIDTH, BLOCK_HEIGHT = 8, 9
"""Pixels of the blocks that are followed each by itself, so that zooms and rolls are, too."""
REACH_X, REACH_Y = 8, 4
"""How far a block is looked for, in pixels, from one glance to the next."""
FOLLOWED = 0.75
"""The part of the blocks that must be found again; the others may leave the picture."""
SHORT_CUT = 0.75
"""Followed, the way between two pictures is shorter than the straight line between them …"""
FOLLOWED_GAIN = 1.75
FAST = 0.2
STRIDES = 3
SMALL = 0.01
GAIN = 2.2
"""… and that much shorter than where every pixel stays in its place."""


def is_camera_motion(glances: Vectors) -> bool:
    """Whether a row of pictures (n, FRAME_BYTES) shows one scene that moves.

    Distances between pictures are angles. In a dissolve or a wipe the way from the first to the
    last is at least as long as the straight line between them; where blocks that merely move are
    followed, a pan or a zoom goes almost nowhere.
    """
    luma = glances[:, :LUMA_PIXELS].reshape(-1, HEIGHT, WIDTH)
    ends = _angle(_mismatch(luma[0], luma[-1]))
    followed = still = 0.0
    for one, other in pairwise(luma):
        still += _angle(_mismatch(one, other))
        followed += _angle(min(_followed(one, other), _followed(other, one)))
        if followed >= SHORT_CUT * ends:
            return False
    return followed * GAIN < still


def is_followed(looks: Vectors) -> bool:
    """Whether the way through a row of frames (n, FRAME_BYTES) is short once each is followed.

    A fast movement is followed from frame to frame; a zoom in STRIDES steps, in which it goes far
    enough to be told from noise.
    """
    if len(looks) <= STRIDES:
        return False
    few = looks[:: (len(looks) - 1) // STRIDES]
    if _shortened(_steps(few), left_over_zoom(few[:-1], few[1:])):
        return True
    still = _steps(looks)
    if still.max() < FAST:
        return False
    left = still.copy()
    changed = np.flatnonzero(still > SMALL)
    left[changed] = left_over(looks[changed], looks[changed + 1])
    return _shortened(still, left)


def _steps(looks: Vectors) -> Vectors:
    return 1 - np.diagonal(likeness(looks[:-1], looks[1:]))


def _shortened(still: Vectors, left: Vectors) -> bool:
    return bool(_arc(left).sum() * FOLLOWED_GAIN < _arc(still).sum())


def _arc(change: Vectors) -> Vectors:
    arc: Vectors = np.arccos(np.clip(1 - change, -1, 1))
    return arc


def _followed(one: Vectors, other: Vectors) -> float:
    """What is left of the difference once the blocks of one picture are found in another."""
    padded = np.pad(other, ((REACH_Y, REACH_Y), (REACH_X, REACH_X)), mode="edge")
    windows = sliding_window_view(padded, (BLOCK_HEIGHT, BLOCK_WIDTH))
    left = []
    for top in range(0, HEIGHT, BLOCK_HEIGHT):
        for start in range(0, WIDTH, BLOCK_WIDTH):
            block = one[top : top + BLOCK_HEIGHT, start : start + BLOCK_WIDTH]
            around = windows[top : top + 2 * REACH_Y + 1, start : start + 2 * REACH_X + 1]
            left.append(float(np.min(np.sum((around - block) ** 2, axis=(2, 3)))))
    found = sorted(left)[: int(len(left) * FOLLOWED)]
    energy = float(np.sum(one**2)) + NOISE
    return sum(found) / (energy * len(found) / len(left))


def _mismatch(one: Vectors, other: Vectors) -> float:
    """The energy of the difference, relative to the mean energy of both pictures."""
    energy = float(np.sum(one**2) + np.sum(other**2)) / 2
    return float(np.sum((one - other) ** 2)) / (energy + NOISE)


def _angle(mismatch: float) -> float:
    return float(np.arccos(np.clip(1 - mismatch / 2, -1, 1)))
