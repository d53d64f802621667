"""One Envoy process: started on a leash, heard when it fails, ended for sure."""

import asyncio
import os
import re
import resource
import sys
from contextlib import suppress
from pathlib import Path

from promptreel_server import errors
from promptreel_server.gateway.admin import Admin
from promptreel_server.media.process import resource_limits

WORKERS = 2
"""Threads: one Python process behind them never needs more, and each costs memory."""
NO_LIMIT = -1
ENDLESS_CPU_SECONDS = 100 * 365 * 86400
POLL_SECONDS = 0.02
TERM_SECONDS = 2.0
"""How long SIGTERM may take before SIGKILL."""
LAST_WORDS = 4096


class Envoy:
    """A started Envoy; its process is `process`, its admin interface `admin`."""

    def __init__(
        self, process: asyncio.subprocess.Process, admin: Admin, log: Path, log_start: int
    ) -> None:
        self.process = process
        self.admin = admin
        self._log = log
        self._log_start = log_start

    @classmethod
    async def launch(cls, binary: Path, *, config: Path, admin_socket: Path, log: Path) -> "Envoy":
        """Start `binary` with `config`, its words appended to `log`.

        It dies with the thread that calls this. Raises OSError where nothing can be started.
        """
        log_file = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            log_start = os.fstat(log_file).st_size
            process = await asyncio.create_subprocess_exec(
                *_leashed(binary),
                *("--config-path", str(config), "--concurrency", str(WORKERS)),
                # A second Envoy of another server on this machine is no earlier epoch of ours.
                "--disable-hot-restart",
                *("--drain-strategy", "immediate", "--log-level", "warning"),
                # It logs every 413 as an error: a caller's mistake is no news.
                *("--component-log-level", "http:critical"),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log_file,
                stderr=log_file,
                env={},
            )
        finally:
            os.close(log_file)
        return cls(process, Admin(admin_socket), log, log_start)

    async def live(self, seconds: float) -> None:
        """Wait until it listens.

        Raises `errors.PortTaken` where another program listens there, `errors.Unavailable` where
        it ends for another reason or needs longer.
        """
        loop = asyncio.get_running_loop()
        deadline = loop.time() + seconds
        while not await self.admin.is_live():
            if self.process.returncode is not None:
                raise self._failure()
            if loop.time() > deadline:
                raise errors.Unavailable(
                    f"Envoy was not ready after {seconds:g} s; its log is {self._log}"
                )
            await asyncio.sleep(POLL_SECONDS)

    async def end(self) -> None:
        """End it and wait for that: SIGTERM, after two seconds SIGKILL."""
        if self.process.returncode is not None:
            return
        try:
            self.process.terminate()
            await asyncio.wait_for(self.process.wait(), TERM_SECONDS)
        except (TimeoutError, asyncio.CancelledError) as reason:
            with suppress(ProcessLookupError):  # it ended just now
                self.process.kill()
            await asyncio.shield(self.process.wait())
            if isinstance(reason, asyncio.CancelledError):
                raise

    def _failure(self) -> errors.Unavailable:
        """What it said before it ended, as an error."""
        with self._log.open("rb") as log:
            log.seek(self._log_start)
            words = log.read().decode(errors="replace")[-LAST_WORDS:]
        taken = re.search(r"cannot bind '([^']+)': ([^\n]*)", words)
        if taken:
            address, reason = taken.groups()
            return errors.PortTaken(
                f"The gateway can't listen at {address} ({reason.strip()}); stop the program that "
                "does, or choose another port with --rest-port."
            )
        lines = words.strip().splitlines() or [f"exit code {self.process.returncode}"]
        return errors.Unavailable(f"Envoy ended at start ({lines[-1]}); its log is {self._log}")


def _leashed(binary: Path) -> list[str]:
    """The words that start `binary` so that it dies with this process, otherwise unbounded."""
    open_files = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    not_caged = 0
    limits = (ENDLESS_CPU_SECONDS, NO_LIMIT, NO_LIMIT, open_files, not_caged)
    trampoline = [sys.executable, "-I", "-S", resource_limits.__file__, str(os.getpid())]
    return [*trampoline, *map(str, limits), str(binary)]
