"""When to ask again: how often a call is repeated, and after what delay."""

import random
import time
from collections.abc import Callable

from promptreel_client.errors import DeadlineError, PromptreelError, UnavailableError

MOST_ATTEMPTS = 4
_FIRST_DELAY = 0.2
_LONGEST_DELAY = 10.0

Clock = Callable[[], float]
"""Answers seconds that never go back."""


def backoff(failures: int) -> float:
    """Answer how many seconds to wait after so many failures in a row (full jitter)."""
    ceiling = min(_LONGEST_DELAY, _FIRST_DELAY * 2.0 ** (failures - 1))
    return random.uniform(0.0, ceiling)  # noqa: S311 - spreads callers, guards nothing


class Attempts:
    """The attempts at one call: a read, or a write with an idempotency key.

    Only what may succeed by itself is asked again: the server could not be reached or could not
    do it now, or it still works on the attempt before. The server's own delay is kept to.
    """

    def __init__(self, timeout: float | None, clock: Clock = time.monotonic) -> None:
        self._clock = clock
        self._ends_at = None if timeout is None else clock() + timeout
        self._failures = 0

    def remaining(self) -> float | None:
        """Answer how many seconds the next attempt may take, None for as many as it needs.

        Raises:
            DeadlineError: there are none left.
        """
        if self._ends_at is None:
            return None
        left = self._ends_at - self._clock()
        if left <= 0:
            raise DeadlineError("The server did not answer in the time given.")
        return left

    def delay_after(self, error: PromptreelError) -> float:
        """Answer how many seconds to wait before asking again.

        Raises:
            PromptreelError: the error itself, where asking again is of no use, has been done often
                enough, or could not be done in the time that is left.
        """
        self._failures += 1
        if self._failures >= MOST_ATTEMPTS or not self._may_pass(error):
            raise error
        delay = max(error.retry_after or 0.0, backoff(self._failures))
        if self._ends_at is not None and self._clock() + delay >= self._ends_at:
            raise error
        return delay

    def _may_pass(self, error: PromptreelError) -> bool:
        own_write_in_hand = error.code == "idempotency_in_progress" and self._failures > 1
        return isinstance(error, UnavailableError) or own_write_in_hand
