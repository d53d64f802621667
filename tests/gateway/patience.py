"""Waiting for what comes true by itself."""

import time
from collections.abc import Callable


def eventually(true: Callable[[], bool], seconds: float = 10) -> float:
    """Wait until it is so; answer how long that took."""
    began = time.monotonic()
    while not true():
        assert time.monotonic() - began < seconds, "it never came true"
        time.sleep(0.01)
    return time.monotonic() - began
