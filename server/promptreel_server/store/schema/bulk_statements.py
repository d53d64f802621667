"""Statements that run for every segment: compiled once, given values as the columns store them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import chain
from operator import itemgetter
from typing import Any

from sqlalchemy import CursorResult, Insert, Update
from sqlalchemy.sql.compiler import SQLCompiler

from promptreel_server.store.schema.transaction import Transaction

Row = tuple[Any, ...]

ROWS_AT_ONCE = 64
"""Rows of one INSERT. Between statements SQLite's driver lets other threads run, and to get the
interpreter back from a busy one costs more than a row does."""


@dataclass(frozen=True, kw_only=True)
class _Compiled:
    """A statement as one dialect has it."""

    text: str
    arranged: Callable[[Row], Any]
    """Makes of a row what the driver wants: by name, or by position in the order of the text."""
    many: str | None
    """The same statement for `ROWS_AT_ONCE` rows, one after the other; None where there is none."""


class Prepared:
    """An INSERT or UPDATE, and the names of its parameters in the order in which values are given.

    SQLAlchemy turns every value of every row by the type of its column, which for what a run
    writes cost more than all else together. Here the caller has turned them already: see
    `columns.microseconds` and `columns.json_text`; of an enum the value is stored.
    """

    def __init__(self, statement: Insert | Update, names: Sequence[str]) -> None:
        self._statement = statement
        self._names = tuple(names)
        self._compiled: dict[str, _Compiled] = {}

    def execute(self, tx: Transaction, row: Row) -> CursorResult[Any]:
        """Execute it once; what it returns comes as it is stored."""
        compiled = self._of_dialect(tx)
        return tx.connection.exec_driver_sql(compiled.text, compiled.arranged(row))

    def execute_all(self, tx: Transaction, rows: Sequence[Row]) -> None:
        """Execute it for each row; nothing where there is none."""
        if not rows:
            return
        compiled = self._of_dialect(tx)
        arranged = [compiled.arranged(row) for row in rows]
        done = 0
        if compiled.many is not None:
            while done + ROWS_AT_ONCE <= len(arranged):
                part = arranged[done : done + ROWS_AT_ONCE]
                tx.connection.exec_driver_sql(compiled.many, tuple(chain.from_iterable(part)))
                done += ROWS_AT_ONCE
        if arranged[done:]:
            tx.connection.exec_driver_sql(compiled.text, arranged[done:])

    def _of_dialect(self, tx: Transaction) -> _Compiled:
        dialect = tx.connection.dialect
        if dialect.name not in self._compiled:
            columns = self._names if isinstance(self._statement, Insert) else None
            compiled = self._statement.compile(dialect=dialect, column_keys=columns)
            assert isinstance(compiled, SQLCompiler)  # what else would hold its parameters
            self._compiled[dialect.name] = self._arrange(compiled)
        return self._compiled[dialect.name]

    def _arrange(self, compiled: SQLCompiler) -> _Compiled:
        if set(compiled.params) != set(self._names):
            raise ValueError(f"the parameters are {sorted(compiled.params)}: {compiled.string}")
        text = compiled.string
        if compiled.positiontup is None:
            return _Compiled(text=text, arranged=self._by_name, many=None)
        places = [self._names.index(name) for name in compiled.positiontup]
        in_place = places == list(range(len(self._names)))
        return _Compiled(
            text=text,
            arranged=_as_it_is if in_place else itemgetter(*places),
            many=_repeated(text) if isinstance(self._statement, Insert) else None,
        )

    def _by_name(self, row: Row) -> dict[str, Any]:
        return dict(zip(self._names, row, strict=True))


def _as_it_is(row: Row) -> Row:
    return row


def _repeated(insertion: str) -> str:
    """An INSERT of one row made one of many."""
    head, values, row = insertion.partition(" VALUES ")
    return head + values + ", ".join([row] * ROWS_AT_ONCE)
