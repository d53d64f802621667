"""Flags runs that make no progress, with why."""

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import dataclass

from promptreel_server.engine.means import Means
from promptreel_server.steady import unbroken
from promptreel_server.store import stalls
from promptreel_server.store.stalls import Standing

log = logging.getLogger(__name__)

LOOKS = 10
"""How often a run is looked at in the time after which it counts as stalled."""
LONGEST_WAIT = 30.0
"""Seconds between looks at the most."""


@dataclass(frozen=True, kw_only=True)
class _Seen:
    """Where a run stood, and since when by the loop's clock."""

    sequence: int
    since: float


class Stalls:
    """Watches the runs that are going: one whose feed is silent for so long is flagged."""

    def __init__(self, means: Means, in_hand: Mapping[str, int], *, after: float) -> None:
        self._means = means
        self._in_hand = in_hand
        self._after = after
        self._seen: dict[str, _Seen] = {}
        self.count = 0
        """Runs that made no progress for too long when last looked at."""

    async def watch(self) -> None:
        """Look again and again, until cancelled."""
        while True:
            await asyncio.sleep(min(self._after / LOOKS, LONGEST_WAIT))
            with unbroken("looking for runs that make no progress"):
                await self.look()

    async def look(self) -> None:
        """Flag what has made no progress for too long, and take the flag from what makes some."""
        now = asyncio.get_running_loop().time()
        going = await self._means.database.read(stalls.going)
        self._seen = {run.run_id: self._seen_again(run, now) for run in going}
        late = {run.run_id for run in going if now - self._seen[run.run_id].since >= self._after}
        self.count = len(late)
        for run in going:
            stalled = run.run_id in late
            warning = f"No progress for {self._after:g} s: {self._why(run)}." if stalled else None
            if warning != run.processing_warning:
                await self._flag(run, warning)

    def _seen_again(self, run: Standing, now: float) -> _Seen:
        before = self._seen.get(run.run_id)
        if before is not None and before.sequence == run.sequence:
            return before
        return _Seen(sequence=run.sequence, since=now)

    async def _flag(self, run: Standing, warning: str | None) -> None:
        if warning is not None:
            log.warning("run %s: %s", run.run_id, warning)
        told = await self._means.database.write(lambda tx: stalls.warn(tx, run.run_id, warning))
        since = self._seen[run.run_id].since  # the flag itself is no progress
        self._seen[run.run_id] = _Seen(sequence=told, since=since)

    def _why(self, run: Standing) -> str:
        trouble = self._means.database.trouble
        if trouble is not None:
            return trouble.rstrip(".")
        if not self._in_hand.get(run.run_id):
            return "it waits for its turn behind the media items of other runs"
        hindrance = self._means.lanes.lane(run.processing_model).hindrance
        return hindrance or "it is cutting or listening, or what does so is stuck"
