"""Tails: how watches read the feed, woken by commits, each at its own pace."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from sqlalchemy import Connection

from promptreel_server.errors import Invalid, RateLimited
from promptreel_server.model.event import Event
from promptreel_server.services.call import current_call
from promptreel_server.store import feed, runs
from promptreel_server.store.database import Database
from promptreel_server.store.feed import EventFilter

BATCH = 500
"""Events read at once: what a watch holds in memory at the most."""

READS_A_SECOND = 1000
"""Reads of all tails together while the feed moves fast."""


@dataclass(frozen=True, kw_only=True)
class WatchLimits:
    """Bounds of watches."""

    heartbeat: float = 10.0
    """Seconds of silence before a heartbeat."""
    most_per_key: int = 20_000
    """Watches that one key may have open."""


@dataclass(frozen=True, kw_only=True)
class Batch:
    """What a read found: events in order, and where the tail stands after them.

    `ended`: the run that the tail follows has ended and this is all there was of it. `quiet`:
    nothing came for as long as a heartbeat takes.
    """

    events: tuple[Event, ...]
    at: int
    ended: bool = False
    quiet: bool = False


class Tails:
    """Opens tails on the feeds of callers, and ends them all when the server drains."""

    def __init__(self, database: Database, limits: WatchLimits) -> None:
        self._database = database
        self._limits = limits
        self._open: Counter[str] = Counter()
        self._draining = False

    @property
    def draining(self) -> bool:
        """Whether the server is about to stop: tails end."""
        return self._draining

    def drain(self) -> None:
        """End every tail, so that its reader comes back to another server or a later start."""
        self._draining = True
        self._database.news.tell_all()

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

    async def start(self, owner_id: str, after: int | None, *, whole: bool = False) -> int:
        """Answer where a tail begins: after what the caller has seen, else now (`whole`: at first).

        Raises:
            Invalid: negative, or so old that events between have been removed.
        """
        if after is not None and after < 0:
            raise Invalid.field("after_sequence", "a sequence seen before, or nothing")

        def begin(c: Connection) -> int:
            if after is None:
                return 0 if whole else feed.last_sequence(c, owner_id)
            last = feed.last_sequence(c, owner_id)
            oldest = feed.oldest_sequence(c, owner_id) or last + 1
            if 0 < after < oldest - 1:
                raise Invalid.field(
                    "after_sequence", f"events before {oldest} are no longer kept; begin anew"
                )
            return min(after, last)

        return await self._database.read(begin)

    async def follow(
        self, owner_id: str, at: int, wanted: EventFilter, *, until_run_ends: str | None = None
    ) -> AsyncIterator[Batch]:
        """Read the feed after `at` for ever, or until a run has ended and all of it was read."""
        with self._database.news.listen(owner_id) as listener:
            while not self._draining:
                here = at
                batch = await self._database.read(
                    lambda c: _read(c, owner_id, here, wanted, until_run_ends)  # noqa: B023
                )
                at = batch.at
                if batch.events or batch.ended:
                    yield batch
                if batch.ended:
                    return
                if len(batch.events) == BATCH:
                    continue
                await asyncio.sleep(self._open.total() / READS_A_SECOND)
                if not await listener.wait(self._limits.heartbeat):
                    yield Batch(events=(), at=at, quiet=True)


def _read(
    c: Connection, owner_id: str, after: int, wanted: EventFilter, run_id: str | None
) -> Batch:
    """Read what is new; what is read first is older, so that nothing falls between."""
    ended = run_id is not None and _ended(c, run_id)
    newest = feed.last_sequence(c, owner_id)
    events = tuple(feed.after(c, owner_id, after, wanted, BATCH))
    full = len(events) == BATCH
    last = events[-1].sequence if events else after
    return Batch(events=events, at=last if full else max(last, newest), ended=ended and not full)


def _ended(c: Connection, run_id: str) -> bool:
    run = runs.load(c, run_id)
    return run is None or run.status.terminal
