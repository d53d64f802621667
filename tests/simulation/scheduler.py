"""An event loop in virtual time that plays several servers, and decides by a seed who goes next.

Time stands still while anything is ready and jumps to the next timer when nothing is: a stall of a
minute costs nothing. Within one server callbacks keep the order that asyncio gives them; between
servers, and in how long each access to a database or a file takes, the seed decides. What the
product does in threads runs here, whole, at an instant that the seed chooses.
"""

import asyncio
import contextvars
import heapq
import itertools
import random
import sys
import traceback
from collections import deque
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import Executor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any
from unittest.mock import patch

from promptreel_server.errors import StoreUnavailable

PROCESS: contextvars.ContextVar["Process | None"] = contextvars.ContextVar("process", default=None)


@dataclass(eq=False)
class Process:
    """A server process as the scheduler sees it: what of it is ready, and whether it goes on."""

    name: str
    ready: deque[asyncio.Handle] = field(default_factory=deque)
    tasks: set["asyncio.Task[Any]"] = field(default_factory=set)
    stalled_until: float = 0.0
    """The process is suspended until then: none of its callbacks runs, its clock goes on."""
    clock_offset: float = 0.0
    """Seconds by which its wall clock is ahead of the true time."""
    dead: bool = False


LONGEST_STALL = 60.0


class Stuck(Exception):
    """Nothing is left that could ever go on."""


@dataclass(kw_only=True)
class Weather:
    """How slow and how faulty what lies outside a server is; changed while an interleaving runs."""

    stall: float = 0.0
    """Share of accesses that take up to a minute."""
    refusal: float = 0.0
    """Share of accesses to the database that it refuses."""
    lost_commit_answer: float = 0.0
    """Share of commits whose answer never arrives; half of them came through."""
    lost_notice: float = 0.0
    """Share of notices between servers that are dropped."""


class Scheduler(asyncio.AbstractEventLoop):
    """The loop of all processes of one interleaving."""

    def __init__(self, seed: int) -> None:
        self.dice = random.Random(seed)
        self.weather = Weather()
        self.outside = Process("outside")
        """Whoever is no server: the owner, the network, the one that injects faults."""
        self.processes = [self.outside]
        self.broken: list[str] = []
        """What was told to the loop's exception handler."""
        self.steps = 0
        self.stalled_until = 0.0
        """When the last of what stalls so far will have gone on."""
        self._now = 0.0
        self._burying = False
        self._numbers = itertools.count()
        self._timers: list[tuple[float, int, Process, asyncio.TimerHandle]] = []

    # What asyncio asks of a loop

    def time(self) -> float:
        return self._now

    def get_debug(self) -> bool:
        return False

    def is_running(self) -> bool:
        return True

    def is_closed(self) -> bool:
        return False

    def create_future(self) -> "asyncio.Future[Any]":
        return asyncio.Future(loop=self)

    def create_task(  # type: ignore[override]
        self,
        coro: Coroutine[Any, Any, Any],
        *,
        name: str | None = None,
        context: contextvars.Context | None = None,
    ) -> "asyncio.Task[Any]":
        task = asyncio.Task(coro, loop=self, name=name, context=context)
        process = self._process(context)
        process.tasks.add(task)
        task.add_done_callback(process.tasks.discard)
        return task

    def call_soon(  # type: ignore[override]
        self,
        callback: Callable[..., Any],
        *args: Any,
        context: contextvars.Context | None = None,
    ) -> asyncio.Handle:
        handle = asyncio.Handle(callback, args, self, context)
        process = self._process(context)
        if not process.dead:
            process.ready.append(handle)
        return handle

    call_soon_threadsafe = call_soon  # type: ignore[assignment]

    def call_later(  # type: ignore[override]
        self,
        delay: float,
        callback: Callable[..., Any],
        *args: Any,
        context: contextvars.Context | None = None,
    ) -> asyncio.TimerHandle:
        return self.call_at(self._now + delay, callback, *args, context=context)

    def call_at(  # type: ignore[override]
        self,
        when: float,
        callback: Callable[..., Any],
        *args: Any,
        context: contextvars.Context | None = None,
    ) -> asyncio.TimerHandle:
        handle = asyncio.TimerHandle(when, callback, args, self, context)
        process = self._process(context)
        heapq.heappush(self._timers, (when, next(self._numbers), process, handle))
        return handle

    def _timer_handle_cancelled(self, handle: asyncio.TimerHandle) -> None:
        """A cancelled timer is skipped when its time comes."""

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        if PROCESS.get() is None or not self._process(None).dead:
            error = context.get("exception")
            told = "".join(traceback.format_exception(error)) if error is not None else ""
            self.broken.append(f"{context.get('message')}:\n{told}")

    def run_in_executor(  # type: ignore[override]
        self, executor: Executor | None, func: Callable[..., Any], *args: Any
    ) -> "asyncio.Future[Any]":
        """Run `func` as a whole at an instant to come, and deliver what came of it later."""
        if self._burying:
            return self._at_once(func, *args)
        refused = executor is not None and self.dice.random() < self.weather.refusal

        def work() -> Any:
            if refused:
                raise StoreUnavailable("The database can't be used now.", retry_after=1.0)
            return func(*args)

        return self.access(work)

    def _at_once(self, func: Callable[..., Any], *args: Any) -> "asyncio.Future[Any]":
        """Close what a dead process had open: a real one's files are closed as it dies."""
        future = self.create_future()
        try:
            future.set_result(func(*args))
        except Exception:  # noqa: BLE001 - nobody is there to hear of it
            future.cancel()
        return future

    # What the simulation asks of it

    def access(self, work: Callable[[], Any]) -> "asyncio.Future[Any]":
        """Do `work` outside this process: it takes effect at once and whole, after a while.

        The answer arrives some time later. A process that dies before the effect never asked; one
        that dies after it never hears.
        """
        process = self._process(None)
        future = self.create_future()
        answering = contextvars.copy_context()

        def deliver(result: Any, error: BaseException | None) -> None:
            if future.cancelled():
                return
            if error is not None:
                future.set_exception(error)
            else:
                future.set_result(result)

        def take_effect() -> None:
            if process.dead:
                return
            if process.stalled_until > self._now:  # its threads are suspended as well
                self._outside_at(process.stalled_until, take_effect)
                return
            result, error = None, None
            try:
                result = answering.run(work)
            except Exception as raised:  # noqa: BLE001 - delivered to who asked
                error = raised
            self.call_later(self.latency(), deliver, result, error, context=answering)

        self._outside_at(self._now + self.latency(), take_effect)
        return future

    def latency(self) -> float:
        """How long one way of an access takes."""
        slow = self.dice.random() > 0.9
        return self.lasting(0.0, 0.3 if slow else 0.01)

    def lasting(self, least: float, most: float) -> float:
        """How long something takes that usually takes between `least` and `most` seconds."""
        if self.dice.random() >= self.weather.stall:
            return self.dice.uniform(least, most)
        stalled = self.dice.uniform(0.0, LONGEST_STALL)
        self.stalled_until = max(self.stalled_until, self._now + stalled)
        return stalled

    def suspend(self, process: Process) -> None:
        """Let a process stand still for a while."""
        process.stalled_until = self._now + self.dice.uniform(0.0, LONGEST_STALL)
        self.stalled_until = max(self.stalled_until, process.stalled_until)

    def start(
        self, process: Process, main: Callable[[], Coroutine[Any, Any, None]]
    ) -> "asyncio.Task[None]":
        """Start a process with its main coroutine."""
        if process not in self.processes:
            self.processes.append(process)
        context = contextvars.Context()
        context.run(PROCESS.set, process)
        return context.run(lambda: self.create_task(main(), name=process.name))

    def kill(self, process: Process) -> None:
        """End a process as kill -9 does: nothing of it ever runs again."""
        process.dead = True
        process.ready.clear()

    def run_until(self, task: "asyncio.Task[None]") -> None:
        """Run everything until a task is done.

        Raises:
            Stuck: nothing is left to run, and the task is not done.
        """
        with self._running():
            while not task.done():
                self._step()
        task.result()

    @contextmanager
    def _running(self) -> Iterator[None]:
        """Be the running loop; asynchronous generators of the dead are let go of as they are."""
        hooks = sys.get_asyncgen_hooks()
        sys.set_asyncgen_hooks(finalizer=lambda _: None)
        asyncio.events._set_running_loop(self)
        try:
            yield
        finally:
            asyncio.events._set_running_loop(None)
            sys.set_asyncgen_hooks(*hooks)

    def bury(self) -> None:
        """Let go of every coroutine that is still suspended, without running it any further."""
        self._burying = True
        with self._running(), patch.object(sys, "unraisablehook", lambda _: None):
            for process in self.processes:
                process.dead = True
            while any(process.tasks for process in self.processes):  # cleaning up begins others
                for process in self.processes:
                    for task in list(process.tasks):
                        process.tasks.discard(task)
                        _close(task)
            for process in self.processes:
                process.ready.clear()
            self._timers.clear()

    def _step(self) -> None:
        self.steps += 1
        self._wake()
        able = [
            process
            for process in self.processes
            if process.ready and process.stalled_until <= self._now
        ]
        if not able:
            self._jump()
            return
        process = self.dice.choice(able) if len(able) > 1 else able[0]
        handle = process.ready.popleft()
        if not handle.cancelled():
            handle._run()

    def _wake(self) -> None:
        """Move timers that are due to what is ready."""
        while self._timers and self._timers[0][0] <= self._now:
            _, _, process, handle = heapq.heappop(self._timers)
            if not process.dead and not handle.cancelled():
                process.ready.append(handle)

    def _jump(self) -> None:
        """Go on in time to whatever comes next."""
        while self._timers and (self._timers[0][2].dead or self._timers[0][3].cancelled()):
            heapq.heappop(self._timers)
        coming = [process.stalled_until for process in self.processes if process.ready]
        if self._timers:
            coming.append(self._timers[0][0])
        if not coming:
            raise Stuck
        self._now = max(self._now, min(coming))

    def _outside_at(self, when: float, callback: Callable[[], None]) -> None:
        handle = asyncio.TimerHandle(when, callback, (), self, contextvars.Context())
        heapq.heappush(self._timers, (when, next(self._numbers), self.outside, handle))

    def _process(self, context: contextvars.Context | None) -> Process:
        found = PROCESS.get() if context is None else context.get(PROCESS)
        return found or self.outside


def _close(task: "asyncio.Task[Any]") -> None:
    """Close a coroutine; each await within its cleaning up is another suspension to end."""
    task._log_destroy_pending = False  # type: ignore[attr-defined]
    for _ in range(50):
        with suppress(Exception, BaseExceptionGroup):
            task.get_coro().close()
            return
