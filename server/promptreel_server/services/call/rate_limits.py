"""How fast one key may call: the same rate for each, kept as one number a key."""

import time
from collections.abc import Callable

from promptreel_server.concurrency.rate_limiter import Rate
from promptreel_server.errors import RateLimited

_MOST_KEYS = 100_000
_ROUNDING = 1e-6
"""Seconds by which sums of floats may be off."""


class RateLimits:
    """Lets each key make `burst` calls at once and `per_second` calls a second for long."""

    def __init__(
        self,
        *,
        per_second: float,
        burst: int,
        by: str = "with this API key",
        seconds: Callable[[], float] = time.monotonic,
    ) -> None:
        """Bound what is counted; `by` says in the refusal what the calls have in common."""
        self._by = by
        self._rate = Rate(per_second=per_second, burst=burst)
        self._seconds = seconds
        self._full_at: dict[str, float] = {}

    def take(self, key_id: str) -> None:
        """Count one call of a key.

        Raises:
            RateLimited: the bucket is empty; says when it has a token again.
        """
        now = self._seconds()
        full_at = self._full_at.get(key_id, now)
        wait = self._rate.opens_at(full_at) - now
        if wait > _ROUNDING:
            raise RateLimited(
                f"Too many calls {self._by}; call again in {wait:.2f} seconds.",
                retry_after=wait,
            )
        if len(self._full_at) >= _MOST_KEYS:
            self._drop_full(now)
        self._full_at[key_id] = self._rate.taken(full_at, now)

    def _drop_full(self, now: float) -> None:
        """Forget the keys whose bucket is full: they are as good as new ones."""
        self._full_at = {key: at for key, at in self._full_at.items() if at > now}
        if len(self._full_at) >= _MOST_KEYS:  # many addresses at once: the oldest half goes
            kept = list(self._full_at.items())[_MOST_KEYS // 2 :]
            self._full_at = dict(kept)
