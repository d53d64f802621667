"""The statements that a function over a connection sends, and how SQLite goes about them."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Connection, event


@contextmanager
def sent(connection: Connection) -> Iterator[list[tuple[str, Any]]]:
    """Collect the statements that are sent over a connection in the block, and their parameters."""
    statements: list[tuple[str, Any]] = []

    def note(
        _connection: Any, _cursor: Any, statement: str, parameters: Any, _context: Any, _many: bool
    ) -> None:
        statements.append((statement, parameters))

    event.listen(connection, "before_cursor_execute", note)
    try:
        yield statements
    finally:
        event.remove(connection, "before_cursor_execute", note)


def ways(connection: Connection, statements: list[tuple[str, Any]]) -> list[str]:
    """Answer how SQLite finds the rows of statements, table by table."""
    return [
        row[3]
        for statement, parameters in list(statements)
        for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters)
    ]
