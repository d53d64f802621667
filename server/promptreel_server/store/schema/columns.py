"""Column types that keep the model's own types: instants, exact seconds, closed sets."""

import json
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from enum import Enum
from fractions import Fraction
from typing import Any, Generic, TypeVar

from sqlalchemy import JSON, BigInteger, ColumnElement, Dialect, String, bindparam
from sqlalchemy.types import TypeDecorator

from promptreel_server.domain.json_values import UNREADABLE

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)

EnumType = TypeVar("EnumType", bound=Enum)


def microseconds(instant: datetime) -> int:
    """What is stored of an instant: whole microseconds since 1970."""
    return (instant - _EPOCH) // _MICROSECOND


def either_of(
    first: ColumnElement[Any], second: ColumnElement[Any], keys: Sequence[tuple[Any, Any]]
) -> ColumnElement[bool]:
    """Ask for rows whose two columns are among those of some keys, in whatever pairs.

    It finds a few rows more than the keys name; a list of pairs would have SQLite read every row.
    """
    firsts, seconds = {one for one, _ in keys}, {one for _, one in keys}
    return first.in_(firsts) & second.in_(seconds)


def json_text(value: Any) -> str | None:
    """What is stored of a JSON value: its text, nothing of None."""
    return None if value is None else json.dumps(value)


def fraction_text(value: Fraction) -> str:
    """What is stored of a fraction of seconds: `numerator/denominator`."""
    return f"{value.numerator}/{value.denominator}"


def spelt_out(column: ColumnElement[Any], members: Sequence[Enum]) -> ColumnElement[bool]:
    """Ask for one of some members in the text of the statement, not by parameters.

    SQLite takes a partial index for no other statement.
    """
    return column.in_(bindparam(None, members, expanding=True, literal_execute=True))


class Instant(TypeDecorator[datetime]):
    """An instant in UTC, stored as whole microseconds since 1970."""

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> Any:
        """Turn an instant into microseconds."""
        return None if value is None else microseconds(value)

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:
        """Turn microseconds into an instant."""
        return None if value is None else _EPOCH + timedelta(microseconds=value)


class Exact(TypeDecorator[Fraction]):
    """A fraction of seconds, stored as its text."""

    impl = String
    cache_ok = True

    def process_bind_param(self, value: Fraction | None, dialect: Dialect) -> Any:
        """Turn a fraction into text."""
        return None if value is None else fraction_text(value)

    def process_result_value(self, value: Any, dialect: Dialect) -> Fraction | None:
        """Turn text into a fraction."""
        if value is None:
            return None
        numerator, _, denominator = value.partition("/")
        return Fraction(int(numerator), int(denominator))  # five times as fast as parsing it


class StoredJson(TypeDecorator[Any]):
    """A JSON value; one that can't be read spoils no page, it comes as `UNREADABLE`."""

    impl = JSON
    cache_ok = True

    def result_processor(self, dialect: Dialect, coltype: object) -> Any:
        """Wrap what parses the value."""
        process = super().result_processor(dialect, coltype)
        if process is None:
            return None

        def read(value: Any) -> Any:
            try:
                return process(value)
            except (ValueError, RecursionError):
                return UNREADABLE

        return read


class Word(TypeDecorator[EnumType], Generic[EnumType]):
    """A member of a closed set, stored as its value."""

    impl = String
    cache_ok = True

    def __init__(self, members: type[EnumType]) -> None:
        super().__init__()
        self.members = members

    def process_bind_param(self, value: EnumType | None, dialect: Dialect) -> Any:
        """Turn a member into its value."""
        return None if value is None else value.value

    def result_processor(self, dialect: Dialect, coltype: object) -> Callable[[Any], Any]:
        """Turn values into their members: a look-up alone, for rows have many of them."""
        members = {member.value: member for member in self.members}
        return {None: None, **members}.__getitem__
