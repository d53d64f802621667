"""The bytes of media, each kept once under the name that their hash gives them."""

import asyncio
import errno
import hashlib
import os
import re
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, TypeVar
from weakref import WeakValueDictionary

from promptreel_server import errors

GATHERED_BYTES = 1 << 20
"""Small pieces are gathered to this size before a thread is asked to write them."""

_SHA256 = re.compile(r"[0-9a-f]{64}")
_Answer = TypeVar("_Answer")


@dataclass(frozen=True, kw_only=True)
class Sealed:
    """Bytes that have arrived whole and are on disk, but not yet kept: `path` is for probing."""

    sha256: str
    size: int
    path: Path


class BlobWriter(Protocol):
    """Takes the bytes of one blob; leaving its block without `keep` forgets them."""

    async def write(self, piece: bytes) -> None:
        """Add bytes; raises errors.TooLarge beyond the limit, errors.Unavailable if disks fail."""
        ...

    async def seal(self) -> Sealed:
        """Bring everything to the disk and say what it is; nothing can be written after it."""
        ...

    async def keep(self) -> Path:
        """Store what was sealed, once and for good, and say where; idempotent."""
        ...


class BlobStore(Protocol):
    """Keeps blobs by the SHA-256 of their bytes (64 lower case hex digits)."""

    def writer(
        self, *, limit: int | None = None, refusal: str | None = None
    ) -> AbstractAsyncContextManager[BlobWriter]:
        """Begin a blob of at most `limit` bytes; `refusal` is said of one that is larger."""
        ...

    def held(self, sha256: str) -> AbstractAsyncContextManager[None]:
        """Hold a blob while its bytes and the rows that name it change together.

        Who keeps a blob and then writes its row, and who deletes the last row and then removes
        the blob, both hold it: otherwise one could remove what the other has just counted on.
        """
        ...

    def path(self, sha256: str) -> Path:
        """Where this blob is, or would be; raises ValueError where that is no hash."""
        ...

    async def holds(self, sha256: str) -> bool:
        """Whether this blob is stored."""
        ...

    async def remove(self, sha256: str) -> None:
        """Remove a blob; one that is not there is removed already."""
        ...

    async def sweep_partial(self) -> int:
        """Remove what an earlier process left half written; call it once, at start."""
        ...

    def stored(self) -> Iterator[str]:
        """Every hash that is stored, as it is found on disk: blocking, so call it in a thread."""
        ...


class FileBlobs:
    """Blobs as files `blobs/ab/cdef…` below a data folder; half-written ones in `partial/`."""

    def __init__(self, folder: Path) -> None:
        self._blobs = folder / "blobs"
        self._partial = folder / "partial"
        self._held: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    @asynccontextmanager
    async def writer(
        self, *, limit: int | None = None, refusal: str | None = None
    ) -> AsyncIterator[BlobWriter]:
        """Begin a blob of at most `limit` bytes; `refusal` is said of one that is larger."""
        made: list[_FileWriter] = []  # one that is made while its caller leaves is closed as well
        try:
            await _off_loop(
                lambda: made.append(_FileWriter(self._partial, self.path, limit, refusal))
            )
            yield made[0]
        finally:
            for writer in made:
                await writer.close()

    @asynccontextmanager
    async def held(self, sha256: str) -> AsyncIterator[None]:
        """Hold a blob while its bytes and the rows that name it change together."""
        lock = self._held.setdefault(sha256, asyncio.Lock())
        async with lock:
            yield

    def path(self, sha256: str) -> Path:
        """Where this blob is, or would be; raises ValueError where that is no hash."""
        if not _SHA256.fullmatch(sha256):
            raise ValueError("a blob is named by 64 lower case hex digits")
        return self._blobs / sha256[:2] / sha256[2:]

    async def holds(self, sha256: str) -> bool:
        """Whether this blob is stored."""
        return await asyncio.to_thread(self.path(sha256).is_file)

    async def remove(self, sha256: str) -> None:
        """Remove a blob; one that is not there is removed already."""
        path = self.path(sha256)
        await _off_loop(lambda: path.unlink(missing_ok=True))

    async def sweep_partial(self) -> int:
        """Remove what an earlier process left half written; call it once, at start."""
        return await _off_loop(lambda: _empty(self._partial))

    def stored(self) -> Iterator[str]:
        """Every hash that is stored, as it is found on disk: blocking, so call it in a thread."""
        for path in self._blobs.glob("??/*"):
            if _SHA256.fullmatch(path.parent.name + path.name):
                yield path.parent.name + path.name


class _FileWriter:
    """Writes to a file in `partial/`, hashing on the way; its methods run one at a time."""

    def __init__(
        self,
        partial: Path,
        place: Callable[[str], Path],
        limit: int | None,
        refusal: str | None,
    ) -> None:
        partial.mkdir(parents=True, exist_ok=True)
        descriptor, name = tempfile.mkstemp(dir=partial)
        self._file = os.fdopen(descriptor, "wb", buffering=0)
        self._path = Path(name)
        self._place = place
        self._limit = limit
        self._refusal = refusal
        self._size = 0
        self._hash = hashlib.sha256()
        self._gathered = bytearray()
        self._sealed: Sealed | None = None
        self._kept: Path | None = None

    async def write(self, piece: bytes) -> None:
        self._size += len(piece)
        if self._limit is not None and self._size > self._limit:
            most = f"The file is larger than {self._limit} bytes, the most allowed."
            raise errors.TooLarge(self._refusal or most)
        self._gathered += piece
        if len(self._gathered) >= GATHERED_BYTES:
            await self._pour()

    async def seal(self) -> Sealed:
        if self._sealed is None:
            await self._pour()
            await _off_loop(lambda: os.fsync(self._file.fileno()))
            self._sealed = Sealed(sha256=self._hash.hexdigest(), size=self._size, path=self._path)
        return self._sealed

    async def keep(self) -> Path:
        if self._kept is None:
            sealed = await self.seal()
            self._kept = await _off_loop(lambda: _settle(sealed.path, self._place(sealed.sha256)))
        return self._kept

    async def close(self) -> None:
        await _off_loop(self._forget)

    async def _pour(self) -> None:
        poured, self._gathered = bytes(self._gathered), bytearray()
        await _off_loop(lambda: self._append(poured))

    def _append(self, poured: bytes) -> None:
        rest = memoryview(poured)
        while rest:
            rest = rest[self._file.write(rest) :]
        self._hash.update(poured)

    def _forget(self) -> None:
        self._file.close()
        self._path.unlink(missing_ok=True)


async def _off_loop(work: Callable[[], _Answer]) -> _Answer:
    """Do file work in a thread, seen to its end even when cancelled: it owns a descriptor.

    Raises errors.Unavailable where the disk is full or can't be written to.
    """
    working = asyncio.get_running_loop().run_in_executor(None, work)
    cancelled: asyncio.CancelledError | None = None
    while not working.done():
        try:
            await asyncio.wait([working])
        except asyncio.CancelledError as again:
            cancelled = again
    if cancelled is not None:
        raise cancelled
    try:
        return working.result()
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        reason = "is full" if full else f"can't be written to ({error.strerror})"
        raise errors.Unavailable(f"The server's data folder {reason}.", retry_after=60.0) from error


def _settle(partial: Path, target: Path) -> Path:
    """Move a finished file to its place, durably; the same bytes there already are the same."""
    if not target.exists():
        target.parent.mkdir(parents=True, exist_ok=True)
        partial.replace(target)
        _sync_folder(target.parent)
        _sync_folder(target.parent.parent)
    return target


def _sync_folder(folder: Path) -> None:
    """Bring a folder's list of names to the disk: without it a crash can lose the new name."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _empty(folder: Path) -> int:
    """Remove the files of a folder and count them."""
    removed = 0
    with suppress(FileNotFoundError):
        for path in folder.iterdir():
            path.unlink()
            removed += 1
    return removed
