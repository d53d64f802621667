"""The one writer: drains its queue into one transaction at a time (group commit)."""

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any, TypeVar

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError

from promptreel_server.clock import Clock
from promptreel_server.errors import StoreUnavailable, Unavailable
from promptreel_server.store.database import transient_errors
from promptreel_server.store.schema.transaction import Transaction

log = logging.getLogger(__name__)

Item = TypeVar("Item")
Result = TypeVar("Result")

MOST_PER_COMMIT = 512
"""Changes that share one commit at the most: bounds how long the first of them waits."""

MOST_QUEUED = 20_000
"""Changes that may wait in the queue: what comes after them waits before it."""

TROUBLE_LASTS = 60.0
"""Seconds for which trouble is told after it was last met: who must write tries within them."""

MOST_WAIT = 30.0
"""Seconds that a change waits before a full queue; then it is refused."""


class Broken(Exception):
    """A change raised something beyond Exception; `__cause__` is what."""


Apply = Callable[[Transaction, Sequence[Any]], Sequence[Any]]


@dataclass(eq=False)
class _Change:
    """A change in the queue: alike ones (the same `apply`) are applied together."""

    apply: Apply
    item: Any
    future: "asyncio.Future[Any]"
    result: Any = None
    error: BaseException | None = field(default=None)


class Writer:
    """Applies changes in the order they came, many to a commit.

    A change is answered after the commit that holds it. One that fails is rolled back alone.
    """

    def __init__(
        self,
        engine: Engine,
        clock: Clock,
        on_commit: Callable[[set[str]], None],
        announce: Callable[[Connection, set[str]], None],
        came_through: Callable[[], bool],
    ) -> None:
        """Write over an engine.

        `on_commit` hears on the loop whose feeds a commit has moved, `announce` tells it to other
        servers within the transaction, and `came_through` answers whether the last transaction was
        committed though its commit was not answered.
        """
        self._engine = engine
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="writer")
        self._connection: Connection | None = None
        self._clock = clock
        self._on_commit = on_commit
        self._announce = announce
        self._came_through = came_through
        self._queue: asyncio.Queue[_Change | None] = asyncio.Queue(MOST_QUEUED)
        self._stopped = False
        self._commits = 0
        self.commit_in_hand: int | None = None
        """The number of the commit that is being made; None where nothing is to be written."""
        self._trouble = ""
        self._trouble_at = -TROUBLE_LASTS

    @property
    def trouble(self) -> str | None:
        """Why something could not be written lately; None where all could."""
        lately = time.monotonic() - self._trouble_at < TROUBLE_LASTS
        return self._trouble if lately else None

    @property
    def waiting(self) -> int:
        """How many changes wait in the queue."""
        return self._queue.qsize()

    async def write(self, change: Callable[[Transaction], Result]) -> Result:
        """Apply one change and answer what it returns, once it is committed."""

        def apply(transaction: Transaction, items: Sequence[None]) -> list[Result]:
            return [change(transaction) for _ in items]

        return await (await self._submit(apply, None))

    async def write_grouped(
        self,
        apply: Callable[[Transaction, Sequence[Item]], Sequence[Result]],
        item: Item,
    ) -> Result:
        """Apply `item` together with its neighbours in the queue that have the same `apply`."""
        return await (await self._submit(apply, item))

    async def queue_grouped(
        self,
        apply: Callable[[Transaction, Sequence[Item]], Sequence[Result]],
        item: Item,
    ) -> "asyncio.Future[Result]":
        """Queue like `write_grouped`, and answer at once what its result will be."""
        return await self._submit(apply, item)

    async def _submit(
        self, apply: Callable[..., Sequence[Result]], item: Any
    ) -> "asyncio.Future[Result]":
        if self._stopped:
            raise Unavailable("The server is stopping; try again shortly.", retry_after=1.0)
        future: asyncio.Future[Result] = asyncio.get_running_loop().create_future()
        change = _Change(apply=apply, item=item, future=future)
        try:
            self._queue.put_nowait(change)
        except asyncio.QueueFull:
            await self._wait_for_room(change)
        return future

    async def _wait_for_room(self, change: _Change) -> None:
        try:
            async with asyncio.timeout(MOST_WAIT):
                await self._queue.put(change)
        except TimeoutError as error:
            raise StoreUnavailable(
                f"{MOST_QUEUED} changes wait to be written; try again shortly.", retry_after=5.0
            ) from error

    async def run(self) -> None:
        """Write until `stop` was called and the queue is empty."""
        stopping = False
        try:
            while not stopping:
                changes: list[_Change] = []
                following = await self._queue.get()
                while following is not None:
                    changes.append(following)
                    if len(changes) >= MOST_PER_COMMIT or self._queue.empty():
                        break
                    following = self._queue.get_nowait()
                stopping = following is None
                if changes:
                    await self._commit(changes)
        finally:
            self._thread.submit(self._close)
            self._thread.shutdown(wait=True)

    async def stop(self) -> None:
        """Take no further change; those in the queue are still written."""
        if not self._stopped:
            self._stopped = True
            await self._queue.put(None)

    async def _commit(self, changes: list[_Change]) -> None:
        moved: set[str] = set()
        loop = asyncio.get_running_loop()
        self._commits += 1
        self.commit_in_hand = self._commits
        try:
            await loop.run_in_executor(self._thread, self._write_all, changes, moved)
        except Exception as error:  # noqa: BLE001 - every waiting caller gets it
            for change in changes:
                change.error = change.error or error
        finally:
            self.commit_in_hand = None
        self._told(changes)
        if moved:
            self._on_commit(moved)
        for change in changes:
            if change.future.done():
                continue
            if change.error is not None:
                change.future.set_exception(change.error)
            else:
                change.future.set_result(change.result)

    def _told(self, changes: list[_Change]) -> None:
        """Say what passes as such, and remember it: beside it, small changes may still succeed."""
        for change in changes:
            if change.error is not None:
                change.error = transient_errors.known(change.error)
                if isinstance(change.error, StoreUnavailable):
                    if self.trouble is None:  # once, however many changes wait for it to pass
                        log.warning("changes can't be written: %s", change.error.message)
                    self._trouble, self._trouble_at = change.error.message, time.monotonic()

    def _write_all(self, changes: list[_Change], moved: set[str]) -> None:
        """Write a group in one transaction; runs in the writer's thread.

        Whatever is raised is an Exception: what extensions raise beside it (a panic of Rust code is
        a BaseException) would end the writer's task, and with it the server.
        """
        try:
            self._write_group(changes, moved)
        except Exception:
            raise
        except BaseException as error:
            raise _broken(error) from error

    def _write_group(self, changes: list[_Change], moved: set[str]) -> None:
        if self._connection is None:
            self._connection = self._engine.connect()
        with self._connection.begin() as begun:
            transaction = Transaction(connection=self._connection, now=self._clock(), moved=moved)
            alone = len(changes) == 1
            for _, alike in groupby(changes, key=lambda change: change.apply):
                _apply(transaction, list(alike), alone=alone)
            if moved:
                self._announce(self._connection, moved)
            if alone and changes[0].error is not None:
                begun.rollback()
                return
            try:
                begun.commit()
            except DBAPIError as error:
                begun.rollback()
                if not (error.connection_invalidated and self._came_through()):
                    raise

    def _close(self) -> None:
        if self._connection is not None:
            self._connection.close()


def _apply(transaction: Transaction, changes: list[_Change], *, alone: bool) -> None:
    try:
        if alone:
            results = changes[0].apply(transaction, [changes[0].item])
        else:
            with transaction.connection.begin_nested():
                results = changes[0].apply(transaction, [change.item for change in changes])
    except BaseException as error:
        if not _under_way(transaction.connection):
            raise  # the database has rolled everything back: nothing of the group stands
        if len(changes) == 1:
            changes[0].error = error if isinstance(error, Exception) else _broken(error)
            return
        for change in changes:
            _apply(transaction, [change], alone=False)
        return
    for change, result in zip(changes, results, strict=True):
        change.result = result


def _broken(error: BaseException) -> Broken:
    broken = Broken(f"{type(error).__name__}: {error}")
    broken.__cause__ = error
    return broken


def _under_way(connection: Connection) -> bool:
    """Tell whether the transaction still stands: SQLite ends it by itself where a disk fails."""
    return bool(getattr(connection.connection.dbapi_connection, "in_transaction", True))
