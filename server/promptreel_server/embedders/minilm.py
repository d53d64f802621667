"""Text embedding by all-MiniLM-L6-v2, dynamic int8, offline."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from promptreel_server.weights.model_process import ModelProcess, spare_threads
from promptreel_server.weights.runtime import require_runtime
from promptreel_server.weights.shelf import Shelf


class MiniLm:
    """Turns texts into unit vectors of 384, in a process of its own.

    Reads 256 tokens of each text. Raises Unavailable where the runtime is missing.
    """

    space = "minilm-l6-int8/1"
    dimension = 384

    def __init__(
        self, *, shelf: Shelf, threads: int | None = None, idle_seconds: float = 120.0
    ) -> None:
        require_runtime("onnxruntime", "tokenizers")
        threads = threads or spare_threads()
        self._process = ModelProcess(
            "promptreel_server.embedders.onnx_models:HeldMiniLm",
            {"path": str(shelf.require("minilm-l6-int8")), "threads": threads},
            name="text model",
            threads=threads,
            idle_seconds=idle_seconds,
        )

    async def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Embed texts: (texts, 384), in order; raises ModelFailure where that fails."""
        if not texts:
            return np.zeros((0, self.dimension), np.float32)
        vectors: NDArray[np.float32] = await self._process.call(
            "embed", list(texts), seconds=60.0 + len(texts)
        )
        return vectors

    async def close(self) -> None:
        """End the process."""
        await self._process.close()
