"""The registry of models: what files each has, their hashes, licences and origins."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Self

from promptreel_server.errors import NotFound

_TABLE = Path(__file__).with_name("registry.toml")


@dataclass(frozen=True, kw_only=True)
class WheelPart:
    """A file inside a wheel on PyPI that holds a model file, or a stretch of one."""

    package: str
    version: str
    member: str

    @classmethod
    def parse(cls, written: str) -> Self:
        """Read `package==version/path/in/the/wheel`."""
        pinned, _, member = written.partition("/")
        package, _, version = pinned.partition("==")
        return cls(package=package, version=version, member=member)


@dataclass(frozen=True, kw_only=True)
class WeightFile:
    """One file of a model; `size` in bytes, `sha256` in hex digits."""

    name: str
    size: int
    sha256: str
    hub_name: str
    parts: tuple[WheelPart, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Weights:
    """One model of the registry."""

    name: str
    purpose: str
    licence: str
    upstream: str
    files: tuple[WeightFile, ...]
    default: bool = False
    """Whether it is fetched when no name is given."""
    shipped: bool = False
    """Whether it comes with the project and need not be fetched."""

    @property
    def size(self) -> int:
        """Bytes in all."""
        return sum(file.size for file in self.files)


@cache
def registry() -> Mapping[str, Weights]:
    """Every known model by name."""
    written = tomllib.loads(_TABLE.read_text(encoding="utf-8"))
    return {name: _weights(name, entry) for name, entry in written.items()}


def weights_named(name: str) -> Weights:
    """Answer one model; raises NotFound naming the known ones."""
    found = registry().get(name)
    if found is None:
        raise NotFound(f'no model is called "{name}"; there is {", ".join(registry())}')
    return found


def _weights(name: str, entry: dict[str, Any]) -> Weights:
    files = tuple(_file(written) for written in entry.pop("file"))
    return Weights(name=name, files=files, **entry)


def _file(written: dict[str, Any]) -> WeightFile:
    return WeightFile(
        name=written["name"],
        size=written["size"],
        sha256=written["sha256"],
        hub_name=written.get("hub_name", written["name"]),
        parts=tuple(map(WheelPart.parse, written.get("pypi", ()))),
    )
