"""Pages: a stretch of a list, and where the next one begins."""

from dataclasses import dataclass
from typing import Generic, TypeVar

Item = TypeVar("Item")

Position = tuple[str | int | float, ...]
"""The sort key of the last item on a page: the next page begins after it."""


@dataclass(frozen=True, kw_only=True)
class Page(Generic[Item]):
    """Some items of a list in its order; `after` is None where nothing follows."""

    items: tuple[Item, ...]
    after: Position | None = None


@dataclass(frozen=True, kw_only=True)
class Slice:
    """Which page is asked for: at most `limit` items after a position."""

    limit: int
    after: Position | None = None
