"""Wakes those who wait for an owner's feed to move."""

import asyncio
from collections import defaultdict


class News:
    """Tells waiting readers, in this process, that new events were committed."""

    def __init__(self) -> None:
        self._waiting: defaultdict[str, set[asyncio.Event]] = defaultdict(set)

    def tell(self, owners: set[str]) -> None:
        """Wake everybody who listens to one of these owners."""
        for owner in owners:
            for woken in self._waiting.get(owner, ()):
                woken.set()

    def tell_all(self) -> None:
        """Wake everybody."""
        self.tell(set(self._waiting))

    def listen(self, owner: str) -> "Listener":
        """Listen to an owner's feed; use it as a context manager."""
        return Listener(self, owner)

    def _add(self, owner: str, event: asyncio.Event) -> None:
        self._waiting[owner].add(event)

    def _remove(self, owner: str, event: asyncio.Event) -> None:
        waiting = self._waiting[owner]
        waiting.discard(event)
        if not waiting:
            del self._waiting[owner]


class Listener:
    """One reader of one owner's feed: holds a flag, never a queue."""

    def __init__(self, news: News, owner: str) -> None:
        self._news = news
        self._owner = owner
        self._moved = asyncio.Event()

    def __enter__(self) -> "Listener":
        self._news._add(self._owner, self._moved)
        return self

    def __exit__(self, *exception: object) -> None:
        self._news._remove(self._owner, self._moved)

    async def wait(self, seconds: float) -> bool:
        """Wait until the feed moved since the last call; False after so many seconds."""
        try:
            async with asyncio.timeout(seconds):
                await self._moved.wait()
        except TimeoutError:
            return False
        self._moved.clear()
        return True
