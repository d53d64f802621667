"""Waiting by asking again: how long to pause between two looks."""

import time

from promptreel_client.attempts import Clock
from promptreel_client.errors import DeadlineError

_SHORTEST_PAUSE = 0.1
_LONGEST_PAUSE = 2.0
_GROWTH = 1.5


class Polling:
    """The pauses of one wait: short at first, longer the longer it takes."""

    def __init__(self, timeout: float | None, clock: Clock = time.monotonic) -> None:
        self._clock = clock
        self._ends_at = None if timeout is None else clock() + timeout
        self._pause = _SHORTEST_PAUSE

    def pause(self) -> float:
        """Answer how many seconds to pause before the next look.

        Raises:
            DeadlineError: the time given is over.
        """
        pause = self._pause
        self._pause = min(_LONGEST_PAUSE, pause * _GROWTH)
        if self._ends_at is None:
            return pause
        left = self._ends_at - self._clock()
        if left <= 0:
            raise DeadlineError("The time given for waiting is over; what is waited for goes on.")
        return min(pause, left)
