"""Regular expressions of strangers, matched by RE2: in time that is linear in the answer."""

from functools import lru_cache
from typing import Any

import re2

LONGEST_PATTERN = 256
_OPTIONS = re2.Options()
_OPTIONS.log_errors = False


@lru_cache(maxsize=1024)
def _compiled(pattern: str) -> Any:
    return re2.compile(pattern, _OPTIONS)


def fault(pattern: str) -> str | None:
    """Say why a `pattern` can't be used, or None where it can.

    Python's own engine would hang the server on `(a|a)*b`; RE2 has no look-around and no
    back-references instead.
    """
    if len(pattern) > LONGEST_PATTERN:
        return f"at most {LONGEST_PATTERN} characters"
    try:
        _compiled(pattern)
    except re2.error as error:
        reason = error.args[0].decode() if isinstance(error.args[0], bytes) else str(error)
        return f"no regular expression that RE2 knows: {reason}"
    return None


def matches(pattern: str, text: str) -> bool:
    """Tell whether `pattern` matches anywhere in `text`."""
    return _compiled(pattern).search(text) is not None
