"""Statements that run for every segment: compiled once, given values as the columns store them."""

from collections.abc import Callable, Sequence
from operator import itemgetter
from typing import Any

from sqlalchemy import CursorResult, Insert, Update
from sqlalchemy.sql.compiler import SQLCompiler

from promptreel_server.store.transaction import Transaction

Row = tuple[Any, ...]


class Prepared:
    """An INSERT or UPDATE, and the names of its parameters in the order in which values are given.

    SQLAlchemy turns every value of every row by the type of its column, which for what a run
    writes cost more than all else together. Here the caller has turned them already: see
    `columns.microseconds` and `columns.json_text`; of an enum the value is stored.
    """

    def __init__(self, statement: Insert | Update, names: Sequence[str]) -> None:
        self._statement = statement
        self._names = tuple(names)
        self._compiled: dict[str, tuple[str, Callable[[Row], Any]]] = {}

    def execute(self, tx: Transaction, row: Row) -> CursorResult[Any]:
        """Execute it once; what it returns comes as it is stored."""
        text, arranged = self._of_dialect(tx)
        return tx.connection.exec_driver_sql(text, arranged(row))

    def execute_all(self, tx: Transaction, rows: Sequence[Row]) -> None:
        """Execute it for each row; nothing where there is none."""
        if rows:
            text, arranged = self._of_dialect(tx)
            tx.connection.exec_driver_sql(text, [arranged(row) for row in rows])

    def _of_dialect(self, tx: Transaction) -> tuple[str, Callable[[Row], Any]]:
        dialect = tx.connection.dialect
        if dialect.name not in self._compiled:
            columns = self._names if isinstance(self._statement, Insert) else None
            compiled = self._statement.compile(dialect=dialect, column_keys=columns)
            assert isinstance(compiled, SQLCompiler)  # what else would hold its parameters
            self._compiled[dialect.name] = (compiled.string, self._arrangement(compiled))
        return self._compiled[dialect.name]

    def _arrangement(self, compiled: SQLCompiler) -> Callable[[Row], Any]:
        """How the driver wants a row: by name, or by position in the order of the text."""
        if set(compiled.params) != set(self._names):
            raise ValueError(f"the parameters are {sorted(compiled.params)}: {compiled.string}")
        if compiled.positiontup is None:
            return lambda row: dict(zip(self._names, row, strict=True))
        places = [self._names.index(name) for name in compiled.positiontup]
        if places == list(range(len(self._names))):
            return _as_it_is
        return itemgetter(*places)


def _as_it_is(row: Row) -> Row:
    return row
