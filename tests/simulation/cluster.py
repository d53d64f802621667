"""The cluster port in memory: locks that can be lost, notices that can be late or dropped."""

import asyncio
import contextvars
from collections.abc import AsyncIterator, Callable, Set
from contextlib import asynccontextmanager
from typing import Any

from sqlalchemy import Connection

from promptreel_server.errors import StoreUnavailable
from promptreel_server.store.database.feed_signal import News
from tests.simulation.scheduler import PROCESS, Process, Scheduler


class Cluster:
    """What PostgreSQL is to its servers beside the tables: who holds which name, who listens."""

    def __init__(self, scheduler: Scheduler, owners: Callable[[], set[str]]) -> None:
        self.scheduler = scheduler
        self.owners = owners
        """Whose feeds there are: all that a server that listens again may have missed."""
        self.holders: dict[str, object] = {}
        """By name the session that holds it."""
        self.members: list[SimulatedPeers] = []

    def release(self, session: object) -> None:
        """Let go of all that a session holds: it has ended."""
        for name in [name for name, holder in self.holders.items() if holder is session]:
            del self.holders[name]

    def tell(self, sender: "SimulatedPeers", owners: set[str] | None) -> None:
        """Notify the others, each after a while or never; owners None calls for work."""
        dice = self.scheduler.dice
        for member in self.members:
            if member is sender or member.process.dead or not member.listening:
                continue
            if dice.random() >= self.scheduler.weather.lost_notice:
                self.scheduler.call_later(
                    self.scheduler.latency(), member.hear, owners, context=member.context
                )


class SimulatedPeers:
    """One server's place in the cluster; behaves as `PostgresPeers` says."""

    def __init__(self, cluster: Cluster, process: Process) -> None:
        self.process = process
        self.listening = False
        self.work = asyncio.Event()
        self.context = _context_of(process)
        self._cluster = cluster
        self._session = object()
        self._names: set[str] = set()
        self._news: News | None = None
        cluster.members.append(self)

    def lose_session(self) -> None:
        """Lose the connection that holds names: the server learns nothing of it."""
        self._cluster.release(self._session)
        self._session = object()

    def lose_listening(self) -> None:
        """Lose the connection that listens, until `listen_again`."""
        self.listening = False

    def listen_again(self) -> None:
        """Listen anew: whatever was told meanwhile may have been anything."""
        self.listening = True
        owners = self._cluster.owners()
        if self._news is not None and owners:
            self._news.tell(owners)
        self.work.set()

    def hear(self, owners: set[str] | None) -> None:
        """Take a notice."""
        if not self.listening or self._news is None:
            return
        if owners is None:
            self.work.set()
        else:
            self._news.tell(owners)

    @asynccontextmanager
    async def starting(self) -> AsyncIterator[bool]:
        """Others may be there."""
        yield False

    @asynccontextmanager
    async def hold(self, name: str) -> AsyncIterator[bool]:
        """Hold a name, unless this server or another one does already."""
        if name in self._names:
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
        asking = asyncio.ensure_future(self._ask(lambda: self._try(name)))
        try:
            return bool(await asyncio.shield(asking))
        except asyncio.CancelledError:
            if await asking:
                await self._let_go(name)
            raise

    def _try(self, name: str) -> bool:
        if name in self._cluster.holders:
            # As an advisory lock it is given once more to the session that has it.
            return self._cluster.holders[name] is self._session
        self._cluster.holders[name] = self._session
        return True

    async def _let_go(self, name: str) -> None:
        session = self._session

        def release() -> None:
            if self._cluster.holders.get(name) is session:
                del self._cluster.holders[name]

        await self._cluster.scheduler.access(release)

    def announce(self, connection: Connection, owners: Set[str]) -> None:
        """Notify with the commit."""
        self._cluster.tell(self, set(owners))

    async def call_for_work(self) -> None:
        """Notify at once."""
        await self._cluster.scheduler.access(lambda: self._cluster.tell(self, None))

    async def listen(self, news: News) -> None:
        """Listen until cancelled."""
        self._news = news
        self.listen_again()
        await asyncio.get_running_loop().create_future()

    async def close(self) -> None:
        """Leave, and let go of everything."""
        self._cluster.release(self._session)
        self.listening = False

    async def _ask(self, work: Callable[[], Any]) -> Any:
        """Ask over the connection; its loss before the answer is told as such."""
        session = self._session

        def asked() -> Any:
            self._require(session)
            return work()

        answer = await self._cluster.scheduler.access(asked)
        self._require(session)
        return answer

    def _require(self, session: object) -> None:
        if session is not self._session:
            raise StoreUnavailable("The database can't be reached now.", retry_after=5.0)


def _context_of(process: Process) -> contextvars.Context:
    context = contextvars.Context()
    context.run(PROCESS.set, process)
    return context
