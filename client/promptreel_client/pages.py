"""Lists that come page by page, read as if they were one."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass
from typing import Generic, TypeVar

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True, slots=True)
class Page(Generic[T]):
    """One page of a list."""

    data: tuple[T, ...]
    """The items."""
    next_cursor: str | None
    """Where the next page starts; pass it as `cursor`, with the same filters. None: the last."""

    @property
    def has_more(self) -> bool:
        """Whether another page follows."""
        return self.next_cursor is not None

    def __iter__(self) -> Iterator[T]:
        return iter(self.data)

    def __len__(self) -> int:
        return len(self.data)


class Pager(Generic[T]):
    """A list that fetches its pages while it is gone through; made without any call."""

    def __init__(self, fetch: Callable[[str | None], Page[T]]) -> None:
        self._fetch = fetch
        self.next_cursor: str | None = None
        """Where the page after the last fetched one starts. None: none was fetched, or it was
        the last."""

    def page(self, cursor: str | None = None) -> Page[T]:
        """Fetch the page that starts at a cursor.

        Args:
            cursor: The `next_cursor` of the page before. None: fetch the first page.
        """
        page = self._fetch(cursor)
        self.next_cursor = page.next_cursor
        return page

    def pages(self) -> Iterator[Page[T]]:
        """Go through the pages, from the first to the last."""
        page = self.page()
        yield page
        while page.next_cursor is not None:
            page = self.page(page.next_cursor)
            yield page

    def __iter__(self) -> Iterator[T]:
        for page in self.pages():
            yield from page.data


class AsyncPager(Generic[T]):
    """A list that fetches its pages while it is gone through; made without any call."""

    def __init__(self, fetch: Callable[[str | None], Awaitable[Page[T]]]) -> None:
        self._fetch = fetch
        self.next_cursor: str | None = None
        """Where the page after the last fetched one starts. None: none was fetched, or it was
        the last."""

    async def page(self, cursor: str | None = None) -> Page[T]:
        """Fetch the page that starts at a cursor.

        Args:
            cursor: The `next_cursor` of the page before. None: fetch the first page.
        """
        page = await self._fetch(cursor)
        self.next_cursor = page.next_cursor
        return page

    async def pages(self) -> AsyncIterator[Page[T]]:
        """Go through the pages, from the first to the last."""
        page = await self.page()
        yield page
        while page.next_cursor is not None:
            page = await self.page(page.next_cursor)
            yield page

    async def __aiter__(self) -> AsyncIterator[T]:
        async for page in self.pages():
            for item in page.data:
                yield item
