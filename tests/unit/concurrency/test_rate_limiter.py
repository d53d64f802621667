"""A rate is kept over any stretch of time, and what was not used may come at once."""

import asyncio
import time

import pytest

from promptreel_server.concurrency.rate_limiter import Pace, Rate


@pytest.mark.parametrize("a_minute", [1.0, 9.0, 600.0])
def test_a_rate_is_kept_over_any_minute(a_minute: float) -> None:
    burst = max(1.0, a_minute / 10)
    pace = Pace(Rate(per_second=a_minute / 60, burst=burst))
    now, taken = 1000.0, []
    while now < 1300.0:
        now = max(now, pace.opens_at())
        pace.take(1, now)
        taken.append(now)
    for start in range(1000, 1240, 20):
        assert sum(start <= at < start + 60 for at in taken) <= a_minute + burst


def test_what_is_taken_too_late_to_wait_holds_up_what_follows() -> None:
    pace = Pace(Rate(per_second=10.0, burst=2))
    pace.take(5, 100.0)
    assert pace.opens_at() == pytest.approx(100.4)


async def test_turns_come_at_the_rate_after_the_burst() -> None:
    pace = Pace(Rate(per_second=100.0, burst=5))
    before = time.monotonic()
    async with asyncio.TaskGroup() as tasks:
        for _ in range(15):
            tasks.create_task(pace.turn())
    assert 0.09 <= time.monotonic() - before < 1.0
