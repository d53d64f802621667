"""Tells a moving camera from an edit: motion carries the old picture along, an edit replaces it."""

import numpy as np
from numpy.typing import NDArray

from promptreel_server.segmenters.shots.camera_motion import left_by_pan, left_by_zoom
from promptreel_server.segmenters.shots.footage import Vectors, likeness

GAIN = 1.75
"""How much shorter the way through some pictures becomes where they are followed."""
ZOOM_STEPS = 4
"""Steps in which a zoom is followed: each goes far enough to be told from noise."""
FAST = 0.2
"""A change from one frame to the next as large as that is a fast movement, if it is any."""
SMALL = 0.01
"""A smaller one need not be followed."""


def is_camera_motion(looks: Vectors) -> bool:
    """Whether a row of frames (n, FRAME_BYTES) shows one scene through a camera that moves.

    Distances between pictures are angles, and the way is their sum. In a dissolve or a wipe it is
    as long when followed; in a zoom or a fast pan it goes almost nowhere. A slow pan is not
    followed: one picture that pushes another out does the same.
    """
    if len(looks) <= ZOOM_STEPS:
        return False
    changes = _changes(looks)
    few = looks[_evenly(changes)]
    if _is_shorter(left_by_zoom(few[:-1], few[1:]), _changes(few)):
        return True
    if changes.max() < FAST:
        return False
    left = changes.copy()
    followed = np.flatnonzero(changes > SMALL)
    left[followed] = left_by_pan(looks[followed], looks[followed + 1])
    return _is_shorter(left, changes)


def _changes(looks: Vectors) -> Vectors:
    """How far each frame is from the one before (0 alike, 1 nothing in common), (n - 1,)."""
    changes: Vectors = 1 - np.diagonal(likeness(looks[:-1], looks[1:]))
    return changes


def _evenly(changes: Vectors) -> NDArray[np.int64]:
    """The first frame, the last, and those between that part all changes into ZOOM_STEPS."""
    so_far = np.append(0, np.cumsum(changes))
    return np.unique(np.searchsorted(so_far, np.linspace(0, so_far[-1], ZOOM_STEPS + 1)))


def _is_shorter(left: Vectors, changes: Vectors) -> bool:
    ways = [np.arccos(np.clip(1 - steps, -1, 1)).sum() for steps in (left, changes)]
    return bool(ways[0] * GAIN < ways[1])
