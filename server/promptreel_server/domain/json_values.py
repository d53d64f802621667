"""The JSON values that everything between a model and a client can carry: one definition.

SQLite and PostgreSQL keep no NUL and no half of a surrogate pair in a text; JSON has no Infinity;
protobuf's `Struct` has doubles alone, and its parsers stop at a hundred nested messages, of which a
level of JSON takes up to three; the gateway turns messages into JSON within the same bound. Values
are checked where they enter, and once more where what an earlier version stored is read.
"""

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any

MOST_LEVELS = 16
"""Objects and arrays within each other."""
MOST_VALUES = 20_000
"""Values of an answer, those within others included."""
MOST_CHARACTERS = 500_000
"""Characters of all texts and names of an answer together."""
LARGEST_COUNT = 2**31 - 1
"""Counts (tokens) beyond this are cut to it: columns and messages have 32 bits for them."""
_LARGEST_NUMBER = 1.7976931348623157e308


UNREADABLE: Mapping[str, Any] = MappingProxyType({})
"""Stands for a stored value that is no JSON at all; `misfit` says so."""


def misfit(value: Any, most_levels: int = MOST_LEVELS) -> str | None:
    """Say why a JSON value can't be stored, sent or shown, or None where it can.

    It names no content: what is wrong may not be printable.
    """
    if value is UNREADABLE:
        return "is no JSON"
    values = characters = depth = 0
    level = [value]
    while level:
        below: list[Any] = []
        for one in level:
            wrong, length, within = _look(one)
            if wrong is not None:
                return wrong
            characters += length
            below.extend(within)
        values, depth = values + len(level), depth + 1
        if values > MOST_VALUES:
            return f"holds more than {MOST_VALUES} values"
        if characters > MOST_CHARACTERS:
            return f"holds more than {MOST_CHARACTERS} characters"
        if depth > most_levels + 1:  # the scalars stand a level below what holds them
            return f"is nested deeper than {most_levels} levels"
        level = below
    return None


def _look(value: Any) -> tuple[str | None, int, Iterable[Any]]:
    """What is wrong with one value, how many characters it has, and what it holds."""
    if isinstance(value, str):
        return _text_fault(value), len(value), ()
    if isinstance(value, Mapping):
        wrong, length = _names_fault(value)
        return wrong, length, value.values()
    if isinstance(value, list | tuple):
        return None, 0, value
    return _scalar_fault(value), 0, ()


def storable(text: str) -> str:
    """Write a text so that it can be stored: halves of surrogate pairs and NUL as escapes."""
    if "\x00" not in text and text.isascii():
        return text
    return text.encode("utf-8", "backslashreplace").decode("utf-8").replace("\x00", "\\u0000")


def count(value: int) -> int:
    """Bring a count that a server told into what can be stored and shown."""
    return min(max(value, 0), LARGEST_COUNT)


def _names_fault(value: Mapping[Any, Any]) -> tuple[str | None, int]:
    length = 0
    for name in value:
        wrong = _text_fault(name) if isinstance(name, str) else "has a name that is no text"
        if wrong is not None:
            return wrong, length
        length += len(name)
    return None, length


def _text_fault(text: str) -> str | None:
    if "\x00" in text:
        return "holds the character NUL"
    if text.isascii():
        return None
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return "holds half a surrogate pair, which is no character"
    return None


def _scalar_fault(value: Any) -> str | None:
    if value is None or isinstance(value, bool):
        return None
    if isinstance(value, int | float):
        if -_LARGEST_NUMBER <= value <= _LARGEST_NUMBER:
            return None
        return "holds a number that is not finite or beyond 1.8e308"
    return f"holds a {type(value).__name__}, which is no JSON value"
