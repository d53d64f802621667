"""Servers on one PostgreSQL: advisory locks for what they hold, NOTIFY for what they tell."""

import asyncio
import hashlib
import json
import logging
import secrets
from collections.abc import AsyncIterator, Iterator, Set
from contextlib import asynccontextmanager

from psycopg import AsyncConnection, Error, Notify
from psycopg.conninfo import make_conninfo
from sqlalchemy import Connection

from promptreel_server.errors import StoreUnavailable
from promptreel_server.store.database.feed_signal import News

log = logging.getLogger(__name__)

CHANNEL = "promptreel"
MOST_PAYLOAD = 7_900
"""Bytes of one notice: PostgreSQL takes less than 8,000."""
AGAIN_AFTER = 1.0
"""Seconds until a lost connection is made anew."""

LOCKS = 0x50726F6D
"""First half of the keys of advisory locks that are not names; the second half says which."""
PRESENCE, WRITING, MIGRATING = 1, 2, 3

_SESSION = (
    "SET tcp_keepalives_idle = 10; SET tcp_keepalives_interval = 5; SET tcp_keepalives_count = 3; "
    "SET lock_timeout = 0"
)
_KEEPALIVES = {
    "keepalives": 1,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 25_000,
    "connect_timeout": 10,
}
"""A connection whose other end is gone breaks within half a minute here as well."""
"""PostgreSQL notices within half a minute that a server's machine is gone, and lets go for it; who
joins waits for as long as another server needs to start."""


class PostgresPeers:
    """The servers on one PostgreSQL database.

    Names are held as advisory locks of one connection: PostgreSQL lets go of them when it ends,
    and it ends with the server. Where it breaks while the server lives, others may take up what
    this one has in hand; the epochs of media items fence it then.
    """

    def __init__(self, conninfo: str) -> None:
        self._conninfo = conninfo
        self._name = secrets.token_hex(8)
        self._names: set[str] = set()
        self._present = False
        self._puzzled = False
        """Whether a notice that no server wrote was logged: once is enough."""
        self._connecting = asyncio.Lock()
        self._connection: AsyncConnection | None = None
        self.work = asyncio.Event()

    @asynccontextmanager
    async def starting(self) -> AsyncIterator[bool]:
        """Join, exclusively for the length of the block where no other server is there."""
        alone = await self._ask("SELECT pg_try_advisory_lock(%s, %s)", LOCKS, PRESENCE)
        if not alone:  # while another one starts, this waits
            await self._ask("SELECT pg_advisory_lock_shared(%s, %s)", LOCKS, PRESENCE)
        try:
            yield alone
        finally:
            self._present = True
            if alone:
                await self._ask("SELECT pg_advisory_lock_shared(%s, %s)", LOCKS, PRESENCE)
                await self._ask("SELECT pg_advisory_unlock(%s, %s)", LOCKS, PRESENCE)

    @asynccontextmanager
    async def hold(self, name: str) -> AsyncIterator[bool]:
        """Hold a name, unless this server or another one does already."""
        if name in self._names:  # PostgreSQL would give it to this connection once more
            yield False
            return
        self._names.add(name)
        try:
            held = await self._take(name)
            try:
                yield held
            finally:
                if held:
                    await asyncio.shield(self._let_go(name))
        finally:
            self._names.discard(name)

    async def held_elsewhere(self, name: str) -> bool:
        """Try to take a name, and let go of it at once."""
        taken = await self._take(name)
        if taken:
            await asyncio.shield(self._let_go(name))
        return not taken

    async def _take(self, name: str) -> bool:
        """Take a name; one that is taken while its caller is cancelled is let go of."""
        asking = asyncio.ensure_future(self._ask("SELECT pg_try_advisory_lock(%s)", _key(name)))
        try:
            return await asyncio.shield(asking)
        except asyncio.CancelledError:
            if await asking:
                await self._let_go(name)
            raise

    async def _let_go(self, name: str) -> None:
        connection = self._connection
        if connection is None or connection.closed:
            return  # PostgreSQL has let go of it
        try:
            await connection.execute("SELECT pg_advisory_unlock(%s)", [_key(name)])
        except Error:
            log.warning("the connection that holds this server's work broke")

    def announce(self, connection: Connection, owners: Set[str]) -> None:
        """Notify with the commit; a notice that is told twice in a transaction goes out once."""
        for payload in self._payloads(sorted(owners)):
            connection.exec_driver_sql("SELECT pg_notify(%s, %s)", (CHANNEL, payload))

    def _payloads(self, owners: list[str]) -> Iterator[str]:
        """Notices small enough that together name all owners."""
        payload = json.dumps([self._name, *owners])
        if len(payload) <= MOST_PAYLOAD or len(owners) <= 1:
            yield payload
            return
        middle = len(owners) // 2
        yield from self._payloads(owners[:middle])
        yield from self._payloads(owners[middle:])

    async def call_for_work(self) -> None:
        """Notify at once; lost where the connection is, for the others look by themselves too."""
        try:
            await self._ask("SELECT pg_notify(%s, %s)", CHANNEL, json.dumps([self._name]))
        except StoreUnavailable as error:
            log.warning("the other servers were not called: %s", error.message)

    async def listen(self, news: News) -> None:
        """Listen on a connection of its own, made anew whenever it is lost."""
        while True:
            try:
                await self._listen(news)
            except (Error, OSError) as error:
                log.warning("notices of other servers are not heard now: %s", error)
            await asyncio.sleep(AGAIN_AFTER)

    async def _listen(self, news: News) -> None:
        connection = await self._connect()
        async with connection:
            await connection.execute(f"LISTEN {CHANNEL}")
            # Whatever was told while nobody listened: every feed may have moved.
            rows = await (await connection.execute("SELECT owner_id FROM feeds")).fetchall()
            if rows:
                news.tell({owner_id for (owner_id,) in rows})
            self.work.set()
            async for notice in connection.notifies():
                self._hear(notice, news)

    def _hear(self, notice: Notify, news: News) -> None:
        told = _read(notice.payload)
        if told is None:
            if not self._puzzled:
                self._puzzled = True
                log.warning("a notice on the channel %s is none of a server; ignored", CHANNEL)
            return
        sender, *owners = told
        if sender == self._name:
            return
        if owners:
            news.tell(set(owners))
        else:
            self.work.set()

    async def close(self) -> None:
        """End the connection, and with it all that it holds."""
        if self._connection is not None:
            await self._connection.close()

    async def _ask(self, statement: str, *values: object) -> bool:
        try:
            connection = await self._connected()
            row = await (await connection.execute(statement.encode(), values)).fetchone()
        except Error as error:
            raise StoreUnavailable(
                "The database can't be reached now. Try again shortly.", retry_after=5.0
            ) from error
        return row is not None and row[0] is True

    async def _connected(self) -> AsyncConnection:
        """The connection that holds names, made anew where it is lost."""
        async with self._connecting:
            if self._connection is None or self._connection.closed:
                made = await self._connect()
                await made.execute(_SESSION)
                if self._present:
                    await made.execute("SELECT pg_advisory_lock_shared(%s, %s)", [LOCKS, PRESENCE])
                self._connection = made
            return self._connection

    async def _connect(self) -> AsyncConnection:
        conninfo = make_conninfo(self._conninfo, **_KEEPALIVES)
        return await AsyncConnection.connect(conninfo, autocommit=True)


def _read(payload: str) -> list[str] | None:
    """The names in a notice; None where no server wrote it: whoever may connect may notify."""
    try:
        told = json.loads(payload)
    except (ValueError, RecursionError):
        return None
    if isinstance(told, list) and told and all(isinstance(name, str) for name in told):
        return told
    return None


def _key(name: str) -> int:
    """The key of the advisory lock that stands for a name."""
    digest = hashlib.blake2b(name.encode(), digest_size=8).digest()
    return int.from_bytes(digest, signed=True)
