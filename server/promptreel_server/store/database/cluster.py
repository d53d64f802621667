"""The other servers on the same database: what they hold, and what they are told."""

import asyncio
from collections.abc import AsyncIterator, Set
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Protocol

from sqlalchemy import Connection

from promptreel_server.store.database.feed_signal import News


class Peers(Protocol):
    """Keeps servers on one database from doing the same work, and wakes them for news."""

    work: asyncio.Event
    """Set when another server has work that may be taken up here."""

    def starting(self) -> AbstractAsyncContextManager[bool]:
        """Join the servers; True where there is no other, and none can join during the block.

        Raises:
            StoreUnavailable: the database can't be asked now.
        """
        ...

    def hold(self, name: str) -> AbstractAsyncContextManager[bool]:
        """Hold a name for the length of the block; False where it is held, here or elsewhere.

        What a server holds is let go when it dies.

        Raises:
            StoreUnavailable: the database can't be asked now.
        """
        ...

    async def held_elsewhere(self, name: str) -> bool:
        """Tell whether another server holds a name.

        Raises:
            StoreUnavailable: the database can't be asked now.
        """
        ...

    def announce(self, connection: Connection, owners: Set[str]) -> None:
        """Tell the others, with the commit of this transaction, whose feeds have moved."""
        ...

    async def call_for_work(self) -> None:
        """Tell the others that there is work to be taken up; they look for it anyway, but later."""
        ...

    async def listen(self, news: News) -> None:
        """Pass on what the others tell, until cancelled."""
        ...

    async def close(self) -> None:
        """Leave, and let go of everything."""
        ...


WAIT_SECONDS = 0.05
"""Between looks whether a name was let go."""


@asynccontextmanager
async def waited_for(peers: Peers, name: str) -> AsyncIterator[None]:
    """Hold a name for the length of the block, as soon as nobody else does."""
    while True:
        async with peers.hold(name) as held:
            if held:
                yield
                return
        await asyncio.sleep(WAIT_SECONDS)


class NoPeers:
    """A server that has its database to itself."""

    def __init__(self) -> None:
        self._names: set[str] = set()
        self.work = asyncio.Event()

    @asynccontextmanager
    async def starting(self) -> AsyncIterator[bool]:
        """It is always alone."""
        yield True

    @asynccontextmanager
    async def hold(self, name: str) -> AsyncIterator[bool]:
        """Hold a name, unless this server does already."""
        if name in self._names:
            yield False
            return
        self._names.add(name)
        try:
            yield True
        finally:
            self._names.discard(name)

    async def held_elsewhere(self, name: str) -> bool:
        """There is no other server."""
        return False

    def announce(self, connection: Connection, owners: Set[str]) -> None:
        """There is nobody to tell."""

    async def call_for_work(self) -> None:
        """There is nobody to call."""

    async def listen(self, news: News) -> None:
        """Nobody says anything."""

    async def close(self) -> None:
        """Nothing is held."""
