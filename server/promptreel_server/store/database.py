"""The database: many readers, one writer, and news after each commit."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import TypeVar

from sqlalchemy import Connection
from sqlalchemy.ext.asyncio import AsyncEngine

from promptreel_server.clock import Clock, utc_now
from promptreel_server.store.news import News
from promptreel_server.store.transaction import Transaction
from promptreel_server.store.writer import Writer

Item = TypeVar("Item")
Result = TypeVar("Result")


class Database:
    """Reads run side by side; changes go through one writer and share commits.

    The functions given to it are ordinary ones over a SQLAlchemy connection: they compose, and
    they know nothing of asyncio.
    """

    def __init__(
        self, *, reading: AsyncEngine, writing: AsyncEngine, clock: Clock = utc_now
    ) -> None:
        self._reading = reading
        self._writing = writing
        self.clock = clock
        self.news = News()
        self._writer = Writer(writing, clock, self.news.tell)

    @asynccontextmanager
    async def running(self) -> AsyncIterator["Database"]:
        """Keep the writer going for the block; what is queued is still written at its end."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._writer.run(), name="writer")
            try:
                yield self
            finally:
                await self._writer.stop()
        await self._reading.dispose()
        await self._writing.dispose()

    async def read(self, reading: Callable[[Connection], Result]) -> Result:
        """Run statements that each see the newest commit."""
        async with self._reading.connect() as connection:
            return await connection.run_sync(reading)

    async def read_snapshot(self, reading: Callable[[Connection], Result]) -> Result:
        """Run statements that all see the same commit."""
        async with self._reading.connect() as connection:
            await connection.exec_driver_sql("BEGIN")
            try:
                return await connection.run_sync(reading)
            finally:
                await connection.exec_driver_sql("ROLLBACK")

    async def write(self, change: Callable[[Transaction], Result]) -> Result:
        """Apply a change; answers once it is committed."""
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
