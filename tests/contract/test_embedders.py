"""What embedding promises, of pictures and of texts."""

from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from promptreel_server.embedders.efficientnet import EfficientNet
from promptreel_server.embedders.embedder import Frame, ImageEmbedder
from promptreel_server.embedders.minilm import MiniLm
from promptreel_server.weights.shelf import Shelf

pytest.importorskip("onnxruntime", reason="the offline models' runtimes are not installed")


@pytest.fixture
async def embedder() -> AsyncIterator[ImageEmbedder]:
    made = EfficientNet(shelf=Shelf())
    yield made
    await made.close()


@pytest.fixture
async def reader() -> AsyncIterator[MiniLm]:
    made = MiniLm(shelf=Shelf())
    yield made
    await made.close()


def _stripes(height: int, width: int, period: int) -> Frame:
    row = ((np.arange(width) // period) % 2 * 255).astype(np.uint8)
    return np.repeat(np.tile(row, (height, 1))[:, :, None], 3, axis=2)


def _noise(height: int, width: int) -> Frame:
    return np.random.default_rng(3).integers(0, 255, (height, width, 3), dtype=np.uint8)


async def test_frames_become_unit_vectors_of_the_space_in_order(embedder: ImageEmbedder) -> None:
    frames = [_stripes(180, 320, 20), _noise(640, 360), _stripes(180, 320, 20), _noise(1, 900)]
    vectors = await embedder.embed(frames)
    assert {vector.space for vector in vectors} == {embedder.space}
    for vector in vectors:
        assert vector.vector.shape == (embedder.dimension,)
        assert vector.vector.dtype == np.float32
        assert np.linalg.norm(vector.vector) == pytest.approx(1.0, abs=1e-4)
    assert np.allclose(vectors[0].vector, vectors[2].vector, atol=1e-5)
    assert vectors[0].vector @ vectors[1].vector < 0.9


async def test_labels_are_likeliest_first_with_probabilities(embedder: ImageEmbedder) -> None:
    (vector,) = await embedder.embed([_noise(224, 224)])
    odds = [probability for _, probability in vector.labels]
    assert len(odds) == 10
    assert odds == sorted(odds, reverse=True)
    assert 0 < sum(odds) <= 1.0001


async def test_no_frames_are_no_vectors(embedder: ImageEmbedder) -> None:
    assert await embedder.embed([]) == []


async def test_a_picture_in_one_batch_or_another_gets_the_same_vector(
    embedder: ImageEmbedder,
) -> None:
    frames = [_stripes(100, 200, period) for period in range(2, 13)]
    together = await embedder.embed(frames)
    (alone,) = await embedder.embed([frames[9]])
    assert np.allclose(together[9].vector, alone.vector, atol=1e-4)


def _likeness(vectors: NDArray[np.float32], one: int, other: int) -> float:
    return float(vectors[one] @ vectors[other])


async def test_texts_that_mean_alike_lie_close(reader: MiniLm) -> None:
    texts = ["a dog runs on the beach", "a puppy is running by the sea", "quarterly tax report"]
    vectors = await reader.embed([*texts, "x " * 2000])
    assert vectors.shape == (4, 384)
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1.0, atol=1e-3)
    assert _likeness(vectors, 0, 1) > _likeness(vectors, 0, 2) + 0.3
    assert (await reader.embed([])).shape == (0, 384)


def test_labels_name_the_kind_of_thing_where_it_is_known() -> None:
    from promptreel_server.embedders.onnx_models import _read_labels

    folder = Shelf(Path("nowhere")).require("efficientnet-lite0")
    labels = _read_labels(folder / "labels.tsv")
    assert len(labels) == 1000
    assert labels[0] == "tench, Tinca tinca, a kind of fish"
