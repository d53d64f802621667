"""Children on a leash: bounded, cancelled within a second, never left behind."""

import asyncio
import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Coroutine
from functools import partial
from pathlib import Path
from typing import Any

import psutil
import pytest
import uvloop

from promptreel_server.errors import MediaUnavailable
from promptreel_server.media.process.child import Bound, Limits, child, complete, piped

Runner = Callable[[Coroutine[Any, Any, Any]], Any]

free = partial(Limits, caged=False)
"""The programs of these tests start others, which a decoder may not."""


@pytest.fixture(params=["asyncio", "uvloop"])
def run(request: pytest.FixtureRequest) -> Runner:
    """Run a coroutine to its end, on each of the two event loops that a server may have."""
    return uvloop.run if request.param == "uvloop" else asyncio.run


def shell(script: str) -> list[str]:
    return ["/bin/sh", "-c", script]


def is_running(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def open_descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def test_a_child_s_output_words_and_end_are_answered(run: Runner) -> None:
    done = run(complete(shell("echo out; echo words >&2; exit 3"), limits=free()))
    assert (done.returncode, done.stdout, done.stderr_tail) == (3, b"out\n", "words")
    assert done.exceeded is None


def test_only_the_last_words_are_kept(run: Runner) -> None:
    done = run(complete(shell("seq 100000 >&2; echo the end >&2"), limits=free()))
    assert done.stderr_tail.endswith("99999\n100000\nthe end")
    assert len(done.stderr_tail) <= 4096


def test_a_child_is_told_next_to_nothing_of_the_environment(
    run: Runner, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PROMPTREEL_GEMINI_KEY", "secret")
    done = run(complete(["/usr/bin/env"], limits=free()))
    names = {line.partition(b"=")[0] for line in done.stdout.splitlines()}
    assert names <= {b"GCONV_PATH", b"LC_CTYPE"}


def test_a_program_that_is_not_there_is_reported(run: Runner) -> None:
    done = run(complete(["/no/such/program"], limits=free()))
    assert done.returncode == 127
    assert "/no/such/program can't be started" in done.stderr_tail


def test_too_much_output_ends_a_child_and_whatever_it_started(run: Runner) -> None:
    done = run(complete(shell("yes & yes"), limits=free(), most_output=1000))
    assert done.exceeded is Bound.OUTPUT
    assert len(done.stdout) == 1000


@pytest.mark.parametrize(
    "end",
    [
        pytest.param("kill -9 $$", id="SIGKILL"),
        pytest.param("kill $$; sleep 9", id="SIGTERM"),
        pytest.param("exit 255", id="as ffmpeg ends by SIGTERM"),
        pytest.param("exit 123", id="as ffmpeg ends by many SIGTERMs"),
    ],
)
def test_a_child_that_something_else_kills_has_not_spoken(run: Runner, end: str) -> None:
    with pytest.raises(MediaUnavailable, match="killed from outside"):
        run(complete(shell(f"echo out; {end}"), limits=free()))


def test_a_child_that_hangs_is_killed_when_its_time_is_up(run: Runner) -> None:
    began = time.monotonic()
    done = run(complete(shell("trap '' TERM; sleep 60"), limits=free(wall_seconds=0.3)))
    assert done.exceeded is Bound.WALL_TIME
    assert done.returncode == -signal.SIGKILL
    assert time.monotonic() - began < 2


def test_a_child_that_computes_too_long_is_ended_by_the_kernel(run: Runner) -> None:
    done = run(complete(shell("while :; do :; done"), limits=free(cpu_seconds=1)))
    assert done.returncode in (-signal.SIGXCPU, -signal.SIGKILL)
    assert done.exceeded is None


def test_memory_is_bounded(run: Runner) -> None:
    greedy = [sys.executable, "-I", "-S", "-c", "bytearray(1 << 30)"]
    done = run(complete(greedy, limits=free(address_space_bytes=512 << 20)))
    assert "MemoryError" in done.stderr_tail


def test_files_are_bounded(run: Runner, tmp_path: Path) -> None:
    target = tmp_path / "written"
    done = run(
        complete(shell(f"exec head -c 100000 /dev/zero > {target}"), limits=free(file_bytes=4096))
    )
    assert done.returncode == -signal.SIGXFSZ
    assert target.stat().st_size == 4096


def test_the_reader_s_leaving_ends_a_writer(run: Runner) -> None:
    """SIGPIPE is not ignored, though Python, which put the leash on, ignores it."""
    done = run(complete(shell("yes | head -n 1; echo done"), limits=free()))
    assert done.stdout == b"y\ndone\n"
    assert done.stderr_tail == ""


async def cancelled(times: int) -> tuple[float, int]:
    """Cancel a task with a stubborn child so many times: how long it took, and the child's id."""
    pids: list[int] = []
    started = asyncio.Event()

    async def hang() -> None:
        script = "trap '' TERM; echo ready; while :; do sleep 1; done"
        async with child(shell(script), limits=free()) as running:
            await running.stdout.readline()
            pids.append(running.process.pid)
            started.set()
            await running.wait()

    async with asyncio.TaskGroup() as group:
        hanging = group.create_task(hang())
        await started.wait()
        began = time.monotonic()
        for _ in range(times):
            hanging.cancel()
            await asyncio.sleep(0.05)
    return time.monotonic() - began, pids[0]


def test_cancelling_kills_a_stubborn_child_within_a_second_and_reaps_it(run: Runner) -> None:
    took, pid = run(cancelled(1))
    assert took < 1.0
    assert not psutil.pid_exists(pid)


def test_a_second_cancellation_does_not_leave_a_child_behind(run: Runner) -> None:
    took, pid = run(cancelled(2))
    assert took < 1.0
    assert not psutil.pid_exists(pid)


def test_leaving_the_block_early_ends_the_child(run: Runner) -> None:
    async def leave() -> int:
        async with child(shell("yes"), limits=free()) as running:
            await running.stdout.read(10)
            return running.process.pid

    assert not psutil.pid_exists(run(leave()))


def test_an_error_in_the_block_comes_out_as_it_is(run: Runner) -> None:
    async def fail() -> None:
        async with child(shell("sleep 60"), limits=free()):
            raise ValueError("of the block")

    with pytest.raises(ValueError, match="of the block"):
        run(fail())


def test_several_outputs_are_read_at_once(run: Runner) -> None:
    async def read() -> tuple[bytes, bytes]:
        async with piped() as pipe:
            script = f"echo one; head -c 3000000 /dev/zero > /dev/fd/{pipe.writer}"
            async with child(shell(script), limits=free(), pipes=[pipe]) as running:
                more = await pipe.reader.read()
                return await running.stdout.read(), more

    one, more = run(read())
    assert one == b"one\n"
    assert more == bytes(3_000_000)


def test_no_descriptor_is_left_open(run: Runner) -> None:
    async def many() -> tuple[int, int]:
        await complete(shell("true"), limits=free())
        before = open_descriptors()
        for _ in range(5):
            await complete(shell("echo words >&2"), limits=free())
        await asyncio.sleep(0.05)
        return before, open_descriptors()

    before, after = run(many())
    assert after <= before


PARENT = """
import asyncio
from promptreel_server.media.process.child import Limits, child

async def main():
    script = "trap '' TERM INT HUP; echo $$; while :; do sleep 1; done"
    async with child(["/bin/sh", "-c", script], limits=Limits(caged=False)) as running:
        print((await running.stdout.readline()).decode(), flush=True)
        await asyncio.sleep(60)

asyncio.run(main())
"""


def test_a_child_dies_with_a_server_that_is_killed() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(PARENT)], stdout=subprocess.PIPE
    ) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        assert is_running(pid)
        parent.kill()
        parent.wait()
        deadline = time.monotonic() + 2
        while is_running(pid) and time.monotonic() < deadline:
            time.sleep(0.01)
        assert not is_running(pid)


def test_a_leash_whose_parent_is_gone_already_starts_nothing(tmp_path: Path) -> None:
    """The kernel was told to watch a parent that died before: the leash looks for itself."""
    from promptreel_server.media.process import resource_limits

    assert resource_limits.__file__ is not None
    not_the_parent = str(os.getppid())
    bounds = [not_the_parent, "10", str(1 << 30), "0", "64", "0"]
    marker = tmp_path / "ran"
    argv = [
        sys.executable,
        "-I",
        "-S",
        resource_limits.__file__,
        *bounds,
        "/bin/mkdir",
        str(marker),
    ]
    assert subprocess.run(argv, timeout=10, check=False).returncode == 127
    assert not marker.exists()
