"""The databases that interleavings run over: real ones, emptied between two of them."""

import contextlib
import shutil
import sqlite3
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, NullPool, delete

from promptreel_server.clock import Clock
from promptreel_server.store.database import postgres, sqlite
from promptreel_server.store.database.cluster import Peers
from promptreel_server.store.database.database import Database
from promptreel_server.store.schema.migrate import migrate
from promptreel_server.store.schema.tables import metadata
from tests.postgres import Postgres

Lost = Callable[[], bool | None]
"""Asked at each commit: None lets it be answered; else its answer is lost, and True lets it
through."""

_LOST = "the answer to COMMIT was lost"


class Backend:
    """A database that several servers of one process open, each through an object of its own."""

    name: str

    def __init__(self, reading: Engine, writing: Engine, snapshot: str) -> None:
        self._reading = reading
        self._writing = writing
        self._snapshot = snapshot
        self._lost: Lost = lambda: None
        self._through = False
        self._spying = reading.connect()
        self._lose_answers(writing.dialect)

    def _lose_answers(self, dialect: Any) -> None:
        commit, disconnected = dialect.do_commit, dialect.is_disconnect

        def do_commit(connection: Any) -> None:
            lost = self._lost()
            if lost is None:
                commit(connection)
                return
            if lost:
                commit(connection)
            else:
                dialect.do_rollback(connection)
            self._through = lost
            raise dialect.loaded_dbapi.OperationalError(_LOST)

        dialect.do_commit = do_commit
        dialect.is_disconnect = lambda error, *rest: (
            _LOST in str(error) or disconnected(error, *rest)
        )

    def open(self, clock: Clock, peers: Peers) -> Database:
        """What one server has of the database."""
        return Database(
            reading=self._reading,
            writing=self._writing,
            clock=clock,
            peers=peers,
            snapshot=self._snapshot,
            came_through=lambda: self._through,
        )

    def drop(self, database: Database) -> None:
        """Break the connections of a server that has died."""
        database._writer._close()
        for connection in database._connections:
            connection.close()

    def look(self, reading: Callable[[Connection], Any]) -> Any:
        """Read beside all servers."""
        return reading(self._spying)

    @contextmanager
    def losing(self, lost: Lost) -> Iterator[None]:
        """Decide for the block which commits are not answered."""
        self._lost = lost
        try:
            yield
        finally:
            self._lost = lambda: None

    def empty(self) -> None:
        """Remove every row."""
        with self._writing.connect() as connection, connection.begin():
            for table in reversed(metadata.sorted_tables):
                connection.execute(delete(table))

    def close(self) -> None:
        self._spying.close()
        self._reading.dispose()
        self._writing.dispose()


@contextmanager
def sqlite_backend() -> Iterator[Backend]:
    """A file in memory where there is a folder for such files."""
    shared = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=shared if shared.is_dir() else None) as folder:
        path = Path(folder) / sqlite.FILE_NAME
        migrate(f"sqlite:///{path}")
        with contextlib.closing(sqlite3.connect(path)) as connection:
            connection.execute("PRAGMA journal_mode = WAL")
        backend = Backend(
            _unpooled(sqlite._engine(path, writing=False)),
            _unpooled(sqlite._engine(path, writing=True)),
            "BEGIN",
        )
        backend.name = "sqlite"
        try:
            yield backend
        finally:
            backend.close()


@contextmanager
def postgres_backend(served: Postgres) -> Iterator[Backend]:
    """A database of its own on a PostgreSQL."""
    address = postgres._address(served.new_database())
    commits = postgres._Commits(address)
    backend = Backend(
        _unpooled(postgres._reading(address)),
        _unpooled(postgres._writing(address, commits)),
        postgres.SNAPSHOT,
    )
    backend.name = "postgres"
    try:
        yield backend
    finally:
        backend.close()


def _unpooled(engine: Engine) -> Engine:
    """Let several servers share an engine, each with connections of its own that it really ends."""
    pool = engine.pool
    engine.pool = NullPool(
        pool._creator,
        reset_on_return=pool._reset_on_return,
        dialect=engine.dialect,
        _dispatch=pool.dispatch,
    )
    return engine


def remove(folder: Path) -> None:
    """Remove a folder with all that is in it."""
    shutil.rmtree(folder, ignore_errors=True)
