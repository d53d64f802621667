"""The doctor finds each kind of damage in a data folder, says what to do, mends what is safe."""

import sqlite3
from pathlib import Path

import pytest
from sqlalchemy import update

from promptreel_server.commands import doctor
from promptreel_server.commands.doctor import Finding, State, examine
from promptreel_server.domain.media import MediaItem
from promptreel_server.errors import Unavailable
from promptreel_server.media.blobs import FileBlobs
from promptreel_server.settings import Settings
from promptreel_server.store.catalogue import media
from promptreel_server.store.database.sqlite import FILE_NAME, open_sqlite
from promptreel_server.store.schema.tables import runs
from tests.engines import rig
from tests.media_items import media_item


@pytest.fixture
async def folder(tmp_path: Path) -> Path:
    """A data folder with a media item, its bytes, and a run over another that is over."""
    async with open_sqlite(tmp_path) as database, rig(database) as made:
        item = media_item("ann", content="kept")
        await database.write(lambda tx: media.insert_item(tx, item))
        silent = await made.add(seconds=3, content="run")
        run = await made.execute(await made.prompt(), [silent], seconds=1)
        await made.ended(run.run_id)
    for kept in (item, silent):
        _bytes_of(tmp_path, kept).parent.mkdir(parents=True, exist_ok=True)
        _bytes_of(tmp_path, kept).write_bytes(b"bytes")
    return tmp_path


def _bytes_of(folder: Path, item: MediaItem) -> Path:
    return FileBlobs(folder / "blobs").path(item.sha256)


async def _seen(folder: Path, *, repair: bool = False) -> dict[str, Finding]:
    findings = await examine(Settings(data=folder), repair=repair)
    return {one.check: one for one in findings if not one.check.startswith("model ")}


async def test_a_sound_folder_is_well(folder: Path) -> None:
    assert {one.state for one in (await _seen(folder)).values()} == {State.WELL}


async def test_a_disk_that_is_nearly_full_is_told(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert (await _seen(folder))["data folder"].state is State.WELL
    monkeypatch.setattr(doctor, "LEAST_ROOM", 2**60)
    found = (await _seen(folder))["data folder"]
    assert found.state is State.WRONG
    assert "make room" in found.remedy


async def test_a_wrong_counter_is_mended(folder: Path) -> None:
    async with open_sqlite(folder) as database:
        await database.write(lambda tx: tx.execute(update(runs).values(completed_segments=7)))
    assert (await _seen(folder))["counters"].state is State.WRONG
    assert (await _seen(folder, repair=True))["counters"].state is State.MENDED
    assert (await _seen(folder))["counters"].state is State.WELL


async def test_a_file_that_nothing_names_is_removed(folder: Path) -> None:
    stray = FileBlobs(folder / "blobs").path("a" * 64)
    stray.parent.mkdir(parents=True)
    stray.write_bytes(b"stray")
    found = (await _seen(folder))["files of no media item"]
    assert (found.state, found.remedy) == (State.WRONG, "stop the server and --repair")
    assert (await _seen(folder, repair=True))["files of no media item"].state is State.MENDED
    assert not stray.exists()


async def test_lost_bytes_are_named_and_nothing_is_thrown_away(folder: Path) -> None:
    lost = media_item(content="kept")
    _bytes_of(folder, lost).unlink()
    async with open_sqlite(folder) as database:
        (video_id,) = await database.read(lambda c: media.standing_on(c, lost.sha256))
    for repair in (False, True):
        found = (await _seen(folder, repair=repair))["media files"]
        assert found.state is State.WRONG
        assert found.found == f"1 lost: bytes of {video_id}"
        assert "backup" in found.remedy


async def test_an_older_schema_is_left_as_it_is_unless_it_is_to_be_mended(folder: Path) -> None:
    with sqlite3.connect(folder / FILE_NAME) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '0002'")
        connection.execute("ALTER TABLE runs DROP COLUMN processing_warning")
        connection.execute("ALTER TABLE llm_calls DROP COLUMN result")
        connection.execute("ALTER TABLE retries DROP COLUMN epoch")
        connection.execute("DROP INDEX retries_open_by_video")
        connection.execute("DROP INDEX run_segments_before_any")
        connection.execute("DROP INDEX run_media_undone")
        connection.execute("CREATE INDEX run_media_open ON run_media (status)")
    found = await _seen(folder)
    assert found["schema"].state is State.WRONG
    assert "counters" not in found
    assert (await _seen(folder, repair=True))["schema"].state is State.MENDED
    assert (await _seen(folder))["counters"].state is State.WELL


async def test_a_file_that_is_no_database_is_said_to_be_none(folder: Path) -> None:
    (folder / FILE_NAME).write_bytes(b"not a database, and long enough to be read as one" * 100)
    for name in (f"{FILE_NAME}-wal", f"{FILE_NAME}-shm"):
        (folder / name).unlink(missing_ok=True)
    found = (await _seen(folder))["database"]
    assert found.state is State.WRONG
    assert "not a database" in found.found


async def test_nothing_is_mended_beside_a_server(folder: Path) -> None:
    async with open_sqlite(folder):
        assert {one.state for one in (await _seen(folder)).values()} == {State.WELL}
        with pytest.raises(Unavailable, match="Another server uses"):
            await _seen(folder, repair=True)
