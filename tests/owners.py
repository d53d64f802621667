"""Owners of keys on a server that runs: each is nobody that was before."""

import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from promptreel_server.app import opened
from promptreel_server.domain.key import Scope
from promptreel_server.settings import Settings
from promptreel_server.store.access import api_keys
from promptreel_server.store.database.database import Database
from tests.gateway.loop_thread import LoopThread


class Owners:
    """Makes keys in the database of a server, without a process for each."""

    def __init__(self, database: Database, thread: LoopThread) -> None:
        self._database = database
        self._thread = thread
        self._numbers = itertools.count()

    def fresh(self) -> str:
        """Name an owner that has nothing yet."""
        return f"owner-{next(self._numbers)}"

    def key(self, owner: str | None = None, scope: Scope = Scope.ADMIN) -> str:
        """Make a key of an owner, a fresh one where none is named."""
        secret = api_keys.new_secret()
        owner_id = self.fresh() if owner is None else owner
        self._thread.run(
            self._database.write(
                lambda tx: api_keys.create(
                    tx, owner_id=owner_id, name="test", scope=scope, secret=secret
                )
            )
        )
        return secret


@contextmanager
def owners_of(data: Path) -> Iterator[Owners]:
    """Open the database of a server's data folder for the length of the block."""
    thread = LoopThread()
    opening = opened(Settings(data=data), exclusive=False)
    try:
        database = thread.run(opening.__aenter__())
        yield Owners(database, thread)
        thread.run(opening.__aexit__(None, None, None))
    finally:
        thread.close()
