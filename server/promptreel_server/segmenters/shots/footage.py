"""Frames as vectors: what two pictures have in common, whatever the light."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

WIDTH, HEIGHT = 32, 18
"""The size, in pixels, to which every frame is scaled down, whatever its shape was."""
LUMA_PIXELS = WIDTH * HEIGHT
FRAME_BYTES = LUMA_PIXELS * 3 // 2
"""One frame in planar 4:2:0: luma, then both chroma planes at half the size."""
CHROMA_WEIGHT = 2.0
"""A chroma pixel stands for four pixels of luma; so this gives it the same say."""
NOISE = 25.0
"""The energy of noise: five grey levels. Pictures with less than that have nothing to compare."""
BLANK_VARIANCE = 25.0
"""A frame whose pixels vary less than this is blank: black, white or any one colour."""

Vectors = NDArray[np.float32]
Numbers = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Footage:
    """Consecutive frames, one row each.

    `ticks` are presentation times in the stream's time base, `seconds` the same in seconds.
    `looks` are the frames as vectors of FRAME_BYTES numbers: luma without its mean, chroma as the
    distance from grey, so that a change of exposure only scales them. `change` is how far a frame
    is from the one before (0 alike, 1 nothing in common). `light` is the mean luma, 0..255; `blank`
    frames show one colour.
    """

    ticks: NDArray[np.int64]
    seconds: Numbers
    looks: Vectors
    energy: Vectors
    change: Vectors
    light: Vectors
    blank: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.ticks)

    def part(self, start: int, end: int) -> "Footage":
        """The frames `[start, end)`, as views."""
        return self._rows(slice(start, end))

    def copied(self, start: int, end: int) -> "Footage":
        """The frames `[start, end)` by themselves: the others can be let go of."""
        return self._rows(np.arange(start, end))

    def where(self, wanted: NDArray[np.bool_]) -> "Footage":
        """The frames at which `wanted` is true; their `change` still tells of the frame before."""
        return self._rows(wanted)

    def _rows(self, rows: slice | NDArray[np.bool_] | NDArray[np.int64]) -> "Footage":
        return Footage(
            ticks=self.ticks[rows],
            seconds=self.seconds[rows],
            looks=self.looks[rows],
            energy=self.energy[rows],
            change=self.change[rows],
            light=self.light[rows],
            blank=self.blank[rows],
        )


def joined(parts: Sequence[Footage]) -> Footage:
    """Consecutive footage as one; the only part of one is that part."""
    if len(parts) == 1:
        return parts[0]
    return Footage(
        ticks=np.concatenate([part.ticks for part in parts]),
        seconds=np.concatenate([part.seconds for part in parts]),
        looks=np.concatenate([part.looks for part in parts]),
        energy=np.concatenate([part.energy for part in parts]),
        change=np.concatenate([part.change for part in parts]),
        light=np.concatenate([part.light for part in parts]),
        blank=np.concatenate([part.blank for part in parts]),
    )


def footage(
    frames: NDArray[np.uint8],
    ticks: NDArray[np.int64],
    seconds: Numbers,
    before: Vectors | None,
) -> Footage:
    """Describe raw frames of shape (n, FRAME_BYTES); `before` is the look of the frame before."""
    looks = frames.astype(np.float32)
    luma, chroma = looks[:, :LUMA_PIXELS], looks[:, LUMA_PIXELS:]
    light = luma.mean(axis=1)
    luma -= light[:, None]
    chroma -= 128
    blank = _variance(luma, chroma) < BLANK_VARIANCE
    chroma *= CHROMA_WEIGHT
    looks /= np.sqrt(LUMA_PIXELS)
    energy = np.einsum("ij,ij->i", looks, looks)
    change = np.zeros(len(looks), np.float32)
    change[1:] = 1 - alike(np.einsum("ij,ij->i", looks[1:], looks[:-1]), energy[1:], energy[:-1])
    if before is not None:
        change[0] = 1 - likeness(looks[:1], before[None])[0, 0]
    return Footage(
        ticks=ticks,
        seconds=seconds,
        looks=looks,
        energy=energy,
        change=change,
        light=light,
        blank=blank,
    )


def alike(product: Vectors, energy: Vectors, other: Vectors) -> Vectors:
    """How alike two looks are, from their inner product and energies: 1 the same, 0 nothing.

    The cosine of the angle between them, so that a picture and the same one in other light are
    alike; noise is added to both sides so that what is too weak to be compared counts as alike.
    """
    result: Vectors = (product + NOISE) / (np.sqrt(energy * other) + NOISE)
    return result


def likeness(looks: Vectors, others: Vectors) -> Vectors:
    """How alike each of `looks` (n, d) is to each of `others` (m, d): shape (n, m)."""
    energy = np.einsum("ij,ij->i", looks, looks)[:, None]
    other = np.einsum("ij,ij->i", others, others)[None]
    return alike(looks @ others.T, energy, other)


def _variance(luma: Vectors, chroma: Vectors) -> Vectors:
    """The variance of each frame over its pixels, luma and chroma together."""
    spread = np.einsum("ij,ij->i", luma, luma) / LUMA_PIXELS
    planes = chroma.reshape(len(chroma), 2, -1)
    mean = planes.mean(axis=2)
    squares = np.einsum("ijk,ijk->ij", planes, planes) / planes.shape[2]
    result: Vectors = spread + (squares - mean**2).sum(axis=1)
    return result
