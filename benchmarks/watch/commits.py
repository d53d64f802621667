"""When each event of an owner was committed, as a second reader of the database sees it."""

import sqlite3
import threading
import time
from bisect import bisect_left
from pathlib import Path
from types import TracebackType
from typing import Self

from promptreel_server.store.database.sqlite import FILE_NAME

LOOK_EVERY = 0.002
"""Seconds between looks: as exact as the times are."""


class Commits:
    """Looks at the owner's last sequence again and again, for the length of a block."""

    def __init__(self, data: Path, owner_id: str) -> None:
        self._path = data / FILE_NAME
        self._owner_id = owner_id
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look)
        self._sequences: list[int] = []
        self._times: list[float] = []

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._over.set()
        self._thread.join()

    def until_seen(self, seen: dict[int, float]) -> list[float]:
        """Answer how many seconds after its commit each of these sequences was seen."""
        return [
            max(0.0, at - self._times[bisect_left(self._sequences, sequence)])
            for sequence, at in seen.items()
            if sequence > self._sequences[0]
        ]

    def _look(self) -> None:
        statement = "SELECT sequence FROM feeds WHERE owner_id = ?"
        connection = sqlite3.connect(f"file:{self._path}?mode=ro", uri=True)
        last = -1
        while not self._over.wait(LOOK_EVERY):
            row = connection.execute(statement, (self._owner_id,)).fetchone()
            if row is not None and row[0] != last:
                last = row[0]
                self._sequences.append(last)
                self._times.append(time.time())
        connection.close()
