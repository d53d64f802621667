"""One way to use both clients, so that each test of behaviour runs against both."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Protocol

from promptreel_client import AsyncClient, Client
from promptreel_client.async_transport import AsyncTransport
from promptreel_client.transport import Transport

Use = Callable[[Any], Any]
"""Given a client, answers a method's answer: to be awaited, or gone through, where it must be."""


class Caller(Protocol):
    """A client of one kind; `pauses` are the delays it would have slept."""

    pauses: list[float]

    def call(self, use: Use) -> Any:
        """Make a call and answer what it answers."""

    def collect(self, use: Use, most: int | None = None) -> list[Any]:
        """Go through what is answered, and take at most so many."""


class BlockingCaller:
    """Uses `Client`."""

    def __init__(self, address: str, timeout: float | None = 20) -> None:
        self.pauses: list[float] = []
        self._address = address
        self._timeout = timeout

    def _make(self) -> Client:
        return Client(self._address, api_key="sk_test", timeout=self._timeout)

    def call(self, use: Use) -> Any:
        with self._make() as client:
            transport: Transport = client._transport
            transport.sleep = self.pauses.append
            return use(client)

    def collect(self, use: Use, most: int | None = None) -> list[Any]:
        def collected(client: Any) -> list[Any]:
            found: list[Any] = []
            if most == 0:
                use(client)
                return found
            for item in use(client):
                found.append(item)
                if len(found) == most:
                    break
            return found

        found: list[Any] = self.call(collected)
        return found


class AsyncCaller:
    """Uses `AsyncClient`, each time in an event loop of its own."""

    def __init__(self, address: str, timeout: float | None = 20) -> None:
        self.pauses: list[float] = []
        self._address = address
        self._timeout = timeout

    def _make(self) -> AsyncClient:
        return AsyncClient(self._address, api_key="sk_test", timeout=self._timeout)

    def call(self, use: Use) -> Any:
        async def called() -> Any:
            async with self._make() as client:
                return await self._patched(client, use)

        return asyncio.run(called())

    def collect(self, use: Use, most: int | None = None) -> list[Any]:
        async def collected(client: Any) -> list[Any]:
            found: list[Any] = []
            if most == 0:
                use(client)
                return found
            async for item in use(client):
                found.append(item)
                if len(found) == most:
                    break
            return found

        found: list[Any] = self.call(collected)
        return found

    def _patched(self, client: AsyncClient, use: Use) -> Awaitable[Any]:
        async def sleep(seconds: float) -> None:
            self.pauses.append(seconds)

        transport: AsyncTransport = client._transport
        transport.sleep = sleep
        answer: Awaitable[Any] = use(client)
        return answer


MakeCaller = Callable[..., Caller]
"""Given an address, and perhaps a timeout, makes a caller of one kind."""
