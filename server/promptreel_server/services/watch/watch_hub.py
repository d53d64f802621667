"""Tails: how watches read the feed, woken by commits, each at its own pace."""

import asyncio
import logging
from collections import Counter
from collections.abc import AsyncGenerator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import Enum

from sqlalchemy import Connection

from promptreel_server.concurrency.rate_limiter import Pace, Rate
from promptreel_server.errors import Invalid, RateLimited, StoreUnavailable
from promptreel_server.services.call.context import current_call
from promptreel_server.services.watch.feed_item import Told
from promptreel_server.services.watch.feed_tail import Follower, Found, Tail
from promptreel_server.store import feed
from promptreel_server.store.database.database import Database
from promptreel_server.store.feed import EventFilter
from promptreel_server.store.runs import retries, runs

log = logging.getLogger(__name__)

BATCH = 100
"""Things that a watch takes at once: what it holds in memory at the most."""

TURNS_A_SECOND = 2000
"""Batches that all watches together send: a run goes on at its pace however many watch it."""

LOOK_EVERY = 5.0
"""Seconds after which feeds are read without news: a notice of another server may be lost."""

REST_SECONDS = 0.004
"""Pause after each read of what commits brought: more commits share the next one."""


@dataclass(frozen=True, kw_only=True)
class WatchLimits:
    """Bounds of watches."""

    heartbeat: float = 15.0
    """Seconds of silence before a heartbeat."""
    most_per_key: int = 20_000
    """Watches that one key may have open."""
    slow_seconds: float = 60.0
    """How long a reader may take for one batch before it is told to come back."""


class End(Enum):
    """Why a watch ends."""

    RUN_ENDED = "run_ended"
    TOO_SLOW = "too_slow"
    DRAINING = "draining"


@dataclass(frozen=True, kw_only=True)
class Start:
    """Where a watch begins: after `at`, in a feed that has come to `newest`."""

    at: int
    newest: int
    ended: bool = False
    """Whether the run that it is about is over: then what is there is all there is."""


@dataclass(frozen=True, kw_only=True)
class Batch:
    """What a watch is told next, and where it stands after it.

    Nothing told and no end: nothing happened for as long as a heartbeat takes.
    """

    told: tuple[Told, ...] = ()
    at: int
    end: End | None = None


class Tails:
    """Opens watches on the feeds of callers, and ends them all when the server drains."""

    def __init__(self, database: Database, limits: WatchLimits) -> None:
        self._database = database
        self._limits = limits
        self._open: Counter[str] = Counter()
        self._tails: dict[str, Tail] = {}
        self._pace = Pace(Rate(per_second=TURNS_A_SECOND, burst=TURNS_A_SECOND // 50))
        self._draining = False

    @property
    def open(self) -> int:
        """How many watches are open."""
        return self._open.total()

    def drain(self) -> None:
        """End every watch, so that its reader comes back to another server or a later start."""
        self._draining = True
        for tail in self._tails.values():
            tail.wake_all()

    async def run(self) -> None:
        """Read what commits bring, once for all watches of an owner, until cancelled."""
        loop = asyncio.get_running_loop()
        late: set[str] = set()
        look_at = loop.time() + LOOK_EVERY
        while True:
            until = min(self._seconds_to_due(loop.time()), max(0.0, look_at - loop.time()))
            moved = late or await self._database.news.wait(until)
            now = loop.time()
            if now >= look_at:
                look_at = now + LOOK_EVERY
                moved = moved | await self._unheard()
            due = {tail.owner_id for tail in self._tails.values() if (tail.due_at() or now) < now}
            tails = [self._tails[owner] for owner in moved | due if owner in self._tails]
            try:
                late = await self._read(tails, now)
            except StoreUnavailable as error:
                log.warning("watches wait for the store: %s", error.message)
                late = moved
                await asyncio.sleep(1.0)
            await asyncio.sleep(REST_SECONDS)

    def _seconds_to_due(self, now: float) -> float:
        times = [at for tail in self._tails.values() if (at := tail.due_at()) is not None]
        return max(0.0, min(times) - now) + 0.001 if times else LOOK_EVERY

    async def _unheard(self) -> set[str]:
        """Whose feeds have moved though nobody said so: a notice of another server was lost."""
        behind = {owner: tail.at for owner, tail in self._tails.items()}
        if not behind:
            return set()
        try:
            newest = await self._database.read(lambda c: feed.newest_of(c, [*behind]))
        except StoreUnavailable as error:
            log.warning("watches wait for the store: %s", error.message)
            return set()
        return {owner for owner, sequence in newest.items() if sequence > behind[owner]}

    async def _read(self, tails: list[Tail], now: float) -> set[str]:
        """Read for these owners; answers whose feeds hold more."""
        if not tails:
            return set()

        def read(c: Connection) -> list[Found]:
            return [tail.read(c, now) for tail in tails]

        brought = await self._database.read_snapshot(read)
        for tail, found in zip(tails, brought, strict=True):
            tail.take_in(found, now)
        return {tail.owner_id for tail, found in zip(tails, brought, strict=True) if found.full}

    @contextmanager
    def counted(self) -> Iterator[None]:
        """Count a watch of the current call's key for the length of the block.

        Raises:
            RateLimited: the key has too many open.
        """
        key_id = current_call().key_id
        if self._open[key_id] >= self._limits.most_per_key:
            raise RateLimited(
                f"This key has {self._limits.most_per_key} watches open; close some.",
                retry_after=10.0,
            )
        self._open[key_id] += 1
        try:
            yield
        finally:
            self._open[key_id] -= 1
            if not self._open[key_id]:
                del self._open[key_id]

    async def follow(
        self, owner_id: str, start: Start, wanted: EventFilter, *, standings: bool = False
    ) -> AsyncGenerator[Batch]:
        """Tell what happens; the last batch, and no other, has an end.

        With a run in the filter that is its end, once all that belongs to it was told. Silence is
        what the reader hears, however much happens that its filter holds back.
        """
        loop = asyncio.get_running_loop()
        with (
            self._tail(owner_id, start.newest) as tail,
            tail.followed(wanted, start.at, standings=standings) as reader,
        ):
            reader.ended = start.ended
            given = loop.time()
            while not self._draining:
                if reader.position is None and reader.ended and wanted.run_id is not None:
                    reader.ended, last = await self._over(wanted.run_id)
                    if reader.ended and reader.position is None and reader.at >= last:
                        yield Batch(at=reader.at, end=End.RUN_ENDED)
                        return
                    if reader.ended:  # what is left to tell is on its way through the tail
                        await reader.wait(self._limits.heartbeat)
                    continue
                if (left := given + self._limits.heartbeat - loop.time()) <= 0:
                    if reader.position is None:
                        reader.at = max(reader.at, tail.at)
                    given = loop.time()
                    yield Batch(at=reader.at)
                    continue
                if reader.position is None:
                    await reader.wait(left)
                    continue
                await self._pace.turn()
                told = await self._next(tail, reader)
                if not told:
                    continue
                given = loop.time()
                yield Batch(told=tuple(told), at=reader.at)
                del told  # ten thousand quiet watches need not hold what they told last
                if loop.time() - given > self._limits.slow_seconds:
                    yield Batch(at=reader.at, end=End.TOO_SLOW)
                    return
            yield Batch(at=reader.at, end=End.DRAINING)

    async def _over(self, run_id: str) -> tuple[bool, int]:
        """Whether a run that has ended was not taken up again since, and its last sequence."""
        await self._pace.turn()
        return await self._database.read_snapshot(
            lambda c: (has_ended(c, run_id), feed.last_of_run(c, run_id))
        )

    @contextmanager
    def _tail(self, owner_id: str, newest: int) -> Iterator[Tail]:
        """Keep the tail of an owner for as long as somebody follows it."""
        tail = self._tails.get(owner_id)
        if tail is None:
            tail = self._tails[owner_id] = Tail(owner_id, newest)
            self._database.news.tell({owner_id})  # what was committed since `newest` was read
        try:
            yield tail
        finally:
            if tail.forsaken and self._tails.get(owner_id) is tail:
                del self._tails[owner_id]

    async def _next(self, tail: Tail, reader: Follower) -> list[Told]:
        if tail.keeps(reader):
            return tail.take(reader, BATCH)
        owner_id, at, wanted = tail.owner_id, reader.at, reader.wanted

        def read(c: Connection) -> tuple[list[Told], int, bool]:
            _check_kept(c, owner_id, at)
            events = feed.after(c, owner_id, at, wanted, BATCH)
            if len(events) == BATCH:
                return [Told(e.sequence, event=e) for e in events], events[-1].sequence, False
            newest = max(at, feed.last_sequence(c, owner_id))
            ended = wanted.run_id is not None and has_ended(c, wanted.run_id)
            return [Told(e.sequence, event=e) for e in events], newest, ended

        told, at, ended = await self._database.read_snapshot(read)
        reader.ended = reader.ended or ended
        tail.settle(reader, at)
        return told


def begin(
    c: Connection, owner_id: str, after: int | None, *, run_id: str | None, whole: bool = False
) -> Start:
    """Say where a watch begins: after what the caller has seen, else now (`whole`: at first).

    Raises:
        Invalid: negative, or so old that events between have been removed.
    """
    newest = feed.last_sequence(c, owner_id)
    ended = run_id is not None and has_ended(c, run_id)
    if after is None:
        return Start(at=0 if whole else newest, newest=newest, ended=ended)
    if after < 0:
        raise Invalid.field("after_sequence", "a sequence seen before, or nothing")
    _check_kept(c, owner_id, after)
    return Start(at=min(after, newest), newest=newest, ended=ended)


def _check_kept(c: Connection, owner_id: str, after: int) -> None:
    """See that no event after a sequence has been removed; 0 asks for what there is."""
    oldest = feed.oldest_sequence(c, owner_id) or feed.last_sequence(c, owner_id) + 1
    if 0 < after < oldest - 1:
        raise Invalid.field(
            "after_sequence", f"events before {oldest} are no longer kept; begin anew"
        )


def has_ended(c: Connection, run_id: str) -> bool:
    """Whether a run is over and no retry of it is under way, or it is gone."""
    run = runs.load(c, run_id)
    return run is None or (run.status.terminal and not retries.any_open(c, run_id))
