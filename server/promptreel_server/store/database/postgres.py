"""The store on PostgreSQL: several servers on one database, their writers taking turns."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import psycopg
from psycopg.conninfo import make_conninfo
from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError

from promptreel_server.clock import Clock, utc_now
from promptreel_server.errors import Invalid, Unavailable
from promptreel_server.store.database.database import Database
from promptreel_server.store.database.postgres_cluster import (
    AGAIN_AFTER,
    LOCKS,
    MIGRATING,
    WRITING,
    PostgresPeers,
)
from promptreel_server.store.schema.migrate import migrate, newest

log = logging.getLogger(__name__)

READERS = 4
CONNECT_SECONDS = 10
LOCK_SECONDS = 30
"""How long a transaction waits for the writers of other servers before it is refused."""
SETTLE_SECONDS = 60.0
"""How long to ask what became of a commit before it counts as failed."""
SNAPSHOT = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"

_OPTIONS: dict[str, Any] = {
    "application_name": "promptreel",
    "connect_timeout": CONNECT_SECONDS,
    "options": f"-c timezone=UTC -c lock_timeout={LOCK_SECONDS}s",
}
_MIGRATING = "SELECT pg_advisory_lock(%s, %s)"
_WRITING = "SELECT pg_advisory_xact_lock(%s, %s)"


@asynccontextmanager
async def open_postgres(
    url: str, *, clock: Clock = utc_now, migrating: bool = True
) -> AsyncIterator[Database]:
    """Open a database, brought to the newest schema where that is wanted.

    Raises:
        Invalid: the URL is none of PostgreSQL.
        Unavailable: it can't be reached, refuses this user, or has an older schema.
    """
    address = _address(url)
    try:
        await asyncio.to_thread(_bring_up_to_date, address, migrating=migrating)
    except (psycopg.Error, DBAPIError) as error:
        raise Unavailable(
            f"PostgreSQL at {address.host or 'the local socket'} can't be used: "
            f"{str(error).strip()}"
        ) from error
    peers = PostgresPeers(_conninfo(address))
    commits = _Commits(address)
    database = Database(
        reading=_reading(address),
        writing=_writing(address, commits),
        readers=READERS,
        clock=clock,
        peers=peers,
        snapshot=SNAPSHOT,
        came_through=commits.came_through,
    )
    async with database.running():
        yield database


def _address(url: str) -> URL:
    try:
        address = make_url(url)
    except ArgumentError as error:
        raise Invalid("database_url is no URL; postgresql://USER:PASSWORD@HOST/NAME is.") from error
    if address.get_backend_name() != "postgresql":
        raise Invalid(
            f"database_url names {address.get_backend_name()}; it must begin with postgresql://."
        )
    return address.set(drivername="postgresql+psycopg")


def _conninfo(address: URL) -> str:
    plain = address.set(drivername="postgresql").render_as_string(hide_password=False)
    return make_conninfo(plain, **_OPTIONS)


def _bring_up_to_date(address: URL, *, migrating: bool) -> None:
    """Migrate, one server at a time, unless the schema is the newest."""
    with psycopg.connect(_conninfo(address), autocommit=True) as connection:
        if _revision(connection) == newest():
            return
        if not migrating:
            raise Unavailable("The database has an older schema; start a server to migrate it.")
        connection.execute("SET lock_timeout = 0")  # a migration of another server may take long
        connection.execute(_MIGRATING, [LOCKS, MIGRATING])
        if _revision(connection) != newest():
            migrate(address.render_as_string(hide_password=False))


def _revision(connection: "psycopg.Connection[tuple[Any, ...]]") -> str | None:
    if connection.execute("SELECT to_regclass('alembic_version')").fetchone() == (None,):
        return None
    row = connection.execute("SELECT version_num FROM alembic_version").fetchone()
    return None if row is None else str(row[0])


class _Commits:
    """Knows whether a commit came through whose answer was lost with the connection."""

    def __init__(self, address: URL) -> None:
        self._conninfo = _conninfo(address)
        self._transaction = ""

    def begin(self, connection: Connection) -> None:
        """Wait for the writers of other servers: what a change reads stays true until it commits.

        Sequences of a feed come in the order of commits for the same reason.
        """
        connection.exec_driver_sql(_WRITING, (LOCKS, WRITING))
        named = connection.exec_driver_sql("SELECT pg_current_xact_id()::text")
        self._transaction = str(named.scalar_one())

    def came_through(self) -> bool:
        """Tell whether the last transaction was committed; waits for PostgreSQL to say so.

        Where it does not in time, the answer is no: what is then written again may be counted
        twice, which `promptreel doctor` would find.
        """
        until = time.monotonic() + SETTLE_SECONDS
        while True:
            try:
                status = self._status()
            except psycopg.Error:
                status = "unknown"
            if status in ("committed", "aborted") or time.monotonic() > until:
                log.warning("the connection broke in a commit, which was %s", status)
                return status == "committed"
            time.sleep(AGAIN_AFTER)

    def _status(self) -> str:
        with psycopg.connect(self._conninfo, autocommit=True) as connection:
            asked = connection.execute("SELECT pg_xact_status(%s::xid8)", [self._transaction])
            row = asked.fetchone()
        return str(row[0]) if row is not None else "unknown"


def _reading(address: URL) -> Engine:
    """Make an engine of a few connections that only read."""
    engine = create_engine(
        address,
        pool_size=READERS,
        max_overflow=0,
        pool_reset_on_return=None,
        isolation_level="AUTOCOMMIT",
        connect_args=_OPTIONS,
    )

    @event.listens_for(engine, "connect")
    def _prepare(connection: Any, _record: Any) -> None:
        connection.execute("SET default_transaction_read_only = on")
        connection.commit()

    return engine


def _writing(address: URL, commits: _Commits) -> Engine:
    """Make an engine of one connection whose transactions take turns with other servers'."""
    engine = create_engine(address, pool_size=1, max_overflow=0, connect_args=_OPTIONS)
    event.listen(engine, "begin", commits.begin)

    @event.listens_for(engine, "before_cursor_execute", retval=True)
    def _store_no_zeros(
        _connection: Any, _cursor: Any, statement: str, values: Any, _context: Any, many: bool
    ) -> tuple[str, Any]:
        if many:
            return statement, [_without_zeros(row) for row in values]
        return statement, _without_zeros(values)

    return engine


def _without_zeros(values: Any) -> Any:
    """Replace the one character that PostgreSQL's texts can't hold."""
    if isinstance(values, dict):
        return {name: _without_zero(value) for name, value in values.items()}
    return tuple(map(_without_zero, values))


def _without_zero(value: Any) -> Any:
    return value.replace("\0", "\N{REPLACEMENT CHARACTER}") if isinstance(value, str) else value
