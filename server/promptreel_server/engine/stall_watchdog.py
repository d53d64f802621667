"""Flags runs that make no progress, with why."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from promptreel_server.concurrency.supervision import unbroken
from promptreel_server.engine.drive.resources import Means
from promptreel_server.store.runs import stalled_runs
from promptreel_server.store.runs.stalled_runs import Standing

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
    warning: str | None


class Stalls:
    """Watches the runs that are going: one whose feed is silent for so long is flagged."""

    def __init__(
        self,
        means: Means,
        in_hand: Mapping[str, int],
        elsewhere: Callable[[str], Awaitable[bool]],
        *,
        after: float,
    ) -> None:
        """Watch with `in_hand`, how much of a run is worked on here, and whether others do."""
        self._means = means
        self._in_hand = in_hand
        self._elsewhere = elsewhere
        self._after = after
        self._seen: dict[str, _Seen] = {}
        self.count = 0
        """Runs that made no progress for too long when last looked at, and are not elsewhere."""

    async def watch(self) -> None:
        """Look again and again, until cancelled."""
        while True:
            await asyncio.sleep(min(self._after / LOOKS, LONGEST_WAIT))
            with unbroken("looking for runs that make no progress"):
                await self.look()

    async def look(self) -> None:
        """Flag what has made no progress for too long, and take the flag from what makes some."""
        now = asyncio.get_running_loop().time()
        going = await self._means.database.read(stalled_runs.going)
        self._seen = {run.run_id: self._seen_again(run, now) for run in going}
        late = {run.run_id for run in going if now - self._seen[run.run_id].since >= self._after}
        flagged = {run.run_id for run in going if run.processing_warning is not None}
        theirs = {
            run_id
            for run_id in late | flagged
            if not self._in_hand.get(run_id) and await self._elsewhere(run_id)
        }
        self.count = len(late - theirs)
        for run in going:
            if run.run_id in theirs:
                continue  # who drives it knows why
            stalled = run.run_id in late
            warning = f"No progress for {self._after:g} s: {self._why(run)}." if stalled else None
            if warning != run.processing_warning:
                await self._flag(run, warning)

    def _seen_again(self, run: Standing, now: float) -> _Seen:
        before = self._seen.get(run.run_id)
        since, warning = now, run.processing_warning
        if before is not None:
            flag = warning is not None and warning != before.warning  # of another server
            if flag or before.sequence == run.sequence:
                since = before.since  # the flag itself is no progress
        return _Seen(sequence=run.sequence, since=since, warning=warning)

    async def _flag(self, run: Standing, warning: str | None) -> None:
        if warning is not None:
            log.warning("run %s: %s", run.run_id, warning)
        told = await self._means.database.write(
            lambda tx: stalled_runs.warn(tx, run.run_id, warning)
        )
        since = self._seen[run.run_id].since
        self._seen[run.run_id] = _Seen(sequence=told, since=since, warning=warning)

    def _why(self, run: Standing) -> str:
        trouble = self._means.database.trouble
        if trouble is not None:
            return trouble.rstrip(".")
        if not self._in_hand.get(run.run_id):
            return "it waits for its turn behind the media items of other runs"
        hindrance = self._means.lanes.lane(run.processing_model).hindrance
        return hindrance or "it is cutting or listening, or what does so is stuck"
