"""The two small ONNX models as they run inside their own process."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnxruntime
from numpy.typing import NDArray
from PIL import Image

from promptreel_server.embedders.embedder import Frame

_SHORTER_SIDE = 256
_CROP = 224
_LONGEST_SHAPE = 8
_BATCH = 8
_LABELS = 10
_LONGEST_TEXT = 256
"""Tokens; what follows is not read."""


def _session(path: Path, threads: int) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    return onnxruntime.InferenceSession(
        str(path), sess_options=options, providers=["CPUExecutionProvider"]
    )


class HeldEfficientNet:
    """Sees: 1280 features and the likeliest of 1000 labels for each picture."""

    def __init__(self, path: str, threads: int) -> None:
        self._session = _session(Path(path) / "model.onnx", threads)
        self._labels = _read_labels(Path(path) / "labels.tsv")

    def embed(
        self, frames: Sequence[Frame]
    ) -> list[tuple[NDArray[np.float32], list[tuple[str, float]]]]:
        """Answer a unit vector (1280) and ten labels with probabilities for each frame."""
        found = []
        for first in range(0, len(frames), _BATCH):
            batch = np.stack([_prepared(frame) for frame in frames[first : first + _BATCH]])
            logits, features = self._session.run(["logits", "feat"], {"x": batch})
            for row, vector in zip(logits, features, strict=True):
                found.append((_unit(vector), self._likeliest(row)))
        return found

    def _likeliest(self, logits: NDArray[np.float32]) -> list[tuple[str, float]]:
        odds = np.exp(logits - logits.max())
        odds /= odds.sum()
        order = np.argsort(odds)[::-1][:_LABELS]
        return [(self._labels[index], float(odds[index])) for index in order]


class HeldMiniLm:
    """Reads: a 384-d unit vector for each text."""

    def __init__(self, path: str, threads: int) -> None:
        from tokenizers import Tokenizer

        self._session = _session(Path(path) / "model.onnx", threads)
        self._tokenizer = Tokenizer.from_file(str(Path(path) / "tokenizer.json"))
        self._tokenizer.enable_truncation(_LONGEST_TEXT)
        self._tokenizer.enable_padding()

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Answer (texts, 384) float32; texts of like length share a batch."""
        vectors = np.zeros((len(texts), 384), np.float32)
        order = sorted(range(len(texts)), key=lambda index: len(texts[index]))
        for first in range(0, len(order), _BATCH):
            batch = order[first : first + _BATCH]
            read = self._tokenizer.encode_batch([texts[index] for index in batch])
            ids = np.array([text.ids for text in read], np.int64)
            attended = np.array([text.attention_mask for text in read], np.int64)
            (vectors[batch],) = self._session.run(["emb"], {"ids": ids, "am": attended})
        return vectors


def _prepared(frame: Frame) -> NDArray[np.float32]:
    """Scale the shorter side to 256, crop the middle 224 × 224; (3, 224, 224), about -1 to 1."""
    frame = _middle(frame)
    height, width = frame.shape[:2]
    scale = _SHORTER_SIDE / min(height, width)
    size = (max(_CROP, round(width * scale)), max(_CROP, round(height * scale)))
    scaled = Image.fromarray(frame).resize(size, Image.Resampling.BICUBIC)
    left, top = (size[0] - _CROP) // 2, (size[1] - _CROP) // 2
    cropped = scaled.crop((left, top, left + _CROP, top + _CROP))
    values = (np.asarray(cropped, np.float32) - 127.0) / 128.0
    return np.ascontiguousarray(values.transpose(2, 0, 1))


def _middle(frame: Frame) -> Frame:
    """Leave out the ends of a very long picture, which would be scaled up beyond bounds."""
    height, width = frame.shape[:2]
    most = _LONGEST_SHAPE * min(height, width)
    top, left = max(0, height - most) // 2, max(0, width - most) // 2
    return frame[top : top + most, left : left + most]


def _unit(vector: NDArray[np.float32]) -> NDArray[np.float32]:
    unit: NDArray[np.float32] = vector / max(float(np.linalg.norm(vector)), 1e-12)
    return unit


def _read_labels(path: Path) -> list[str]:
    """Each label as people say it: its first two names, and what kind of thing it is."""
    labels = []
    for line in path.read_text(encoding="utf-8").splitlines()[1:]:
        _, names, kind = [*line.split("\t"), ""][:3]
        said = ", ".join(names.split(", ")[:2])
        labels.append(f"{said}, a kind of {kind}" if kind else said)
    return labels
