"""Where model files lie on this machine, and whether they are the right ones."""

import hashlib
import os
from enum import Enum
from pathlib import Path

from promptreel_server.errors import Unavailable
from promptreel_server.weights.registry import WeightFile, Weights, weights_named

_SHIPPED = Path(__file__).with_name("shipped")
_BLOCK = 1 << 20


class WeightsState(Enum):
    """How a model stands on this machine."""

    SHIPPED = "shipped"
    """It came with the project."""
    PRESENT = "present"
    """Every file is there in its full size."""
    PARTIAL = "partial"
    """Some of it is there."""
    MISSING = "missing"


class Shelf:
    """A folder of models, a folder each.

    Files appear whole, by a rename, so that a server reads beside a pull that is under way.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = folder or default_folder()

    def place(self, weights: Weights) -> Path:
        """The folder in which the files of a model lie, or would."""
        return (_SHIPPED if weights.shipped else self.folder) / weights.name

    def state(self, weights: Weights) -> WeightsState:
        """How a model stands, by the sizes of its files."""
        present = [self.holds(weights, file) for file in weights.files]
        if all(present):
            return WeightsState.SHIPPED if weights.shipped else WeightsState.PRESENT
        return WeightsState.PARTIAL if any(present) else WeightsState.MISSING

    def holds(self, weights: Weights, file: WeightFile) -> bool:
        """Whether a file is there in its full size."""
        path = self.place(weights) / file.name
        return path.is_file() and path.stat().st_size == file.size

    def require(self, name: str) -> Path:
        """Answer the folder of a model that is there.

        Raises:
            Unavailable: it is not; the message names the command that fetches it.
        """
        weights = weights_named(name)
        if self.state(weights) not in (WeightsState.SHIPPED, WeightsState.PRESENT):
            raise Unavailable(
                f"the model {name} is not in {self.folder}; "
                f"fetch it once with: promptreel models pull {name}"
            )
        return self.place(weights)

    def faults(self, weights: Weights) -> list[str]:
        """Read every file and say which are missing or hold other bytes; none: all is well."""
        found = []
        for file in weights.files:
            path = self.place(weights) / file.name
            if not path.is_file():
                found.append(f"{file.name} is missing")
            elif sha256_of(path) != file.sha256:
                found.append(f"{file.name} holds other bytes than the registry names")
        return found


def default_folder() -> Path:
    """`PROMPTREEL_MODELS`, else `promptreel/models` in the user's cache folder."""
    named = os.environ.get("PROMPTREEL_MODELS")
    if named:
        return Path(named).expanduser()
    cache = os.environ.get("XDG_CACHE_HOME")
    return (Path(cache) if cache else Path.home() / ".cache") / "promptreel" / "models"


def sha256_of(path: Path) -> str:
    """The SHA-256 of a file in hex digits, read in constant memory."""
    digest = hashlib.sha256()
    with path.open("rb") as read:
        while block := read.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()
