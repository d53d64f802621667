"""The database: many readers, one writer, and news after each commit."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import TypeVar

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError

from promptreel_server.clock import Clock, utc_now
from promptreel_server.store.database import transient_errors
from promptreel_server.store.database.cluster import NoPeers, Peers
from promptreel_server.store.database.feed_signal import News
from promptreel_server.store.database.writer import Writer
from promptreel_server.store.schema.transaction import Transaction

Item = TypeVar("Item")
Result = TypeVar("Result")


class Database:
    """Reads run side by side; changes go through one writer and share commits.

    The functions given to it are ordinary ones over a SQLAlchemy connection: they compose, and
    know nothing of asyncio. Each runs as a whole in a thread: one hop a transaction, not several
    a statement.
    """

    def __init__(
        self,
        *,
        reading: Engine,
        writing: Engine,
        readers: int = 4,
        clock: Clock = utc_now,
        peers: Peers | None = None,
        snapshot: str = "BEGIN",
        came_through: Callable[[], bool] = lambda: False,
    ) -> None:
        self._reading = reading
        self._writing = writing
        self._threads = ThreadPoolExecutor(readers, thread_name_prefix="reader")
        self._kept = threading.local()
        self._connections: set[Connection] = set()
        self._snapshot = snapshot
        self.clock = clock
        self.news = News()
        self.peers = peers or NoPeers()
        self._writer = Writer(writing, clock, self.news.tell, self.peers.announce, came_through)

    @asynccontextmanager
    async def running(self) -> AsyncIterator["Database"]:
        """Keep the writer going for the block; what is queued is still written at its end."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._writer.run(), name="writer")
            listening = tasks.create_task(self.peers.listen(self.news), name="listening")
            try:
                yield self
            finally:
                listening.cancel()
                await self._writer.stop()
        await self.peers.close()
        self._threads.shutdown(wait=True)
        for connection in self._connections:
            connection.close()
        self._reading.dispose()
        self._writing.dispose()

    @property
    def waiting(self) -> int:
        """How many changes wait to be written."""
        return self._writer.waiting

    def commit_in_hand(self) -> int | None:
        """The number of the commit that the writer has in hand; None where it waits for work."""
        return self._writer.commit_in_hand

    @property
    def trouble(self) -> str | None:
        """Why something could not be written lately; None where all could."""
        return self._writer.trouble

    async def read(self, reading: Callable[[Connection], Result]) -> Result:
        """Run statements that each see the newest commit.

        Raises:
            StoreUnavailable: the database can't be read now.
        """
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, self._read, reading)

    async def read_snapshot(self, reading: Callable[[Connection], Result]) -> Result:
        """Run statements that all see the same commit."""

        def read(connection: Connection) -> Result:
            connection.exec_driver_sql(self._snapshot)
            try:
                return reading(connection)
            finally:
                connection.exec_driver_sql("ROLLBACK")

        return await self.read(read)

    def _read(self, reading: Callable[[Connection], Result]) -> Result:
        """Read over the connection that this thread keeps."""
        connection: Connection | None = getattr(self._kept, "connection", None)
        try:
            if connection is None:
                connection = self._kept.connection = self._reading.connect()
                self._connections.add(connection)
            return reading(connection)
        except DBAPIError as error:
            if error.connection_invalidated and connection is not None:
                self._connections.discard(connection)
                self._kept.connection = None
                connection.close()
            told = transient_errors.known(error)
            if told is error:
                raise
            raise told from error

    async def write(self, change: Callable[[Transaction], Result]) -> Result:
        """Apply a change; answers once it is committed.

        Raises:
            StoreUnavailable: the database can't be written now; nothing of the change stands.
        """
        return await self._writer.write(change)

    async def write_grouped(
        self,
        apply: Callable[[Transaction, Sequence[Item]], Sequence[Result]],
        item: Item,
    ) -> Result:
        """Apply one of many like changes, together with its neighbours in the queue."""
        return await self._writer.write_grouped(apply, item)

    async def queue_grouped(
        self,
        apply: Callable[[Transaction, Sequence[Item]], Sequence[Result]],
        item: Item,
    ) -> "asyncio.Future[Result]":
        """Queue like `write_grouped`; the future must be awaited later on."""
        return await self._writer.queue_grouped(apply, item)
