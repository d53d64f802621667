"""Processes that hold a model: warm, cancellable, gone when nobody needs them."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest

from promptreel_server.errors import FailureCode, ModelFailure
from promptreel_server.weights.model_process import ModelProcess

ENTRY = "tests.unit.weights.held:Held"
ROOT = str(Path(__file__).parents[3])


@pytest.fixture
async def held(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[ModelProcess]:
    monkeypatch.setenv("PYTHONPATH", ROOT)
    process = _held()
    yield process
    await process.close()


def _held(**changes: Any) -> ModelProcess:
    return ModelProcess(ENTRY, {"greeting": "good day"}, name="test model", **changes)


async def _gone(pid: int, seconds: float = 5.0) -> bool:
    for _ in range(round(seconds / 0.02)):
        if not psutil.pid_exists(pid):
            return True
        await asyncio.sleep(0.02)
    return False


async def test_calls_are_answered_by_one_warm_process(held: ModelProcess) -> None:
    assert held.pid is None
    assert await held.call("greet", "Ada") == "good day Ada"
    first = held.pid
    answers = await asyncio.gather(*(held.call("greet", str(n)) for n in range(5)))
    assert answers == [f"good day {n}" for n in range(5)]
    assert held.pid == first != os.getpid()


async def test_large_arrays_go_through_unchanged(held: ModelProcess) -> None:
    samples = np.arange(3_000_000, dtype=np.float32)
    assert np.array_equal(await held.call("echo", samples), samples)


async def test_progress_is_told_on_the_way(held: ModelProcess) -> None:
    told: list[int] = []
    assert await held.call("count", 4, progress=told.append) == "counted"
    assert told == [0, 1, 2, 3]


async def test_a_failed_call_leaves_the_process_to_the_next(held: ModelProcess) -> None:
    with pytest.raises(ModelFailure, match="ValueError: it went wrong") as failed:
        await held.call("fail")
    assert failed.value.failure_code is FailureCode.INTERNAL
    pid = held.pid
    with pytest.raises(ModelFailure, match="too long") as refused:
        await held.call("refuse")
    assert refused.value.failure_code is FailureCode.OUTPUT_TRUNCATED
    assert await held.call("greet", "Bo") == "good day Bo"
    assert held.pid == pid


async def test_a_death_is_a_failure_with_the_last_words_and_another_is_started(
    held: ModelProcess,
) -> None:
    with pytest.raises(ModelFailure, match="ended with 3: last words") as failed:
        await held.call("die")
    assert failed.value.failure_code is FailureCode.MODEL_UNAVAILABLE
    assert await held.call("greet", "Cy") == "good day Cy"


async def test_a_process_killed_between_calls_is_a_failure_once(held: ModelProcess) -> None:
    await held.call("greet", "Di")
    assert held.pid is not None
    os.kill(held.pid, signal.SIGKILL)
    await asyncio.sleep(0.1)
    with pytest.raises(ModelFailure) as failed:
        await held.call("greet", "Di")
    assert failed.value.failure_code is FailureCode.MODEL_UNAVAILABLE
    assert await held.call("greet", "Di") == "good day Di"


async def test_a_model_that_cannot_be_built_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", ROOT)
    process = ModelProcess(ENTRY, {"broken": True}, name="test model")
    with pytest.raises(ModelFailure, match="ImportError: no module named model"):
        await process.call("greet", "Ed")
    assert process.pid is None
    await process.close()


async def test_a_cancelled_call_ends_at_once_and_the_next_is_served(held: ModelProcess) -> None:
    await held.call("greet", "Flo")
    pid = held.pid
    task = asyncio.ensure_future(held.call("sleep", 60))
    await asyncio.sleep(0.1)
    before = time.monotonic()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert time.monotonic() - before < 1.0
    assert pid is not None
    assert await _gone(pid)
    assert await held.call("greet", "Flo") == "good day Flo"


async def test_cancelling_a_call_that_waits_its_turn_leaves_the_others_alone(
    held: ModelProcess,
) -> None:
    first = asyncio.ensure_future(held.call("sleep", 0.5))
    await asyncio.sleep(0.05)
    second = asyncio.ensure_future(held.call("greet", "Gus"))
    await asyncio.sleep(0.05)
    second.cancel()
    assert await first == "rested"


async def test_an_overdue_call_is_a_timeout(held: ModelProcess) -> None:
    await held.call("greet", "Hal")
    with pytest.raises(ModelFailure, match="longer than") as failed:
        await held.call("sleep", 60, seconds=0.2)
    assert failed.value.failure_code is FailureCode.TIMEOUT


async def test_an_idle_process_goes_away_and_comes_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", ROOT)
    held = _held(idle_seconds=0.1)
    await held.call("greet", "Ida")
    pid = held.pid
    assert pid is not None
    assert await _gone(pid)
    assert held.pid is None
    assert await held.call("greet", "Ida") == "good day Ida"
    await held.close()


async def test_it_sees_no_secret_and_keeps_to_its_threads(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PYTHONPATH", ROOT)
    monkeypatch.setenv("GEMINI_API_KEY", "secret")
    held = _held(threads=3)
    environment = await held.call("environment")
    await held.close()
    assert "GEMINI_API_KEY" not in environment
    assert environment["OMP_NUM_THREADS"] == "3"


def test_it_dies_with_its_server_even_in_the_middle_of_a_call() -> None:
    script = f"""
import asyncio
from promptreel_server.weights.model_process import ModelProcess
async def main():
    held = ModelProcess({ENTRY!r}, {{}}, name="test model")
    await held.call("greet", "Jo")
    print(held.pid, flush=True)
    await held.call("sleep", 60)
asyncio.run(main())
"""
    server = subprocess.Popen(
        [sys.executable, "-c", script],
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": ROOT},
    )
    assert server.stdout is not None
    pid = int(server.stdout.readline())
    server.kill()
    server.wait()
    server.stdout.close()
    assert asyncio.run(_gone(pid))
