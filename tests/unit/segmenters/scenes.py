"""Footage drawn with numpy, small as the segmenters see it: scenes, and edits between them."""

from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from promptreel_server.segmenters.shots.footage import HEIGHT, WIDTH
from promptreel_server.segmenters.shots.shots import ShotFinder

RATE = 25
PLANES = (
    (0, HEIGHT, WIDTH),
    (HEIGHT * WIDTH, HEIGHT // 2, WIDTH // 2),
    (HEIGHT * WIDTH * 5 // 4, HEIGHT // 2, WIDTH // 2),
)
"""Luma and both planes of chroma: where each begins in a frame, its height and width."""
Frames = NDArray[np.float64]
"""Frames (n, FRAME_BYTES) of planar 4:2:0, 0..255."""


def scene(seed: int, seconds: float = 2.0, *, drift: float = 0.0) -> Frames:
    """A picture of soft blobs that stands still, or drifts by some pixels a frame, with noise."""
    chance = np.random.default_rng(seed)
    count = round(seconds * RATE)
    whole = _blobs(chance, WIDTH + round(drift * count) + 1, HEIGHT, 40, 215)
    chroma = [_blobs(chance, WIDTH // 2, HEIGHT // 2, 90, 166) for _ in range(2)]
    frames = []
    for index in range(count):
        left = round(index * drift)
        luma = whole[:, left : left + WIDTH] + chance.normal(0, 1, (HEIGHT, WIDTH))
        frames.append(np.concatenate([luma.ravel(), chroma[0].ravel(), chroma[1].ravel()]))
    return np.array(frames)


class Place:
    """A picture of soft blobs larger than the camera shows at once, `across` frames wide."""

    def __init__(self, seed: int, across: float = 1.0) -> None:
        """Draw it, from the same seed always the same."""
        self._chance = np.random.default_rng(seed)
        limits = ((40, 215), (90, 166), (90, 166))
        self._planes = [_blobs(self._chance, round(WIDTH * across), HEIGHT, *two) for two in limits]

    def seen(self, *views: tuple[float, float]) -> Frames:
        """Show it through a camera: a frame for each (middle in frame widths, zoom)."""
        frames = []
        for middle, zoom in views:
            across = middle * WIDTH - 0.5 + (np.arange(WIDTH) + 0.5 - WIDTH / 2) / zoom
            down = (HEIGHT - 1) / 2 + (np.arange(HEIGHT) + 0.5 - HEIGHT / 2) / zoom
            luma, *chroma = (_sampled(plane, down, across) for plane in self._planes)
            luma = luma + self._chance.normal(0, 1, luma.shape)
            halves = [plane[::2, ::2].ravel() for plane in chroma]
            frames.append(np.concatenate([luma.ravel(), *halves]))
        return np.array(frames)

    def held(self, middle: float, seconds: float = 2.0, zoom: float = 1.0) -> Frames:
        """Show the same part of it for a while."""
        return self.seen(*[(middle, zoom)] * round(seconds * RATE))

    def panned(self, start: float, end: float, count: int, *, shutter: float = 0.0) -> Frames:
        """Pan between two middles within `count` frames, each open for that part of its time."""
        step = (end - start) / count
        shown = []
        for index in range(count):
            open_for = step * shutter * np.linspace(0, 1, 12 if shutter else 1)
            smeared = self.seen(*((start + index * step + at, 1.0) for at in open_for))
            shown.append(smeared.mean(axis=0))
        return np.array(shown)


def blank(seconds: float, light: float = 16) -> Frames:
    """One colour, grey."""
    luma = np.full((round(seconds * RATE), WIDTH * HEIGHT), light)
    return np.concatenate([luma, np.full((len(luma), WIDTH * HEIGHT // 2), 128)], axis=1)


def mixed(before: Frames, after: Frames, seconds: float) -> Frames:
    """Both, joined by a dissolve."""
    count = round(seconds * RATE)
    shares = np.linspace(0, 1, count)[:, None]
    overlap = before[-count:] * (1 - shares) + after[:count] * shares
    return np.concatenate([before[:-count], overlap, after[count:]])


def wiped(before: Frames, after: Frames, seconds: float) -> Frames:
    """Both, joined by a wipe from the left."""
    count = round(seconds * RATE)
    overlap = before[-count:].copy()
    for index in range(count):
        share = index / count
        for begin, height, width in PLANES:
            end = begin + height * width
            old = overlap[index, begin:end].reshape(height, width)
            new = after[index, begin:end].reshape(height, width)
            old[:, : round(share * width)] = new[:, : round(share * width)]
    return np.concatenate([before[:-count], overlap, after[count:]])


def faded(frames: Frames, seconds: float, *, end: bool) -> Frames:
    """A scene that comes out of black, or goes into it."""
    count = round(seconds * RATE)
    lights = np.ones(len(frames))
    ramp = np.linspace(1, 0, count)
    lights[-count:] = ramp if end else lights[-count:]
    lights[:count] = lights[:count] if end else ramp[::-1]
    black = blank(1 / RATE)[0]
    faded_frames: Frames = black + (frames - black) * lights[:, None]
    return faded_frames


def begins(*parts: Frames, piece: int = 90) -> list[float]:
    """When new shots begin, in seconds, as found in these parts one after the other."""
    frames = np.clip(np.concatenate(parts), 0, 255).astype(np.uint8)
    finder = ShotFinder(Fraction(1, RATE))
    ticks = np.arange(len(frames), dtype=np.int64)
    for start in range(0, len(frames), piece):
        finder.feed(frames[start : start + piece], ticks[start : start + piece])
    return [tick / RATE for tick in finder.finish()]


def _blobs(chance: np.random.Generator, width: int, height: int, low: float, high: float) -> Frames:
    """Soft blobs between two values."""
    coarse = chance.uniform(low, high, (height // 3 + 2, width // 4 + 2))
    rows, columns = np.arange(height) / 3, np.arange(width) / 4
    top, left = rows.astype(int), columns.astype(int)
    down, right = (rows - top)[:, None], (columns - left)[None]
    corners = [coarse[np.ix_(top + a, left + b)] for a in (0, 1) for b in (0, 1)]
    above = corners[0] * (1 - right) + corners[1] * right
    below = corners[2] * (1 - right) + corners[3] * right
    return np.asarray(above * (1 - down) + below * down)


def _sampled(plane: Frames, down: NDArray[np.floating], across: NDArray[np.floating]) -> Frames:
    """A plane at these rows and columns, each between two pixels."""
    top, left = np.floor(down).astype(int), np.floor(across).astype(int)
    below, right = (down - top)[:, None], (across - left)[None]
    height, width = plane.shape
    rows = [np.clip(top + step, 0, height - 1) for step in (0, 1)]
    columns = [np.clip(left + step, 0, width - 1) for step in (0, 1)]
    above, under = (
        plane[np.ix_(row, columns[0])] * (1 - right) + plane[np.ix_(row, columns[1])] * right
        for row in rows
    )
    return np.asarray(above * (1 - below) + under * below)
