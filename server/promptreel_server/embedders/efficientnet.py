"""Image embedding by EfficientNet-Lite0: its pooled features, and its labels as evidence."""

from collections.abc import Sequence

from promptreel_server.embedders.embedder import Frame, ImageVector
from promptreel_server.weights.model_process import ModelProcess, spare_threads
from promptreel_server.weights.runtime import require_runtime
from promptreel_server.weights.shelf import Shelf


class EfficientNet:
    """The ImageEmbedder port, offline, in a process of its own.

    Vectors are the 1280 pooled features scaled to length 1; each comes with the ten likeliest
    ImageNet labels. Raises Unavailable where the runtime is missing.
    """

    space = "efficientnet-lite0/1"
    dimension = 1280

    def __init__(
        self, *, shelf: Shelf, threads: int | None = None, idle_seconds: float = 120.0
    ) -> None:
        require_runtime("onnxruntime")
        threads = threads or spare_threads()
        self._process = ModelProcess(
            "promptreel_server.embedders.onnx_models:HeldEfficientNet",
            {"path": str(shelf.require("efficientnet-lite0")), "threads": threads},
            name="image model",
            threads=threads,
            idle_seconds=idle_seconds,
        )

    async def embed(self, frames: Sequence[Frame]) -> list[ImageVector]:
        """Embed frames of any size, height × width × 3, RGB."""
        if not frames:
            return []
        found = await self._process.call("embed", list(frames), seconds=60.0 + len(frames))
        return [
            ImageVector(space=self.space, vector=vector, labels=tuple(labels))
            for vector, labels in found
        ]

    async def close(self) -> None:
        """End the process."""
        await self._process.close()
