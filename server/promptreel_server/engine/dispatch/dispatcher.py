"""The port to whatever carries units of work to a drive."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, kw_only=True)
class Unit:
    """What is dispatched: one media item of a run, or one retry of a segment of it."""

    owner_id: str
    run_id: str
    video_id: str
    retry_id: str | None = None

    @property
    def name(self) -> str:
        """What tells it from every other unit: the retry's id, or `run/media item`."""
        return self.retry_id or f"{self.run_id}/{self.video_id}"


Perform = Callable[[Unit], Awaitable[None]]
"""Does what is left of a unit. It is idempotent: it may be called again at any time."""


class Dispatcher(Protocol):
    """Carries units to a process that performs them, at least once each."""

    async def dispatch(self, units: Sequence[Unit]) -> None:
        """Take units over; a unit that waits or is being performed here is not taken twice."""
        ...

    def has(self, name: str) -> bool:
        """Tell whether the unit of a name waits or is being performed here."""
        ...

    async def run(self, perform: Perform) -> None:
        """Perform units until `drain` was called and those in hand are done."""
        ...

    def drain(self) -> None:
        """Begin no further unit; the rest stays in the store for the next start."""
        ...
