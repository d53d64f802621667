"""How far the cutting and listening of a media item has come, told at most once a second."""

import asyncio
from collections.abc import Callable
from fractions import Fraction

from promptreel_server.concurrency.supervision import unbroken
from promptreel_server.domain.event import EventType
from promptreel_server.domain.run import RunMedia
from promptreel_server.store import feed
from promptreel_server.store.database.database import Database
from promptreel_server.store.schema.transaction import Transaction

TELL_EVERY = 1.0


class Progress:
    """Writes `prompt_run.progress` events of one phase while the block is open."""

    def __init__(self, database: Database, item: RunMedia, phase: str) -> None:
        self._database = database
        self._item = item
        self._phase = phase
        self._done = 0.0
        self._total = 0.0
        self._told = 0.0

    def note(self, done: float | Fraction, total: float | Fraction) -> None:
        """Take note of seconds done and in all; cheap, from any part of the loop."""
        self._done, self._total = float(done), float(total)

    async def tell(self) -> None:
        """Tell what was noted, again and again, until cancelled."""
        while True:
            await asyncio.sleep(TELL_EVERY)
            if self._done != self._told:
                self._told = self._done
                with unbroken("telling of progress"):
                    await self._database.write(self._append())

    def _append(self) -> Callable[[Transaction], None]:
        item = self._item
        payload = {
            "phase": self._phase,
            "seconds_done": round(self._done, 3),
            "seconds_total": round(self._total, 3),
        }

        def append(tx: Transaction) -> None:
            feed.append(
                tx,
                item.owner_id,
                EventType.RUN_PROGRESS,
                run_id=item.run_id,
                video_id=item.video_id,
                index_id=item.index_id,
                payload=payload,
            )

        return append

    async def __aenter__(self) -> "Progress":
        self._tasks = asyncio.TaskGroup()
        await self._tasks.__aenter__()
        self._telling = self._tasks.create_task(self.tell())
        return self

    async def __aexit__(self, *exception: object) -> None:
        self._telling.cancel()
        await self._tasks.__aexit__(None, None, None)
