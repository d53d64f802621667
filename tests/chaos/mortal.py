"""A server that is killed at random moments and started again over the same folder."""

import json
import random
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from promptreel_client import Client, errors
from tests.served import Served, announced, start

Result = TypeVar("Result")

PATIENCE_SECONDS = 120.0


@dataclass
class Mortal:
    """One server after the other; `call` goes to whichever lives now."""

    data: Path
    scripts: dict[str, object]
    dice: random.Random
    kills: int
    killed_at: list[float] = field(default_factory=list)
    now: Served | None = None
    longest_life: float = 1.5
    gateway: bool = False
    grpc_port: int = 0
    """The port of them all, once the first has one: clients come back to where they were."""

    def begin(self) -> None:
        self.data.mkdir(parents=True, exist_ok=True)
        (self.data / "scripts.json").write_text(json.dumps(self.scripts))
        self._live()

    def call(self, ask: Callable[[Client], Result]) -> Result:
        """Ask until a server lives long enough to answer."""
        until = time.monotonic() + PATIENCE_SECONDS
        while True:
            served = self.now
            try:
                assert served is not None
                with Client(address=served.grpc, api_key=served.key, timeout=20.0) as client:
                    return ask(client)
            except (errors.UnavailableError, errors.DeadlineError, AssertionError):
                if time.monotonic() > until:
                    raise
                time.sleep(0.05)

    @contextmanager
    def dying(self, kills: int) -> Iterator[None]:
        """Kill the server so many times at random moments, meanwhile and after if need be."""
        enough = threading.Event()

        def reap() -> None:
            for _ in range(kills):
                enough.wait(self.dice.uniform(0.05, self.longest_life))
                self.kill()
                self._live()

        reaper = threading.Thread(target=reap)
        reaper.start()
        try:
            yield
        finally:
            reaper.join()

    def kill(self) -> None:
        served, self.now = self.now, None
        assert served is not None
        served.process.send_signal(signal.SIGKILL)
        _reap(served, 10)
        self.killed_at.append(time.time())

    def end(self) -> None:
        """Stop the last server as a terminal would, so that all it holds is written."""
        served, self.now = self.now, None
        if served is not None:
            served.process.send_signal(signal.SIGTERM)
            _reap(served, 30)

    def _live(self) -> None:
        process = start(self.data, gateway=self.gateway, grpc_port=self.grpc_port)
        self.now = announced(process, self.data)
        self.grpc_port = int(self.now.grpc.rpartition(":")[2])


def _reap(served: Served, seconds: float) -> None:
    served.process.wait(seconds)
    if served.process.stdout is not None:
        served.process.stdout.close()
