"""Stop requests as drives see them: a flag a run, set here or seen in the store within a second."""

import asyncio
from collections import Counter
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from promptreel_server.store import runs
from promptreel_server.store.database import Database

Result = TypeVar("Result")

LOOK_EVERY = 1.0
"""Seconds between looks at the store: another process may have stored the request."""


class Stopped(Exception):
    """The run was asked to stop, or the server is stopping, while something was being done."""


class Stops:
    """The stop flags of the runs that are driven in this process."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._flags: dict[str, asyncio.Event] = {}
        self._users: Counter[str] = Counter()
        self.draining = False
        """Whether the server is stopping: what is left undone goes on at the next start."""

    @contextmanager
    def flag(self, run_id: str) -> Iterator[asyncio.Event]:
        """The flag of a run, for as long as something is done for it."""
        flag = self._flags.setdefault(run_id, asyncio.Event())
        if self.draining:
            flag.set()
        self._users[run_id] += 1
        try:
            yield flag
        finally:
            self._users[run_id] -= 1
            if not self._users[run_id]:
                del self._users[run_id], self._flags[run_id]

    def stop(self, run_id: str) -> None:
        """Set the flag of a run that is driven here; nothing where it is not."""
        if (flag := self._flags.get(run_id)) is not None:
            flag.set()

    def drain(self) -> None:
        """Set every flag, and those to come: the server is stopping."""
        self.draining = True
        for flag in self._flags.values():
            flag.set()

    async def watch(self) -> None:
        """Look for stop requests that other processes stored, until cancelled."""
        while True:
            await asyncio.sleep(LOOK_EVERY)
            unset = [run_id for run_id, flag in self._flags.items() if not flag.is_set()]
            if unset:
                asked = await self._database.read(lambda c: runs.stop_requested(c, unset))  # noqa: B023
                for run_id in asked:
                    self.stop(run_id)


async def unless_stopped(work: Coroutine[Any, Any, Result], flag: asyncio.Event) -> Result:
    """Await `work`, cancelled as soon as the flag is set.

    Raises:
        Stopped: the flag was set first.
    """
    outcome: list[Result | Exception] = []

    async def finish() -> None:
        try:
            outcome.append(await work)
        except Exception as error:  # noqa: BLE001 - raised again below, outside the group
            outcome.append(error)

    async def give_up(working: "asyncio.Task[None]") -> None:
        await flag.wait()
        working.cancel()

    async with asyncio.TaskGroup() as tasks:
        working = tasks.create_task(finish())
        watching = tasks.create_task(give_up(working))
        working.add_done_callback(lambda _: watching.cancel())
    if not outcome:
        raise Stopped
    if isinstance(outcome[0], Exception):
        raise outcome[0]
    return outcome[0]


async def pause_unless_stopped(seconds: float, stop: asyncio.Event) -> None:
    """Sleep for so many seconds.

    Raises:
        Stopped: the run was asked to stop meanwhile.
    """
    try:
        async with asyncio.timeout(seconds):
            await stop.wait()
    except TimeoutError:
        return
    raise Stopped
