"""A process that stands still ends with a status of failure."""

import asyncio
import subprocess
import sys
import time

import pytest

from promptreel_server.concurrency import watchdog as watchdogs
from promptreel_server.concurrency.watchdog import STUCK, Watchdog

HELD_UP = """
import asyncio, time
from promptreel_server.concurrency.watchdog import Watchdog
async def main():
    with Watchdog(stuck_after=1.0).running():
        await asyncio.sleep(1.5)
        print("not taken for stuck", flush=True)
        time.sleep(60)
asyncio.run(main())
"""
NEVER_ENDING = """
import asyncio, threading, time
from promptreel_server.concurrency.watchdog import Watchdog
async def main():
    watchdog = Watchdog(stuck_after=60.0)
    with watchdog.running():
        watchdog.end_within(1.0)
    asyncio.get_running_loop().run_in_executor(None, time.sleep, 60)
asyncio.run(main())
"""


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watchdogs, "TICK", 0.02)


@pytest.mark.parametrize("program", [HELD_UP, NEVER_ENDING])
def test_a_process_ends_whose_loop_is_held_up_or_whose_threads_do_not_end(program: str) -> None:
    before = time.monotonic()
    ended = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=50, check=False
    )
    assert ended.returncode == STUCK
    assert time.monotonic() - before < 45
    assert "Thread" in ended.stderr, "where every thread stands is in the log"


async def test_what_makes_no_progress_ends_the_process_and_what_is_idle_does_not() -> None:
    ended: list[int] = []
    watchdog = Watchdog(stuck_after=60.0, end=ended.append)
    busy: list[int | None] = [None]
    watchdog.watch("a writer", lambda: busy[0], seconds=0.2)
    with watchdog.running():
        await asyncio.sleep(0.5)
        assert ended == [], "it was idle"
        for commit in range(10):
            busy[0] = commit
            await asyncio.sleep(0.05)
        assert ended == [], "it made progress"
        await asyncio.sleep(0.6)
    assert ended
    assert set(ended) == {STUCK}


async def test_a_process_that_ends_in_time_is_left_alone() -> None:
    ended: list[int] = []
    watchdog = Watchdog(stuck_after=60.0, end=ended.append)
    with watchdog.running():
        watchdog.end_within(30.0)
        await asyncio.sleep(0.1)
    assert ended == []
