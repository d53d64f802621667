"""A decoder that a hostile file has taken over reaches nothing but its pipes."""

import os
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from promptreel_server.media.process import resource_limits
from promptreel_server.media.process.child import Completed, Limits, complete

CAGED = Limits(wall_seconds=20.0)
FREE = Limits(wall_seconds=20.0, caged=False)
BASH = "/bin/bash"

pytestmark = pytest.mark.skipif(
    not resource_limits.landlock_version(), reason="this kernel has no Landlock"
)


@pytest.fixture
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as made:
        yield Path(made)


async def hostile(script: str, limits: Limits) -> Completed:
    """Run what bash does by itself, without starting a program."""
    return await complete([BASH, "-c", script], limits=limits)


SCRIPTS = {
    "read a file": "read line < /etc/passwd",
    "read the server's environment": 'read -r line < /proc/$PPID/environ || test -n "$line"',
    "read the server's memory map": "read -r line < /proc/$PPID/maps",
    "list a folder": 'set -- /etc/*; test -e "$1"',
    "start a program": "/bin/true",
    "become a program": "exec /bin/true",
    "start a process": "( : )",
    "signal the server": "kill -0 $PPID",
}


@pytest.mark.parametrize("script", SCRIPTS.values(), ids=SCRIPTS.keys())
async def test_what_a_free_program_can_a_caged_one_can_not(script: str) -> None:
    free, caged = await hostile(script, FREE), await hostile(script, CAGED)
    assert free.returncode == 0, free.stderr_tail
    assert caged.returncode != 0, caged.stderr_tail


async def test_a_caged_program_writes_no_file(folder: Path) -> None:
    written = folder / "written"
    done = await hostile(f"echo x > {written}", Limits(file_bytes=4096))
    assert done.returncode != 0
    assert not written.exists()


async def test_a_caged_program_connects_nowhere() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        script = f"exec 3<>/dev/tcp/127.0.0.1/{server.getsockname()[1]}"
        assert (await hostile(script, FREE)).returncode == 0
        assert (await hostile(script, CAGED)).returncode != 0


async def test_a_caged_program_reads_and_writes_the_descriptors_that_it_is_given(
    folder: Path,
) -> None:
    given = folder / "given"
    given.write_text("what it may read\n")
    descriptor = os.open(given, os.O_RDONLY)
    try:
        done = await complete(
            [BASH, "-c", f'read -r line <&{descriptor}; echo "$line"'],
            limits=CAGED,
            pass_fds=[descriptor],
        )
    finally:
        os.close(descriptor)
    assert done.stdout == b"what it may read\n"


CALLS = """
import ctypes, os, socket, sys, threading
sys.path.insert(0, {folder!r})
import resource_limits as limits
libc = ctypes.CDLL(None, use_errno=True)
assert limits.cage(sys.executable)
def refused(what, number, *args):
    if libc.syscall(number, *args) >= 0 or ctypes.get_errno() not in (1, 38):
        print("allowed:", what, ctypes.get_errno())
for number in (*map(int, limits.ARCHITECTURES[os.uname().machine][2].split()), *limits.IO_URING):
    refused(number, number, 0, 0, 0, 0, 0, 0)
try:
    os.fork()
    print("allowed: fork")
except OSError:
    pass
thread = threading.Thread(target=print, args=("a thread runs",))
thread.start()
thread.join()
"""


def test_system_calls_that_no_decoder_needs_are_refused_and_threads_are_not() -> None:
    folder = str(Path(resource_limits.__file__ or "").parent)
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", CALLS.format(folder=folder)],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.stdout == "a thread runs\n", done.stderr
