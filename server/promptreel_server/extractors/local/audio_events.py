"""Speech, singing and music in a medium: looked for once, kept while the medium is worked on."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from promptreel_server.domain.media import MediaFacts
from promptreel_server.media.frames.decode import Sound, Wanted, decoded
from promptreel_server.media.process.ffmpeg import Ffmpeg
from promptreel_server.weights.model_process import ModelProcess

RATE = 16000
_WINDOW_SECONDS = 120
_JUMP = 0.05
_LEAST_HEARD = 0.5
_MOST_KEPT = 64

Events = Mapping[str, list[tuple[float, float]]]
"""Stretches by kind of sound, in seconds on the container's clock."""


@dataclass(kw_only=True, eq=False)
class _Kept:
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    events: Events | None = None


@dataclass(kw_only=True, eq=False)
class Sounds:
    """Listens to whole media, a window at a time; several segments ask, one listens."""

    ffmpeg: Ffmpeg
    senses: ModelProcess
    _kept: dict[str, _Kept] = field(default_factory=dict)

    async def between(
        self, path: Path, facts: MediaFacts, media_sha256: str, start: float, end: float
    ) -> tuple[str, ...]:
        """Name what is heard for half a second or more in `[start, end)`, longest first.

        Raises OperationFailure where the medium can't be decoded.
        """
        events = await self._events(path, facts, media_sha256)
        lengths = {
            kind: sum(max(0.0, min(end, stop) - max(start, begin)) for begin, stop in stretches)
            for kind, stretches in events.items()
        }
        least = min(_LEAST_HEARD, (end - start) / 2)
        heard = sorted(lengths, key=lambda kind: -lengths[kind])
        return tuple(kind for kind in heard if lengths[kind] >= least > 0)

    async def _events(self, path: Path, facts: MediaFacts, media_sha256: str) -> Events:
        kept = self._kept.get(media_sha256)
        if kept is None:
            while len(self._kept) >= _MOST_KEPT:
                self._kept.pop(next(iter(self._kept)))
            kept = self._kept[media_sha256] = _Kept()
        async with kept.lock:
            if kept.events is None:
                kept.events = await self._listen(path, facts)
            return kept.events

    async def _listen(self, path: Path, facts: MediaFacts) -> Events:
        window = _Window(senses=self.senses)
        async with decoded(self.ffmpeg, path, facts, Wanted(sample_rate=RATE)) as pieces:
            async for piece in pieces:
                if isinstance(piece, Sound):
                    await window.add(float(piece.start), piece.samples)
        await window.hear()
        return window.events


@dataclass(kw_only=True, eq=False)
class _Window:
    senses: ModelProcess
    events: dict[str, list[tuple[float, float]]] = field(default_factory=dict)
    _waiting: list[NDArray[np.int16]] = field(default_factory=list)
    _start: float = 0.0
    _length: int = 0

    async def add(self, start: float, samples: NDArray[np.int16]) -> None:
        jumps = abs(start - self._start - self._length / RATE) > _JUMP
        if jumps or self._length >= _WINDOW_SECONDS * RATE:
            await self.hear()
        if not self._waiting:
            self._start = start
        self._waiting.append(samples)
        self._length += len(samples)

    async def hear(self) -> None:
        if not self._waiting:
            return
        window = np.concatenate(self._waiting)
        found = await self.senses.call("hear", window, seconds=120.0)
        for kind, stretches in found.items():
            moved = [(self._start + start, self._start + end) for start, end in stretches]
            self.events.setdefault(kind, []).extend(moved)
        self._waiting, self._length = [], 0
