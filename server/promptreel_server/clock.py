"""The one clock: wall time in UTC, replaced by tests."""

from collections.abc import Callable
from datetime import UTC, datetime

Clock = Callable[[], datetime]
"""Answers the present instant, timezone-aware, in UTC."""


def utc_now() -> datetime:
    """Answer the present instant in UTC, to the microsecond."""
    return datetime.now(UTC)
