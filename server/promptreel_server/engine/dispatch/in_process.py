"""Dispatch inside this process: owners take turns, their runs too, a few units at a time."""

import asyncio
from collections import deque
from collections.abc import Sequence

from promptreel_server.concurrency.supervision import unbroken
from promptreel_server.engine.dispatch.dispatcher import Perform, Unit


class _Waiting:
    """What waits, in lines: owners take turns, and so do the runs of each.

    So a clip is driven beside an archive, and a new run beside thousands of retries of an old one.
    """

    def __init__(self) -> None:
        self._owners: dict[str, dict[str, deque[Unit]]] = {}

    def __bool__(self) -> bool:
        return bool(self._owners)

    def put(self, unit: Unit) -> None:
        """Put a unit behind those of its run."""
        runs = self._owners.setdefault(unit.owner_id, {})
        runs.setdefault(unit.run_id, deque()).append(unit)

    def take(self) -> Unit:
        """Take the unit whose turn it is; its run, and its owner, go to the end of their rounds."""
        owner_id = next(iter(self._owners))
        runs = self._owners.pop(owner_id)
        run_id = next(iter(runs))
        units = runs.pop(run_id)
        unit = units.popleft()
        if units:
            runs[run_id] = units
        if runs:
            self._owners[owner_id] = runs
        return unit


class LocalDispatcher:
    """Queues of units, and a bounded number of them in hand.

    What waits here also stands in the store: a process that dies loses nothing.
    """

    def __init__(self, *, most_at_once: int = 8) -> None:
        self._places = asyncio.Semaphore(most_at_once)
        self._waiting = _Waiting()
        self._known: set[str] = set()
        self._arrived = asyncio.Event()
        self._draining = False

    async def dispatch(self, units: Sequence[Unit]) -> None:
        """Queue units, each behind those of its run."""
        for unit in units:
            if unit.name not in self._known:
                self._known.add(unit.name)
                self._waiting.put(unit)
        self._arrived.set()

    def has(self, name: str) -> bool:
        """Tell whether the unit of a name waits or is in hand."""
        return name in self._known

    def drain(self) -> None:
        """Begin no further unit."""
        self._draining = True
        self._arrived.set()

    async def run(self, perform: Perform) -> None:
        """Perform units until drained and those in hand are done."""
        async with asyncio.TaskGroup() as tasks:
            while not self._draining:
                await self._places.acquire()
                unit = await self._next()
                if unit is None:
                    break
                tasks.create_task(self._one(perform, unit), name=unit.name)

    async def _next(self) -> Unit | None:
        while not self._draining:
            if self._waiting:
                return self._waiting.take()
            self._arrived.clear()
            await self._arrived.wait()
        return None

    async def _one(self, perform: Perform, unit: Unit) -> None:
        try:
            with unbroken(f"media item {unit.video_id} of run {unit.run_id}"):
                await perform(unit)
        finally:
            self._known.discard(unit.name)
            self._places.release()
