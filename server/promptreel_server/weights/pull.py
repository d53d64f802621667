"""Fetching a model: source after source, until the bytes are the right ones."""

import fcntl
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from promptreel_server.errors import Unavailable
from promptreel_server.weights.registry import WeightFile, Weights
from promptreel_server.weights.shelf import Shelf, sha256_of
from promptreel_server.weights.sources import Source

Progress = Callable[[WeightFile, str, int], None]
"""Called with the file, the name of the source and how many of its bytes are there."""

_PARTIAL = ".partial"


def pull(shelf: Shelf, weights: Weights, sources: Sequence[Source], progress: Progress) -> bool:
    """Fetch what is missing or spoilt of a model; tells whether anything was.

    A file appears on the shelf by a rename, after its hash was checked. What an earlier pull left
    unfinished is gone on with. Two pulls of one model wait for each other.

    Raises:
        Unavailable: no source had the right bytes, or the folder can't be written; says why each.
    """
    if weights.shipped:
        return False
    place = shelf.place(weights)
    try:
        with _alone(place):
            missing = [file for file in weights.files if not _right(place / file.name, file)]
            for file in missing:
                _fetch(place, weights, file, sources, progress)
            shutil.rmtree(place / _PARTIAL, ignore_errors=True)
    except OSError as error:
        raise Unavailable(f"{weights.name} can't be kept in {place}: {error}") from error
    return bool(missing)


def _fetch(
    place: Path,
    weights: Weights,
    file: WeightFile,
    sources: Sequence[Source],
    progress: Progress,
) -> None:
    partial = place / _PARTIAL / file.name
    partial.parent.mkdir(parents=True, exist_ok=True)
    if _right(partial, file):
        _put(partial, place / file.name)
        return
    refusals = []
    for source in sources:
        try:
            source.fetch(weights, file, partial, _teller(file, source, progress))
        except Unavailable as error:
            refusals.append(f"{source.name}: {error.message}")
            continue
        if _right(partial, file):
            _put(partial, place / file.name)
            return
        partial.unlink(missing_ok=True)
        refusals.append(f"{source.name}: other bytes than the registry names")
    reasons = "; ".join(refusals) or "no source is left to ask"
    raise Unavailable(f"{file.name} of {weights.name} could not be fetched: {reasons}")


def _right(path: Path, file: WeightFile) -> bool:
    if not path.is_file() or path.stat().st_size != file.size:
        return False
    return sha256_of(path) == file.sha256


def _teller(file: WeightFile, source: Source, progress: Progress) -> Callable[[int], None]:
    return lambda done: progress(file, source.name, done)


def _put(partial: Path, path: Path) -> None:
    with partial.open("rb") as written:
        os.fsync(written.fileno())
    partial.replace(path)


@contextmanager
def _alone(place: Path) -> Iterator[None]:
    place.mkdir(parents=True, exist_ok=True)
    with (place / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
