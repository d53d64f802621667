"""The end of one owner's feed, read once for all who follow it."""

import asyncio
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from sqlalchemy import Connection

from promptreel.v2 import run_pb2
from promptreel_server.domain.event import RUN_ENDED, Event
from promptreel_server.services.messages.runs import run_message
from promptreel_server.services.watch.feed_item import Told
from promptreel_server.store import feed
from promptreel_server.store.feed import EventFilter
from promptreel_server.store.runs import runs

KEPT = 1024
"""Things that a tail keeps at hand; who is further behind reads the store."""

READ_AT_ONCE = 500

STANDING_EVERY = 0.2
"""Seconds between standings of a run at the least: counters are coalesced, transitions never."""


class Follower:
    """One reader: how far it has come, and where in the tail goes on what it has not seen.

    `position` counts things that the tail ever held; None: there is nothing new. `standings`: it
    is told how its run stands as well, not of events alone.
    """

    __slots__ = ("_waiter", "_woken", "at", "ended", "position", "standings", "wanted")

    def __init__(self, wanted: EventFilter, at: int, *, standings: bool) -> None:
        self.wanted = wanted
        self.standings = standings
        self.at = at
        self.position: int | None = None
        self.ended = False
        self._woken = False
        self._waiter: asyncio.Future[None] | None = None

    def wake(self) -> None:
        """Let `wait` return."""
        self._woken = True
        self._let_go()

    async def wait(self, seconds: float) -> None:
        """Wait until woken, for so many seconds at the most.

        One future and one timer: thousands of quiet watches wait here.
        """
        if not self._woken:
            loop = asyncio.get_running_loop()
            self._waiter = loop.create_future()
            timer = loop.call_later(seconds, self._let_go)
            try:
                await self._waiter
            finally:
                timer.cancel()
                self._waiter = None
        self._woken = False

    def _let_go(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def wants(self, told: Told) -> bool:
        """Whether it is told of this: of standings of its run, and of events that pass."""
        if told.event is None:
            of_its_run = self.standings and told.run_id == self.wanted.run_id
            return of_its_run and told.sequence >= self.at
        return told.sequence > self.at and self.wanted.passes(told.event)


@dataclass(frozen=True, kw_only=True)
class Found:
    """What one read brought: events in order, and how runs stand after them."""

    events: list[Event]
    standings: Mapping[str, run_pb2.PromptRun]
    stale: frozenset[str]
    """Runs that have moved and whose standing is to be read later."""

    @property
    def full(self) -> bool:
        """Whether there may be more to read."""
        return len(self.events) == READ_AT_ONCE


class Tail:
    """What happened last to an owner, and those who follow."""

    def __init__(self, owner_id: str, at: int) -> None:
        self.owner_id = owner_id
        self.at = at
        self._kept: list[Told] = []
        self._dropped = 0
        self._kept_after = at
        """What has a sequence up to here is not, or no longer, at hand."""
        self._of_run: defaultdict[str, set[Follower]] = defaultdict(set)
        self._of_all: set[Follower] = set()
        self._standing_at: dict[str, float] = {}
        self._stale: frozenset[str] = frozenset()

    @contextmanager
    def followed(self, wanted: EventFilter, at: int, *, standings: bool) -> Iterator[Follower]:
        """Let somebody follow for the length of the block, from after `at`."""
        follower = Follower(wanted, at, standings=standings)
        self.settle(follower, at)
        group = self._of_all if wanted.run_id is None else self._of_run[wanted.run_id]
        group.add(follower)
        try:
            yield follower
        finally:
            group.discard(follower)
            if wanted.run_id is not None and not group:
                self._of_run.pop(wanted.run_id, None)
                self._standing_at.pop(wanted.run_id, None)

    @property
    def forsaken(self) -> bool:
        """Whether nobody follows."""
        return not self._of_run and not self._of_all

    def due_at(self) -> float | None:
        """When the next standing is to be read, in seconds of the loop's clock; None: never."""
        times = [self._standing_at.get(run_id, 0.0) + STANDING_EVERY for run_id in self._stale]
        return min(times, default=None)

    def read(self, c: Connection, now: float) -> Found:
        """Read what is new; one transaction, so that standings belong to its last event."""
        events = feed.after(c, self.owner_id, self.at, EventFilter(), READ_AT_ONCE)
        moved = self._stale | {event.run_id for event in events if event.run_id is not None}
        moved = frozenset(run_id for run_id in moved if run_id in self._of_run)
        if len(events) == READ_AT_ONCE:
            return Found(events=events, standings={}, stale=moved)
        ended = {event.run_id for event in events if event.event_type in RUN_ENDED}
        due = {run_id for run_id in moved if run_id in ended or self._is_due(run_id, now)}
        found = {run_id: runs.load(c, run_id) for run_id in due}
        standings = {name: run_message(run) for name, run in found.items() if run is not None}
        return Found(events=events, standings=standings, stale=moved - due)

    def _is_due(self, run_id: str, now: float) -> bool:
        return now >= self._standing_at.get(run_id, 0.0) + STANDING_EVERY

    def take_in(self, found: Found, now: float) -> None:
        """Take in what was read and wake those whom it concerns."""
        self.at = found.events[-1].sequence if found.events else self.at
        told = [Told(event.sequence, event=event) for event in found.events]
        told += [Told(self.at, run=run) for run in found.standings.values()]
        self._stale = found.stale
        self._standing_at.update(dict.fromkeys(found.standings, now))
        first = self._dropped + len(self._kept)
        self._kept += told
        self._wake(told, first)
        if len(self._kept) > 2 * KEPT:
            cut = len(self._kept) - KEPT
            self._kept_after = self._kept[cut - 1].sequence
            self._dropped += cut
            del self._kept[:cut]

    def _wake(self, told: list[Told], first: int) -> None:
        firsts: dict[str | None, int] = {}
        for position, one in enumerate(told, first):
            firsts.setdefault(one.run_id, position)
        for run_id, position in firsts.items():
            for follower in self._of_run.get(run_id or "", ()):
                _mark(follower, position, told[position - first])
        for follower in self._of_all:
            if follower.position is None:
                for position, one in enumerate(told, first):
                    if follower.wants(one):
                        _mark(follower, position, one)
                        break

    def wake_all(self) -> None:
        """Wake everybody."""
        for group in (*self._of_run.values(), self._of_all):
            for follower in group:
                follower.wake()

    def keeps(self, follower: Follower) -> bool:
        """Whether all that is new to a follower is at hand."""
        return follower.position is None or follower.position >= self._dropped

    def take(self, follower: Follower, most: int) -> list[Told]:
        """Answer what is new to a follower out of the next `most` things at hand."""
        if follower.position is None:
            return []
        start = follower.position - self._dropped
        part = self._kept[start : start + most]
        wanted = [told for told in part if follower.wants(told)]
        follower.ended = follower.ended or any(
            told.may_end_run and told.run_id == follower.wanted.run_id for told in part
        )
        if start + len(part) == len(self._kept):
            follower.position, follower.at = None, max(follower.at, self.at)
        else:
            follower.position += len(part)
            follower.at = max(follower.at, part[-1].sequence)
        return wanted

    def settle(self, follower: Follower, at: int) -> None:
        """Put a follower that has seen all up to a sequence, in the store, where it goes on."""
        follower.at = at
        if at < self._kept_after:
            follower.position = self._dropped - 1
            return
        index = bisect_right(self._kept, at, key=lambda told: told.sequence)
        follower.position = self._dropped + index if index < len(self._kept) else None


def _mark(follower: Follower, position: int, told: Told) -> None:
    """Note the first new thing to a follower; what came before it does not concern it."""
    if follower.position is None:
        follower.position = position
        follower.at = max(follower.at, told.sequence - (told.event is not None))
    follower.wake()
