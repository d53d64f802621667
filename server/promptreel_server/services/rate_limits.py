"""How fast one key may call: a bucket of tokens for each, kept as one number."""

import time
from collections.abc import Callable

from promptreel_server.errors import RateLimited

_MOST_KEYS = 100_000
_ROUNDING = 1e-6
"""Seconds by which sums of floats may be off."""


class RateLimits:
    """Lets each key make `burst` calls at once and `per_second` calls a second for long.

    One number a key is enough: the instant at which its bucket would be full again.
    """

    def __init__(
        self, *, per_second: float, burst: int, seconds: Callable[[], float] = time.monotonic
    ) -> None:
        self._interval = 1.0 / per_second
        self._room = burst * self._interval
        self._seconds = seconds
        self._full_at: dict[str, float] = {}

    def take(self, key_id: str) -> None:
        """Count one call of a key.

        Raises:
            RateLimited: the bucket is empty; says when it has a token again.
        """
        now = self._seconds()
        full_at = max(self._full_at.get(key_id, now), now) + self._interval
        wait = full_at - now - self._room
        if wait > _ROUNDING:
            raise RateLimited(
                f"Too many calls with this API key; call again in {wait:.2f} seconds.",
                retry_after=wait,
            )
        if len(self._full_at) >= _MOST_KEYS:
            self._drop_full(now)
        self._full_at[key_id] = full_at

    def _drop_full(self, now: float) -> None:
        """Forget the keys whose bucket is full: they are as good as new ones."""
        self._full_at = {key: at for key, at in self._full_at.items() if at > now}
