"""A pace that many streams keep together, so that they never fill the loop at once."""

import asyncio


class Pace:
    """Hands out turns at an even rate; who comes in a quiet moment waits for nothing.

    The generic cell rate algorithm (ITU-T I.371) over the loop's clock: one number of state.
    """

    def __init__(self, per_second: float, *, burst: int) -> None:
        self._step = 1.0 / per_second
        self._slack = burst / per_second
        self._next = 0.0

    async def turn(self) -> None:
        """Wait for the caller's turn; turns come in the order they were asked for."""
        now = asyncio.get_running_loop().time()
        self._next = max(self._next, now - self._slack) + self._step
        if self._next > now:
            await asyncio.sleep(self._next - now)
