"""The news that feeds of owners have moved, from the writer to the one who reads them."""

import asyncio


class News:
    """Keeps who has news, not what it is: however much happens, it holds no more than owners."""

    def __init__(self) -> None:
        self._moved: set[str] = set()
        self._some = asyncio.Event()

    def tell(self, owners: set[str]) -> None:
        """Say that the feeds of these owners have moved; a commit does, on the loop."""
        self._moved |= owners
        self._some.set()

    async def wait(self, seconds: float | None = None) -> set[str]:
        """Answer whose feeds have moved since the last call; nobody's after so many seconds."""
        try:
            async with asyncio.timeout(seconds):
                await self._some.wait()
        except TimeoutError:
            return set()
        self._some.clear()
        moved, self._moved = self._moved, set()
        return moved
