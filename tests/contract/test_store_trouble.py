"""A full disk and a locked file are told as such, nothing half-written stands, and they pass."""

import asyncio
import sqlite3
from collections.abc import Sequence
from pathlib import Path

import pytest
from sqlalchemy import Connection, func, insert, select

from promptreel_server.errors import StoreUnavailable, Unavailable
from promptreel_server.store.database import sqlite, writer
from promptreel_server.store.database.database import Database
from promptreel_server.store.database.sqlite import open_sqlite
from promptreel_server.store.schema.tables import import_jobs, secrets
from promptreel_server.store.schema.transaction import Transaction


def fill_disk(tx: Transaction) -> None:
    """Let the file grow no further, as a full disk would."""
    pages = tx.connection.exec_driver_sql("PRAGMA page_count").scalar()
    tx.connection.exec_driver_sql(f"PRAGMA max_page_count = {pages}")


def clear_disk(tx: Transaction) -> None:
    tx.connection.exec_driver_sql("PRAGMA max_page_count = 1000000")


def put(tx: Transaction, names: Sequence[str]) -> list[None]:
    tx.execute(insert(secrets), [{"name": name, "value": b"x" * 50_000} for name in names])
    return [None for _ in names]


def count(connection: Connection) -> int:
    return int(connection.execute(select(func.count()).select_from(secrets)).scalar_one())


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
async def test_what_a_full_disk_refuses_is_told_and_can_be_written_later(
    database: Database,
) -> None:
    before = await database.read(count)
    await database.write(fill_disk)
    with pytest.raises(StoreUnavailable, match="disk is full"):
        await database.write(lambda tx: put(tx, ["one"]))
    told, between = database.trouble, await database.read(count)
    await database.write(clear_disk)
    await database.write(lambda tx: put(tx, ["one"]))
    assert "disk is full" in (told or "")
    assert (between, await database.read(count)) == (before, before + 1)


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
async def test_of_changes_that_share_a_commit_those_that_are_told_done_stand_and_no_others(
    database: Database,
) -> None:
    before = await database.read(count)
    await database.write(fill_disk)
    names = [f"n{number}" for number in range(20)]
    told = await asyncio.gather(
        *(database.write_grouped(put, name) for name in names), return_exceptions=True
    )
    stand = await database.read(count) - before
    await database.write(clear_disk)
    assert stand == sum(answer is None for answer in told)
    assert {type(answer) for answer in told if answer is not None} == {StoreUnavailable}


async def test_a_file_that_another_program_locks_is_told_and_the_lock_passes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite, "BUSY_MILLISECONDS", 100)
    async with open_sqlite(tmp_path) as database:
        before = await database.read(count)
        await database.write(lambda tx: put(tx, ["zero"]))
        other = sqlite3.connect(tmp_path / sqlite.FILE_NAME, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreUnavailable, match="locked") as refused:
            await database.write(lambda tx: put(tx, ["one"]))
        readable = await database.read(count)
        other.execute("ROLLBACK")
        other.close()
        await database.write(lambda tx: put(tx, ["one"]))
        assert (readable, await database.read(count)) == (before + 1, before + 2)
    assert refused.value.retry_after


async def test_a_lock_that_can_not_be_opened_is_a_folder_that_can_not_be_written(
    tmp_path: Path,
) -> None:
    (tmp_path / sqlite.LOCK_NAME).mkdir()
    with pytest.raises(Unavailable, match=r"can't be written \(Is a directory\)"):
        async with open_sqlite(tmp_path):
            pass


async def test_what_is_no_database_is_told_at_the_start(tmp_path: Path) -> None:
    (tmp_path / sqlite.FILE_NAME).write_bytes(b"no database, though of its length" * 100)
    with pytest.raises(Unavailable, match=r"can't be used \(file is not a database\)"):
        async with open_sqlite(tmp_path):
            pass


async def test_a_statement_that_is_wrong_is_no_passing_trouble(database: Database) -> None:
    with pytest.raises(Exception, match=r"no such column|does not exist") as told:
        await database.read(lambda c: c.exec_driver_sql("SELECT absent FROM import_jobs"))
    assert not isinstance(told.value, StoreUnavailable)
    assert await database.read(lambda c: c.execute(select(import_jobs.c.job_id)).all()) == []


async def test_a_full_queue_refuses_after_a_while_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer, "MOST_QUEUED", 4)
    monkeypatch.setattr(writer, "MOST_WAIT", 0.1)
    monkeypatch.setattr(sqlite, "BUSY_MILLISECONDS", 500)
    async with open_sqlite(tmp_path) as database:
        await database.write(lambda tx: put(tx, ["zero"]))
        other = sqlite3.connect(tmp_path / sqlite.FILE_NAME, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        first = asyncio.ensure_future(database.write(lambda tx: put(tx, ["first"])))
        await asyncio.sleep(0.05)
        more = [
            asyncio.ensure_future(database.write(lambda tx: put(tx, ["more"]))) for _ in range(6)
        ]
        await asyncio.sleep(0)
        told = await asyncio.gather(first, *more, return_exceptions=True)
        other.execute("ROLLBACK")
        other.close()
    assert any("wait to be written" in str(answer) for answer in told), told
