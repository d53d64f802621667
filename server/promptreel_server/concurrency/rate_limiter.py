"""How fast something may go: evenly, with a burst after a quiet while.

The generic cell rate algorithm (ITU-T I.371): one number of state, the instant at which a bucket
that drains as things are taken would be full again, in seconds on the clock that callers tell.
"""

import asyncio
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Rate:
    """`per_second` for long, `burst` at once (at least 1)."""

    per_second: float
    burst: float

    def opens_at(self, full_at: float) -> float:
        """When one more may be taken."""
        return full_at - (self.burst - 1) / self.per_second

    def taken(self, full_at: float, now: float, amount: float = 1) -> float:
        """When it is full again after so much was taken now."""
        return max(full_at, now) + amount / self.per_second


class Pace:
    """What goes at one rate, whoever takes it."""

    def __init__(self, rate: Rate) -> None:
        self._rate = rate
        self._full_at = 0.0

    def opens_at(self) -> float:
        """When one more may be taken."""
        return self._rate.opens_at(self._full_at)

    def take(self, amount: float, now: float) -> None:
        """Take so much, also where it was known too late to wait: what follows waits for longer."""
        self._full_at = self._rate.taken(self._full_at, now, amount)

    async def turn(self) -> None:
        """Take one and wait until it may be had; turns come in the order they were asked for."""
        now, opens_at = asyncio.get_running_loop().time(), self.opens_at()
        self.take(1, now)
        if opens_at > now:
            await asyncio.sleep(opens_at - now)
