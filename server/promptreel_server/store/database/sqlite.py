"""The store on SQLite: one file, one server, WAL, every commit on disk."""

import fcntl
import logging
import os
import sqlite3
import stat
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, create_engine, event
from sqlalchemy.exc import DatabaseError

from promptreel_server.clock import Clock, utc_now
from promptreel_server.errors import Unavailable
from promptreel_server.store.database.database import Database
from promptreel_server.store.schema.migrate import is_current, migrate

log = logging.getLogger(__name__)

FILE_NAME = "promptreel.db"
LOCK_NAME = "server.lock"
READERS = 4
BUSY_MILLISECONDS = 10_000

CHECKPOINT_PAGES = 4096
"""Pages of the log after which it is copied into the file: at SQLite's 1000 every large commit was,
with pages that the next one changes again."""


@asynccontextmanager
async def open_sqlite(
    folder: Path, *, clock: Clock = utc_now, exclusive: bool = True
) -> AsyncIterator[Database]:
    """Open the database of a data folder, brought to the newest schema.

    Raises:
        Unavailable: another server holds the folder, it can't be written, or holds no database.
    """
    _make(folder)
    lock = _lock(folder) if exclusive else None
    try:
        path = folder / FILE_NAME
        _bring_up(path)
        database = Database(
            reading=_engine(path, writing=False),
            writing=_engine(path, writing=True),
            readers=READERS,
            clock=clock,
        )
        async with database.running():
            yield database
    finally:
        if lock is not None:
            os.close(lock)


def _make(folder: Path) -> None:
    """Make the folder, for its owner alone, and see that it can be written.

    A folder or a database file that others may read is closed to them: results, keys' digests and
    media are in it.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        (folder / LOCK_NAME).touch(mode=0o600)
        for name in (FILE_NAME, f"{FILE_NAME}-wal", f"{FILE_NAME}-shm"):
            _close_to_others(folder / name, 0o600)
        _close_to_others(folder, 0o700)
        if not (folder / FILE_NAME).exists():
            (folder / FILE_NAME).touch(mode=0o600)  # SQLite's own files take its mode
    except OSError as error:
        raise _unwritable(folder, error) from error


def _close_to_others(path: Path, mode: int) -> None:
    """Take from others what they may do with a file or folder of ours, and say so."""
    try:
        found = path.stat()
    except FileNotFoundError:
        return
    if found.st_uid == os.getuid() and stat.S_IMODE(found.st_mode) & 0o077:
        path.chmod(mode)
        log.warning("%s could be read by others; it is closed to them now", path)


def _unwritable(folder: Path, error: OSError) -> Unavailable:
    return Unavailable(
        f"The data folder {folder} can't be written ({error.strerror}); choose another with --data."
    )


def _lock(folder: Path) -> int:
    """Hold the folder for this process; the operating system lets go when it dies."""
    try:
        descriptor = os.open(folder / LOCK_NAME, os.O_RDWR | os.O_CLOEXEC)
    except OSError as error:
        raise _unwritable(folder, error) from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(descriptor)
        raise Unavailable(
            f"Another server uses the data folder {folder}; stop it or choose another with --data."
        ) from error
    return descriptor


def _bring_up(path: Path) -> None:
    """Bring a file to the newest schema, and to its journal mode, which it keeps.

    Connections that did it at once would clash.
    """
    try:
        if not is_current(path):
            migrate(f"sqlite:///{path}")
        with closing(sqlite3.connect(path)) as connection:
            connection.execute("PRAGMA journal_mode = WAL")
    except (sqlite3.DatabaseError, DatabaseError) as error:
        why = getattr(error, "orig", error)
        raise Unavailable(
            f"The database {path} can't be used ({why}); `promptreel doctor` says more."
        ) from error


def _engine(path: Path, *, writing: bool) -> Engine:
    """Make an engine: one connection that begins at once to write, or a few that only read."""
    url = f"sqlite:///{path}"
    if writing:
        engine = create_engine(url, pool_size=1, max_overflow=0)
    else:  # readers hold no transaction, so there is nothing to begin or to roll back
        engine = create_engine(
            url,
            pool_size=READERS,
            max_overflow=0,
            pool_reset_on_return=None,
            isolation_level="AUTOCOMMIT",
        )

    @event.listens_for(engine, "connect")
    def _prepare(connection: Any, _record: Any) -> None:
        connection.isolation_level = None  # SQLAlchemy's own events say BEGIN
        cursor = connection.cursor()
        cursor.execute(f"PRAGMA busy_timeout = {BUSY_MILLISECONDS}")
        cursor.execute("PRAGMA synchronous = FULL")
        cursor.execute("PRAGMA foreign_keys = ON")
        cursor.execute("PRAGMA cache_size = -16384")
        cursor.execute(f"PRAGMA wal_autocheckpoint = {CHECKPOINT_PAGES}")
        if not writing:
            cursor.execute("PRAGMA query_only = ON")
        cursor.close()

    if writing:

        @event.listens_for(engine, "begin")
        def _begin(connection: Any) -> None:
            connection.exec_driver_sql("BEGIN IMMEDIATE")

    return engine
