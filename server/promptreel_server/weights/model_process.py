"""A process that holds a model: CPU-bound work away from the event loop, warm while it is used."""

import asyncio
import os
import pickle
import signal
import sys
import tempfile
from asyncio.subprocess import PIPE, Process
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import IO, Any

from promptreel_server.errors import FailureCode, ModelFailure
from promptreel_server.weights.model_child import LENGTH, packed

_KEPT = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "PYTHONPATH", "LD_LIBRARY_PATH")
_NICENESS = 5
"""The event loop comes first when both want the processor."""
_LAST_WORDS = 2000


def spare_threads() -> int:
    """One thread less than there are processors: a model that takes them all starves itself."""
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return max(1, (usable or 1) - 1)


class ModelProcess:
    """Runs methods of one object in a process of its own, a call at a time, in order.

    The process starts with the first call, stays for `idle_seconds` after the last one, and dies
    with this one, even by SIGKILL. A call that is cancelled or overdue kills it; the next starts
    another. `entry` is `module:Class`, built there with `options` as keyword arguments.
    """

    def __init__(
        self,
        entry: str,
        options: Mapping[str, object],
        *,
        name: str,
        threads: int | None = None,
        idle_seconds: float = 120.0,
    ) -> None:
        self._entry = entry
        self._options = dict(options)
        self._name = name
        self._threads = threads or spare_threads()
        self._idle_seconds = idle_seconds
        self._turn = asyncio.Lock()
        self._running: _Running | None = None
        self._leaving: list[Process] = []
        self._idle: asyncio.TimerHandle | None = None

    @property
    def pid(self) -> int | None:
        """The id of the process, where one runs."""
        return self._running.process.pid if self._running else None

    async def call(
        self,
        method: str,
        *arguments: Any,
        seconds: float | None = None,
        progress: Callable[[Any], None] | None = None,
    ) -> Any:
        """Run a method there and answer what it returns.

        `progress` is told what a generator method yields on the way. Cancelling ends the work at
        once.

        Raises:
            ModelFailure: the method raised (its own code, else `internal`), took longer than
                `seconds` (`timeout`), or the process died (`model_unavailable`).
        """
        async with self._turn:
            self._stay()
            try:
                async with asyncio.timeout(seconds):
                    running = self._running or await self._start()
                    return await running.ask((method, arguments), progress)
            except _Failed as failed:
                raise failed.failure(self._name) from None
            except TimeoutError as error:
                await self._end()
                message = f"the {self._name} took longer than {seconds:g} s"
                raise ModelFailure(FailureCode.TIMEOUT, message) from error
            except (EOFError, OSError) as error:
                raise await self._died() from error
            except BaseException:
                await self._end()
                raise
            finally:
                self._leave_later()

    async def close(self) -> None:
        """End the process and see it gone; a later call starts another."""
        async with self._turn:
            self._stay()
            await self._end()
            leaving, self._leaving = self._leaving, []
            for process in leaving:
                await process.wait()

    async def _start(self) -> "_Running":
        words = tempfile.TemporaryFile()  # noqa: SIM115  # lives as long as the process
        command = [sys.executable, "-m", "promptreel_server.weights.model_child"]
        command += [self._entry, str(os.getpid()), str(_NICENESS)]
        try:
            process = await asyncio.create_subprocess_exec(
                *command, stdin=PIPE, stdout=PIPE, stderr=words, env=self._environment()
            )
        except BaseException:
            words.close()
            raise
        self._running = _Running(process, words)
        try:
            await self._running.ask(self._options, None)
        except _Failed:
            await self._end()
            raise
        return self._running

    def _environment(self) -> dict[str, str]:
        threads = str(self._threads)
        kept = {name: os.environ[name] for name in _KEPT if name in os.environ}
        return kept | {
            "OMP_NUM_THREADS": threads,
            "OPENBLAS_NUM_THREADS": threads,
            "MKL_NUM_THREADS": threads,
            "HF_HUB_OFFLINE": "1",
            "PYTHONWARNINGS": "ignore",
        }

    async def _died(self) -> ModelFailure:
        running, self._running = self._running, None
        if running is None:
            return ModelFailure(FailureCode.MODEL_UNAVAILABLE, f"the {self._name} can't be started")
        said = await running.end()
        code = running.process.returncode
        message = f"the {self._name} ended with {code}" + (f": {said}" if said else "")
        return ModelFailure(FailureCode.MODEL_UNAVAILABLE, message)

    async def _end(self) -> None:
        running, self._running = self._running, None
        if running is not None:
            await running.end()

    def _stay(self) -> None:
        if self._idle is not None:
            self._idle.cancel()
            self._idle = None

    def _leave_later(self) -> None:
        if self._running is not None:
            loop = asyncio.get_running_loop()
            self._idle = loop.call_later(self._idle_seconds, self._let_go)

    def _let_go(self) -> None:
        running, self._running = self._running, None
        if running is not None:
            self._leaving = [left for left in self._leaving if left.returncode is None]
            self._leaving.append(running.process)
            running.hang_up()


class _Failed(Exception):
    """The method raised; the process goes on."""

    def __init__(self, code: str | None, message: str) -> None:
        self._code = code
        self._message = message

    def failure(self, name: str) -> ModelFailure:
        if self._code is not None:
            return ModelFailure(FailureCode(self._code), self._message)
        return ModelFailure(FailureCode.INTERNAL, f"the {name} failed: {self._message}")


class _Running:
    def __init__(self, process: Process, words: IO[bytes]) -> None:
        self.process = process
        self._words = words

    async def ask(self, message: object, progress: Callable[[Any], None] | None) -> Any:
        stdin, stdout = self.process.stdin, self.process.stdout
        if stdin is None or stdout is None:
            raise EOFError
        stdin.write(packed(message))
        await stdin.drain()
        while True:
            (length,) = LENGTH.unpack(await stdout.readexactly(LENGTH.size))
            reply = pickle.loads(await stdout.readexactly(length))  # noqa: S301  # our own child
            if reply[0] == "done":
                return reply[1]
            if reply[0] == "failed":
                raise _Failed(reply[1], reply[2])
            if progress is not None:
                progress(reply[1])

    async def end(self) -> str:
        """Kill it, see it gone, and answer the last line it said."""
        if self.process.returncode is None:
            with suppress(ProcessLookupError):  # gone already, only not yet known to be
                # Not Process.kill(): it may reap a child that died by itself, and lose its status.
                os.kill(self.process.pid, signal.SIGKILL)
        try:
            await self.process.wait()
            return self._last_line()
        finally:
            self.hang_up()

    def hang_up(self) -> None:
        """Let go of its pipe: an idle process ends by itself."""
        if self.process.stdin is not None:
            self.process.stdin.close()
        self._words.close()

    def _last_line(self) -> str:
        self._words.seek(0, os.SEEK_END)
        self._words.seek(max(0, self._words.tell() - _LAST_WORDS))
        lines = self._words.read().decode(errors="replace").strip().splitlines()
        return lines[-1] if lines else ""
