"""What a change is written through: a connection, and whose feed it moves."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, CursorResult, Executable


@dataclass(frozen=True, kw_only=True)
class Transaction:
    """One open transaction of the writer.

    `now` is the instant of the whole transaction; `moved` collects the owners whose feed got new
    events, to wake their readers once it is committed.
    """

    connection: Connection
    now: datetime
    moved: set[str] = field(default_factory=set)

    def execute(self, statement: Executable, parameters: Any = None) -> CursorResult[Any]:
        """Execute one statement, or one for many rows of parameters."""
        return self.connection.execute(statement, parameters)


class Fenced(Exception):
    """Another drive or performer has taken over: this one may write nothing more."""
