"""Tells the trouble of a database that passes from what is wrong with a statement."""

import sqlite3

from sqlalchemy.exc import OperationalError

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
_PRIMARY = 0xFF
"""The bits of an extended SQLite code that say which error it is a kind of."""


def known(error: BaseException) -> BaseException:
    """Answer what to tell callers of the store: the error itself, unless it is one that passes."""
    why = _why(error)
    if why is None:
        return error
    passing = StoreUnavailable(
        f"The database can't be used now: {why}. Try again shortly.", retry_after=AGAIN_AFTER
    )
    passing.__cause__ = error
    return passing


def _why(error: BaseException | None) -> str | None:
    """Look for trouble in an error and what led to it: rolling back after it fails as well."""
    while error is not None:
        if isinstance(error, OperationalError):
            code = getattr(error.orig, "sqlite_errorcode", None)
            if code is not None and code & _PRIMARY in _PASSING:
                return _PASSING[code & _PRIMARY]
        error = error.__context__
    return None
