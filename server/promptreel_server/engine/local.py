"""Dispatch inside this process: owners take turns, their runs too, a few units at a time."""

import asyncio
from collections import deque
from collections.abc import Sequence

from promptreel_server.engine.dispatch import Perform, Unit
from promptreel_server.steady import unbroken


class _Queue:
    """What waits of one owner: a line for each run, in order; the lines take turns.

    So a new run goes on beside thousands of retries of an older one, or a clip beside an archive.
    """

    def __init__(self) -> None:
        self._lines: dict[str, deque[Unit]] = {}

    def __bool__(self) -> bool:
        return bool(self._lines)

    def put(self, unit: Unit) -> None:
        """Put a unit behind those of its run."""
        self._lines.setdefault(unit.run_id, deque()).append(unit)

    def take(self) -> Unit:
        """Take the first unit of the run whose turn it is."""
        run_id, units = next(iter(self._lines.items()))
        del self._lines[run_id]
        unit = units.popleft()
        if units:
            self._lines[run_id] = units  # at the end of the round
        return unit


class LocalDispatcher:
    """A queue an owner, a bounded number of units in hand.

    What waits here also stands in the store: a process that dies loses nothing.
    """

    def __init__(self, *, most_at_once: int = 8) -> None:
        self._places = asyncio.Semaphore(most_at_once)
        self._waiting: dict[str, _Queue] = {}
        self._known: set[Unit] = set()
        self._retries: set[str] = set()
        self._arrived = asyncio.Event()
        self._draining = False

    async def dispatch(self, units: Sequence[Unit]) -> None:
        """Queue units, each behind those of its run."""
        for unit in units:
            if unit not in self._known:
                self._known.add(unit)
                if unit.retry_id is not None:
                    self._retries.add(unit.retry_id)
                self._waiting.setdefault(unit.owner_id, _Queue()).put(unit)
        self._arrived.set()

    def has_retry(self, retry_id: str) -> bool:
        """Tell whether a retry waits or is in hand."""
        return retry_id in self._retries

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
                tasks.create_task(self._one(perform, unit), name=f"{unit.run_id}/{unit.video_id}")

    async def _next(self) -> Unit | None:
        while not self._draining:
            if self._waiting:
                owner_id, queue = next(iter(self._waiting.items()))
                del self._waiting[owner_id]
                unit = queue.take()
                if queue:
                    self._waiting[owner_id] = queue  # at the end of the round
                return unit
            self._arrived.clear()
            await self._arrived.wait()
        return None

    async def _one(self, perform: Perform, unit: Unit) -> None:
        try:
            with unbroken(f"media item {unit.video_id} of run {unit.run_id}"):
                await perform(unit)
        finally:
            self._known.discard(unit)
            if unit.retry_id is not None:
                self._retries.discard(unit.retry_id)
            self._places.release()
