"""Keyset pages: one row more than asked for tells whether another page follows."""

from collections.abc import Callable
from typing import Any, TypeVar

from sqlalchemy import Connection, Row, Select

from promptreel_server.domain.page import Page, Position, Slice

Item = TypeVar("Item")


def page(
    connection: Connection,
    statement: Select[Any],
    wanted: Slice,
    *,
    item: Callable[[Row[Any]], Item],
    position: Callable[[Row[Any]], Position],
) -> Page[Item]:
    """Read a page of an ordered statement that already begins after `wanted.after`."""
    rows = connection.execute(statement.limit(wanted.limit + 1)).all()
    kept = rows[: wanted.limit]
    after = position(kept[-1]) if len(rows) > wanted.limit else None
    return Page(items=tuple(item(row) for row in kept), after=after)
