"""The port to image embedding."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Frame = NDArray[np.uint8]
"""A picture: height × width × 3, RGB."""

Vector = NDArray[np.float32]
"""A unit vector, `dimension` long."""


@dataclass(frozen=True, kw_only=True)
class ImageVector:
    """The embedding of one frame, and the space it lies in."""

    space: str
    vector: Vector
    labels: tuple[tuple[str, float], ...] = ()
    """What the model sees, likeliest first, with probabilities: evidence for the local model."""


class ImageEmbedder(Protocol):
    """Turns pictures into vectors of one space."""

    space: str
    dimension: int

    async def embed(self, frames: Sequence[Frame]) -> list[ImageVector]:
        """Embed frames, one vector each, in order.

        Raises:
            OperationFailure: the frames can't be embedded.
        """
        ...

    async def close(self) -> None:
        """Let go of processes and memory."""
        ...
