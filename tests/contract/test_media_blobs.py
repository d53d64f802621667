"""What every blob store promises, run against each there is."""

import asyncio
import errno
import hashlib
import os
from pathlib import Path

import psutil
import pytest

from promptreel_server.errors import TooLarge, Unavailable
from promptreel_server.media.blobs import BlobStore, FileBlobs

BYTES = b"what a camera saw" * 1000
NAME = hashlib.sha256(BYTES).hexdigest()


@pytest.fixture(params=["files"])
def blobs(request: pytest.FixtureRequest, tmp_path: Path) -> BlobStore:
    assert request.param == "files"
    return FileBlobs(tmp_path)


async def store(blobs: BlobStore, content: bytes) -> Path:
    async with blobs.writer() as writer:
        for begin in range(0, len(content), 5000):
            await writer.write(content[begin : begin + 5000])
        return await writer.keep()


def files_below(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


async def test_what_is_kept_is_found_by_its_hash(blobs: BlobStore) -> None:
    path = await store(blobs, BYTES)
    assert path == blobs.path(NAME)
    assert path.read_bytes() == BYTES
    assert await blobs.holds(NAME)
    assert list(blobs.stored()) == [NAME]


async def test_an_empty_blob_can_be_kept(blobs: BlobStore) -> None:
    assert (await store(blobs, b"")).read_bytes() == b""


async def test_what_is_sealed_can_be_looked_at_before_it_is_kept(blobs: BlobStore) -> None:
    async with blobs.writer() as writer:
        await writer.write(BYTES)
        sealed = await writer.seal()
        assert (sealed.sha256, sealed.size) == (NAME, len(BYTES))
        assert sealed.path.read_bytes() == BYTES
        assert not await blobs.holds(NAME)


async def test_the_same_bytes_are_stored_once(blobs: BlobStore, tmp_path: Path) -> None:
    first = await store(blobs, BYTES)
    kept = first.stat().st_ino
    assert await store(blobs, BYTES) == first
    assert first.stat().st_ino == kept
    assert files_below(tmp_path) == [first]


async def test_what_is_not_kept_leaves_nothing(blobs: BlobStore, tmp_path: Path) -> None:
    async with blobs.writer() as writer:
        await writer.write(BYTES)
        await writer.seal()
    assert files_below(tmp_path) == []


async def test_an_error_on_the_way_leaves_nothing(blobs: BlobStore, tmp_path: Path) -> None:
    async def upload() -> None:
        async with blobs.writer() as writer:
            await writer.write(BYTES)
            raise ConnectionError

    with pytest.raises(ConnectionError):
        await upload()
    assert files_below(tmp_path) == []


async def test_a_cancelled_upload_leaves_nothing(blobs: BlobStore, tmp_path: Path) -> None:
    arrived = asyncio.Event()

    async def upload() -> None:
        async with blobs.writer() as writer:
            while True:
                await writer.write(bytes(1 << 20))
                arrived.set()

    uploading = asyncio.create_task(upload())
    await arrived.wait()
    uploading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await uploading
    assert files_below(tmp_path) == []


async def test_more_than_the_limit_is_too_large(blobs: BlobStore, tmp_path: Path) -> None:
    async with blobs.writer(limit=100) as writer:
        await writer.write(bytes(100))
        with pytest.raises(TooLarge, match="larger than 100 bytes"):
            await writer.write(b"1")
    assert files_below(tmp_path) == []


async def test_as_much_as_the_limit_is_not(blobs: BlobStore) -> None:
    async with blobs.writer(limit=100) as writer:
        await writer.write(bytes(100))
        assert (await writer.seal()).size == 100


async def test_keeping_twice_is_keeping_once(blobs: BlobStore) -> None:
    async with blobs.writer() as writer:
        await writer.write(BYTES)
        assert await writer.keep() == await writer.keep()


async def test_many_uploads_of_the_same_bytes_at_once_make_one_blob(
    blobs: BlobStore, tmp_path: Path
) -> None:
    async with asyncio.TaskGroup() as group:
        for _ in range(20):
            group.create_task(store(blobs, BYTES))
    assert files_below(tmp_path) == [blobs.path(NAME)]


async def test_removing_is_idempotent(blobs: BlobStore) -> None:
    await store(blobs, BYTES)
    await blobs.remove(NAME)
    await blobs.remove(NAME)
    assert not await blobs.holds(NAME)


async def test_what_was_left_half_written_is_swept(blobs: BlobStore, tmp_path: Path) -> None:
    async with blobs.writer() as writer:
        await writer.write(BYTES)
        await writer.seal()
        assert await FileBlobs(tmp_path).sweep_partial() == 1
    assert files_below(tmp_path) == []


async def test_sweeping_spares_what_is_kept(blobs: BlobStore) -> None:
    await store(blobs, BYTES)
    assert await blobs.sweep_partial() == 0
    assert await blobs.holds(NAME)


@pytest.mark.parametrize("name", ["", "../../etc/passwd", NAME.upper(), NAME[:-1], NAME + "0"])
async def test_only_a_hash_names_a_blob(blobs: BlobStore, name: str) -> None:
    with pytest.raises(ValueError, match="64 lower case hex digits"):
        blobs.path(name)


async def test_who_holds_a_blob_holds_it_alone(blobs: BlobStore) -> None:
    order: list[str] = []

    async def hold(name: str) -> None:
        async with blobs.held(NAME):
            order.append(f"{name} in")
            await asyncio.sleep(0)
            order.append(f"{name} out")

    async with asyncio.TaskGroup() as group:
        group.create_task(hold("first"))
        group.create_task(hold("second"))
    assert order == ["first in", "first out", "second in", "second out"]


async def test_a_full_disk_is_said_and_leaves_nothing(
    blobs: BlobStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(Unavailable, match="data folder is full"):
        await store(blobs, BYTES)
    assert files_below(tmp_path) == []


async def test_a_folder_that_can_t_be_written_to_is_said(tmp_path: Path) -> None:
    await asyncio.to_thread((tmp_path / "data").touch)
    with pytest.raises(Unavailable, match="can't be written to"):
        await store(FileBlobs(tmp_path / "data"), BYTES)


async def test_memory_stays_flat_however_long_the_blob(blobs: BlobStore) -> None:
    process = psutil.Process()
    piece = bytes(512 << 10)
    async with blobs.writer() as writer:
        for _ in range(20):
            await writer.write(piece)
        before = process.memory_info().rss
        for _ in range(400):
            await writer.write(piece)
        grown = process.memory_info().rss - before
    assert grown < 20 << 20
