"""Stop requests as drives see them: a flag a run, set here or seen in the store within a second."""

import asyncio
from collections import defaultdict
from collections.abc import Coroutine, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, TypeVar

from promptreel_server.concurrency.supervision import unbroken
from promptreel_server.store.catalogue import media
from promptreel_server.store.database.database import Database
from promptreel_server.store.runs import run_media, runs

Result = TypeVar("Result")

LOOK_EVERY = 1.0
"""Seconds between looks at the store: another process may have stored the request."""
ENDED_AT_ONCE = 256
"""Media items that wait for their turn and are ended in one transaction."""


class Stopped(Exception):
    """The run was asked to stop, or the server is stopping, while something was being done."""


class Stops:
    """The stop flags of the media items that are driven in this process, each within a run."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._flags: defaultdict[tuple[str, str], list[asyncio.Event]] = defaultdict(list)
        self.draining = False
        """Whether the server is stopping: what is left undone goes on at the next start."""

    @contextmanager
    def flag(self, run_id: str, video_id: str) -> Iterator[asyncio.Event]:
        """A flag of a media item in a run, for as long as something is done for it.

        Each drive and each retry has its own: one that is fenced sets its own alone.
        """
        key, flag = (run_id, video_id), asyncio.Event()
        if self.draining:
            flag.set()
        self._flags[key].append(flag)
        try:
            yield flag
        finally:
            self._flags[key].remove(flag)
            if not self._flags[key]:
                del self._flags[key]

    def stop(self, run_id: str) -> None:
        """Set the flags of a run that is driven here; nothing where it is not."""
        for (run, _), flags in self._flags.items():
            if run == run_id:
                _set(flags)

    def stop_media(self, video_id: str) -> None:
        """Set the flags of a media item, whichever runs drive it here: it is being deleted."""
        for (_, video), flags in self._flags.items():
            if video == video_id:
                _set(flags)

    def drain(self) -> None:
        """Set every flag, and those to come: the server is stopping."""
        self.draining = True
        for flags in self._flags.values():
            _set(flags)

    async def watch(self) -> None:
        """Look for stop requests and deletions, whichever process stored them, until cancelled."""
        while True:
            await asyncio.sleep(LOOK_EVERY)
            with unbroken("looking for stop requests"):
                await self._look()
                await self._end_waiting()

    async def _look(self) -> None:
        """Set flags, and note of the runs that are driven here that their stop was observed."""
        run_ids = {run for run, _ in self._flags}
        video_ids = {
            video
            for (_, video), flags in self._flags.items()
            if not all(flag.is_set() for flag in flags)
        }
        if not run_ids:
            return
        asked, going = await self._database.read(
            lambda c: (runs.stop_requested(c, [*run_ids]), media.being_deleted(c, [*video_ids]))
        )
        for run_id, observed in asked.items():
            self.stop(run_id)
            if not observed:
                await self._database.write(partial(runs.observe_stop, run_id=run_id))
        for video_id in going:
            self.stop_media(video_id)

    async def _end_waiting(self) -> None:
        """End what waits for its turn in runs that were asked to stop: its turn may be far off."""
        database = self._database
        while await database.read(lambda c: run_media.waiting_to_stop(c, 1)):
            await database.write(lambda tx: run_media.cancel_waiting(tx, ENDED_AT_ONCE))


def _set(flags: Iterable[asyncio.Event]) -> None:
    for flag in flags:
        flag.set()


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
