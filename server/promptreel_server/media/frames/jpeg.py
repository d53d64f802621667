"""Frames as JPEG files."""

import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image

LONGEST_SIDE = 320
QUALITY = 80


def jpeg(pixels: NDArray[np.uint8], *, longest_side: int = LONGEST_SIDE) -> bytes:
    """Encode a frame (height × width × 3, RGB) as a JPEG, scaled down to a longest side."""
    picture = Image.fromarray(pixels)
    picture.thumbnail((longest_side, longest_side))
    file = io.BytesIO()
    picture.save(file, "JPEG", quality=QUALITY)
    return file.getvalue()
