"""Tells the trouble of a database that passes from what is wrong with a statement."""

import sqlite3

from sqlalchemy.exc import DBAPIError, OperationalError

from promptreel_server.errors import StoreUnavailable

AGAIN_AFTER = 10.0
"""Seconds after which a caller should come back: locks are let go, disks are cleared."""

_PASSING = {
    sqlite3.SQLITE_FULL: "its disk is full",
    sqlite3.SQLITE_BUSY: "another program has locked it",
    sqlite3.SQLITE_LOCKED: "another program has locked it",
    sqlite3.SQLITE_IOERR: "its disk fails or is full",
    sqlite3.SQLITE_READONLY: "it can only be read",
    sqlite3.SQLITE_CANTOPEN: "its file can't be opened",
}
_DAMAGED = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
DAMAGED = (
    "The database file is damaged. Stop the server, keep a copy of the data folder, and put a "
    "backup in its place; without one, `sqlite3 promptreel.db .recover | sqlite3 new.db` saves "
    "what can be read. `promptreel doctor` says what is wrong."
)
_PRIMARY = 0xFF
"""The bits of an extended SQLite code that say which error it is a kind of."""

_PASSING_STATES = {
    "08": "its connection broke",
    "25006": "it can only be read",
    "40": "other changes got in the way",
    "53": "it lacks memory, connections or disk",
    "55P03": "the writers of other servers take long",
    "57P": "it is starting or stopping",
    "58": "its disk fails",
}
"""SQLSTATEs of PostgreSQL by how they begin."""


def known(error: BaseException) -> BaseException:
    """Answer what to tell callers of the store: the error itself, unless it is one that passes."""
    why = _why(error)
    if why is None:
        return error
    passes = f"The database can't be used now: {why}. Try again shortly."
    passing = StoreUnavailable(why if why == DAMAGED else passes, retry_after=AGAIN_AFTER)
    passing.__cause__ = error
    return passing


def _why(error: BaseException | None) -> str | None:
    """Look for trouble in an error and what led to it: rolling back after it fails as well."""
    while error is not None:
        why = _sqlite(error) or _postgres(error)
        if why is not None:
            return why
        error = error.__context__
    return None


def _sqlite(error: BaseException) -> str | None:
    code = getattr(getattr(error, "orig", None), "sqlite_errorcode", None)
    if not isinstance(code, int):
        return None
    kind = code & _PRIMARY
    return DAMAGED if kind in _DAMAGED else _PASSING.get(kind)


def _postgres(error: BaseException) -> str | None:
    if not isinstance(error, DBAPIError):
        return None
    if error.connection_invalidated:
        return _PASSING_STATES["08"]
    state = getattr(error.orig, "sqlstate", None)
    if state is None:  # nobody was there to give one
        lost = isinstance(error, OperationalError) and hasattr(error.orig, "sqlstate")
        return "it can't be reached" if lost else None
    return next((why for begun, why in _PASSING_STATES.items() if state.startswith(begun)), None)
