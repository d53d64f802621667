"""Child processes on a leash: bounded, tied to the server's life, always reaped."""

import asyncio
import fcntl
import os
import signal
import sys
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path

from promptreel_server.errors import MediaUnavailable

GRACE_SECONDS = 0.5
"""How long a child may take to end by itself after SIGTERM, before SIGKILL."""
STDERR_KEPT = 4096
"""Bytes of its last words that are kept."""
PIPE_BYTES = 1 << 20
"""The size a pipe is asked to have: raw frames in 64 KiB pieces cost a wake-up each."""

_FROM_OUTSIDE = (-signal.SIGKILL, -signal.SIGTERM, 255, 123)
"""Ends that others bring about; ffmpeg ends by itself with 255 when it gets SIGTERM, with 123 when
it gets more than three."""

_ENVIRONMENT = {"GCONV_PATH": "/nonexistent"}
"""All that a child is told. A statically linked ffmpeg that finds the system's character set
modules loads one made for another libc and crashes, on every MPEG transport stream."""

_LEASH = str(Path(__file__).with_name("resource_limits.py"))


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What a child may use before the kernel, or we, stop it."""

    cpu_seconds: int = 60
    address_space_bytes: int = 4 << 30
    file_bytes: int = 0
    """The longest file it may write; pipes are no files."""
    wall_seconds: float = 120.0
    open_files: int = 64
    caged: bool = True
    """Whether it may do nothing but read and write what it is given; see `resource_limits`."""


class Bound(Enum):
    """What a child was stopped for."""

    WALL_TIME = "wall_time"
    """It took longer than `wall_seconds`."""
    OUTPUT = "output"
    """It wrote more than was asked for."""


@dataclass(frozen=True, kw_only=True)
class Completed:
    """How a child ended: `exceeded` tells which bound stopped it, None that it ended by itself.

    A negative return code is the signal that ended it, as in `subprocess`.
    """

    returncode: int
    stdout: bytes
    stderr_tail: str
    exceeded: Bound | None = None


@dataclass(kw_only=True, eq=False)
class Pipe:
    """A pipe that a child writes to (name its end `pipe:{writer}`) and this process reads."""

    reader: asyncio.StreamReader
    writer: int
    _open: bool = True

    def close_writer(self) -> None:
        """Let go of the child's end, so that the reader sees the end of its output."""
        if self._open:
            self._open = False
            os.close(self.writer)


@asynccontextmanager
async def piped() -> AsyncIterator[Pipe]:
    """Open a pipe for one more output of a child; give it to `child(pipes=…)`."""
    read_end, write_end = os.pipe()
    with suppress(PermissionError):  # the quota of pipe memory is used up: only slower
        fcntl.fcntl(read_end, fcntl.F_SETPIPE_SZ, PIPE_BYTES)
    reader = asyncio.StreamReader(limit=PIPE_BYTES)
    pipe = Pipe(reader=reader, writer=write_end)
    loop = asyncio.get_running_loop()
    file = os.fdopen(read_end, "rb", buffering=0)
    try:
        transport, _ = await loop.connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(reader), file
        )
    except BaseException:
        file.close()
        pipe.close_writer()
        raise
    try:
        yield pipe
    finally:
        pipe.close_writer()
        transport.close()


class _LastWords(asyncio.Protocol):
    """Keeps the end of what a child says on stderr, however much that is."""

    def __init__(self) -> None:
        self.kept = b""
        self.ended = asyncio.Event()

    def data_received(self, data: bytes) -> None:
        """Drop all but the end."""
        self.kept = (self.kept + data)[-STDERR_KEPT:]

    def connection_lost(self, exc: Exception | None) -> None:
        """Note that there is nothing more to come."""
        self.ended.set()


@dataclass(kw_only=True, eq=False)
class Child:
    """A running child; ends with the block that started it."""

    process: asyncio.subprocess.Process
    stdout: asyncio.StreamReader
    """What it writes to descriptor 1; at its end at once where `stdout=False`."""
    timed_out: bool = False
    """Whether it was killed for exceeding `wall_seconds`."""
    _limits: Limits = field(repr=False)
    _words: _LastWords = field(repr=False)
    _began: float = field(default_factory=time.monotonic, repr=False)
    _ended_by_us: bool = field(default=False, repr=False)

    @property
    def returncode(self) -> int | None:
        """None while it runs; negative: the signal that ended it."""
        return self.process.returncode

    @property
    def stderr_tail(self) -> str:
        """Its last words on stderr, up to 4 KiB."""
        return self._words.kept.decode(errors="replace").strip()

    async def wait(self) -> int:
        """Wait for its end; read its output first, or a full pipe keeps it from ending."""
        returncode = await self.process.wait()
        with suppress(TimeoutError):  # something that it started and left behind still holds on
            async with asyncio.timeout(GRACE_SECONDS):
                await self._words.ended.wait()
        return returncode

    def kill(self) -> None:
        """Send SIGKILL to it and whatever it started, where it still runs."""
        self._ended_by_us = True
        _signal(self.process, signal.SIGKILL)

    def complain_if_killed(self) -> None:
        """Raise MediaUnavailable where something else ended it: what it did tells nothing.

        The kernel does so for too much processor time as well, so it must have lived for less than
        it takes to use that up.
        """
        least_seconds = self._limits.cpu_seconds / (os.cpu_count() or 1)
        if (
            self.returncode in _FROM_OUTSIDE
            and not self._ended_by_us
            and time.monotonic() - self._began < least_seconds
        ):
            raise MediaUnavailable(
                "The program that reads the media was killed from outside; is memory short?"
            )


@asynccontextmanager
async def child(
    argv: Sequence[str],
    *,
    limits: Limits,
    stdout: bool = True,
    pass_fds: Sequence[int] = (),
    pipes: Sequence[Pipe] = (),
) -> AsyncIterator[Child]:
    """Run `argv` (an absolute path first) with next to no environment, on a leash.

    Leaving the block ends the child, whatever the reason: SIGTERM, SIGKILL after half a second;
    it is reaped before the block is left. It dies with this process too, even by SIGKILL. The
    block must run in a thread that outlives the child. Raises OSError where nothing can be started.
    """
    async with AsyncExitStack() as stack:
        out = await stack.enter_async_context(piped())
        words, errors = await _listen(stack)
        fds = [*pass_fds, *(pipe.writer for pipe in pipes)]
        try:
            process = await asyncio.create_subprocess_exec(
                *_leashed(argv, limits),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=out.writer if stdout else asyncio.subprocess.DEVNULL,
                stderr=errors,
                pass_fds=fds,
                env=_ENVIRONMENT,
                start_new_session=True,
            )
        finally:
            for pipe in (out, *pipes):
                pipe.close_writer()
            os.close(errors)
        running = Child(process=process, stdout=out.reader, _limits=limits, _words=words)
        timer = asyncio.get_running_loop().call_later(limits.wall_seconds, _expire, running)
        try:
            yield running
        finally:
            timer.cancel()
            await _end(process)


async def complete(
    argv: Sequence[str],
    *,
    limits: Limits,
    pass_fds: Sequence[int] = (),
    most_output: int = 8 << 20,
) -> Completed:
    """Run `argv` to its end and answer what it wrote, at most `most_output` bytes.

    Raises OSError where nothing can be started, MediaUnavailable where something else killed it;
    any other bad end is in the answer.
    """
    async with child(argv, limits=limits, pass_fds=pass_fds) as running:
        pieces: list[bytes] = []
        room = most_output
        while piece := await running.stdout.read(PIPE_BYTES):
            pieces.append(piece[:room])
            room -= len(piece)
            if room < 0:
                running.kill()
                break
        returncode = await running.wait()
        running.complain_if_killed()
        exceeded = Bound.WALL_TIME if running.timed_out else Bound.OUTPUT if room < 0 else None
        return Completed(
            returncode=returncode,
            stdout=b"".join(pieces),
            stderr_tail=running.stderr_tail,
            exceeded=exceeded,
        )


def _leashed(argv: Sequence[str], limits: Limits) -> list[str]:
    """The command line that puts the leash on and then becomes `argv`."""
    bounds = (
        os.getpid(),
        limits.cpu_seconds,
        limits.address_space_bytes,
        limits.file_bytes,
        limits.open_files,
        int(limits.caged),
    )
    return [sys.executable, "-I", "-S", _LEASH, *map(str, bounds), *argv]


async def _listen(stack: AsyncExitStack) -> tuple[_LastWords, int]:
    """Open a pipe for stderr: what keeps its end, and the descriptor to write to."""
    read_end, write_end = os.pipe()
    loop = asyncio.get_running_loop()
    transport, words = await loop.connect_read_pipe(
        _LastWords, os.fdopen(read_end, "rb", buffering=0)
    )
    stack.callback(transport.close)
    return words, write_end


def _expire(running: Child) -> None:
    running.timed_out = True
    running.kill()


async def _end(process: asyncio.subprocess.Process) -> None:
    """See the child dead and reaped before returning, even when cancelled meanwhile."""
    if process.returncode is not None:
        return
    _signal(process, signal.SIGTERM)
    last_resort = asyncio.get_running_loop().call_later(
        GRACE_SECONDS, _signal, process, signal.SIGKILL
    )
    cancelled: asyncio.CancelledError | None = None
    while process.returncode is None:
        try:
            await process.wait()
        except asyncio.CancelledError as again:
            cancelled = again
            _signal(process, signal.SIGKILL)
    last_resort.cancel()
    if cancelled is not None:
        raise cancelled


def _signal(process: asyncio.subprocess.Process, number: signal.Signals) -> None:
    """Signal a child's whole group, which it leads; only before it is reaped, when its id is its.

    Where the group is gone, the child has ended and only waits to be reaped.
    """
    if process.returncode is None:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, number)
