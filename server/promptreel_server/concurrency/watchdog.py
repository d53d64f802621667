"""Ends a process that stands still, so that a supervisor sees it and starts another.

A thread beside the event loop counts its own ticks, not the clock: a process that was suspended
is not taken for one that is stuck.
"""

import asyncio
import contextlib
import faulthandler
import logging
import os
import sys
import threading
import time
from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass, field

log = logging.getLogger(__name__)

STUCK = 70
"""Exit status of a process that a watchdog has ended."""

LAST_RESORT = 5.0
"""Seconds after which a process that is to end does so though its log can't be written."""

TICK = 0.5
"""Seconds between looks of the thread, and between beats of the loop at the most."""


@dataclass
class _Watched:
    """Something whose progress changes a value; None: it has nothing to do."""

    name: str
    progress: Callable[[], Hashable | None]
    seconds: float
    last: Hashable | None = None
    ticks: int = 0

    def stands_still(self) -> bool:
        """Tell whether it had something to do and made no progress for too long."""
        now = self.progress()
        self.ticks = self.ticks + 1 if now is not None and now == self.last else 0
        self.last = now
        return self.ticks * TICK >= self.seconds


@dataclass
class Watchdog:
    """Watches the event loop and whatever else must go on.

    `stuck_after` is how many seconds the loop may be held up. `end` takes the exit status; it does
    not return.
    """

    stuck_after: float
    end: Callable[[int], None] = os._exit
    _watched: list[_Watched] = field(default_factory=list)
    _beats: int = 0
    _deadline: int | None = None
    """Ticks that are left until the process must have ended."""

    def watch(self, name: str, progress: Callable[[], Hashable | None], *, seconds: float) -> None:
        """Watch something else: `progress` answers another value after each step, None when idle.

        It is called in the watchdog's thread.
        """
        self._watched.append(_Watched(name, progress, seconds))

    def end_within(self, seconds: float) -> None:
        """Give the process so long to end by itself; the first call counts."""
        if self._deadline is None:
            self._deadline = round(seconds / TICK)

    @contextlib.contextmanager
    def running(self) -> Iterator[None]:
        """Watch the running loop for the length of the block."""
        loop, over = asyncio.get_running_loop(), threading.Event()
        self._watched.append(_Watched("the event loop", lambda: self._beats, self.stuck_after))

        def beat() -> None:
            self._beats += 1
            if not over.is_set():
                loop.call_later(TICK, beat)

        beat()
        thread = threading.Thread(target=self._look, args=(over,), name="watchdog", daemon=True)
        thread.start()
        try:
            yield
        finally:
            over.set()
            # What is left of the interpreter's end (threads that are waited for) has a limit too.
            if self._deadline is not None:
                threading.Thread(
                    target=self._count_down, name="watchdog of the end", daemon=True
                ).start()

    def _look(self, over: threading.Event) -> None:
        while not over.wait(TICK):
            try:
                self._look_once()
            except Exception:
                log.exception("the watchdog broke")
                self._end("nothing watches the server any more")

    def _look_once(self) -> None:
        for one in self._watched:
            if one.stands_still():
                self._end(f"{one.name} has stood still for {one.seconds:g} s")
        self._count()

    def _count_down(self) -> None:
        while True:
            time.sleep(TICK)
            self._count()

    def _count(self) -> None:
        if self._deadline is not None:
            self._deadline -= 1
            if self._deadline < 0:
                self._end("the server has not ended in time")

    def _end(self, why: str) -> None:
        # Where the log can't be written either, this ends the process without any of Python.
        faulthandler.dump_traceback_later(LAST_RESORT, exit=True)
        log.critical("%s; the process ends with status %d", why, STUCK)
        with contextlib.suppress(Exception):
            faulthandler.dump_traceback(sys.stderr)
        self.end(STUCK)
        faulthandler.cancel_dump_traceback_later()
