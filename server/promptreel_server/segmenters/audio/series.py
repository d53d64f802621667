"""Numbers of a medium, one a window, kept as a byte each: six hours are 675,000 windows."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

BLOCK_BYTES = 1 << 14
"""What is kept of nine minutes is put away as one block."""
BLOCK_WINDOWS = 1 << 15
"""So many windows, 17 minutes, are looked at at once: memory must not grow with the medium."""


@dataclass(frozen=True, kw_only=True)
class Scale:
    """How numbers become bytes: from `least` on in steps of `step`, 256 of them."""

    least: float
    step: float

    def stored(self, numbers: NDArray[np.floating]) -> bytes:
        """Store numbers; what is beyond the scale is put at its end."""
        steps: NDArray[np.uint8] = np.rint((numbers - self.least) / self.step).clip(0, 255)
        return steps.astype(np.uint8).tobytes()

    def read(self, stored: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Answer numbers, to within half a step of what they were."""
        return stored * np.float32(self.step) + np.float32(self.least)


class Series:
    """Numbers that were stored; a slice of them is an array of float32."""

    def __init__(self, scale: Scale, stored: bytes) -> None:
        self._scale = scale
        self._stored = np.frombuffer(stored, np.uint8)

    @classmethod
    def of(cls, scale: Scale, numbers: NDArray[np.floating]) -> "Series":
        """Store numbers."""
        return cls(scale, scale.stored(numbers))

    def __len__(self) -> int:
        return len(self._stored)

    def __getitem__(self, part: slice) -> NDArray[np.float32]:
        return self._scale.read(self._stored[part])


class Growing:
    """A series that becomes longer and longer, in blocks: nothing large is moved to grow."""

    def __init__(self, scale: Scale) -> None:
        self._scale = scale
        self._blocks: list[bytes] = []
        self._last = bytearray()

    def add(self, numbers: NDArray[np.floating]) -> None:
        """Store more numbers."""
        self._last += self._scale.stored(numbers)
        if len(self._last) >= BLOCK_BYTES:
            self._blocks.append(bytes(self._last))
            self._last.clear()

    def taken(self) -> Series:
        """Answer all of them, and begin anew."""
        whole = b"".join([*self._blocks, self._last])
        self._blocks, self._last = [], bytearray()
        return Series(self._scale, whole)
