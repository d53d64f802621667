"""The client, blocking and asyncio."""

from types import TracebackType
from typing import Self

from promptreel_client.async_transport import AsyncTransport
from promptreel_client.connection import Tls, connect
from promptreel_client.resources.api_keys import ApiKeys, AsyncApiKeys
from promptreel_client.resources.events import AsyncEvents, Events
from promptreel_client.resources.import_jobs import AsyncImportJobs, ImportJobs
from promptreel_client.resources.indexes import AsyncIndexes, Indexes
from promptreel_client.resources.prompt_runs import AsyncPromptRuns, PromptRuns
from promptreel_client.resources.prompts import AsyncPrompts, Prompts
from promptreel_client.resources.videos import AsyncVideos, Videos
from promptreel_client.transport import Transport

DEFAULT_TIMEOUT = 30.0
"""Seconds that one call may take, its repetitions included; uploads and watches have no limit."""


class Client:
    """A blocking client of one server; may be used by many threads at once.

    Connects with the first call. Close it, or use it as a context manager, when done.

    Args:
        address: `HOST:PORT`, or `https://HOST:PORT` for TLS. None: `PROMPTREEL_ADDRESS`, else
            `127.0.0.1:50051`.
        api_key: The API key (`sk_…`). None: `PROMPTREEL_API_KEY`.
        timeout: Seconds that one call may take. None: as long as it takes.
        tls: True: TLS with the system's roots; a path: TLS with the roots in this PEM file; False:
            none; None: as the address says.

    Raises:
        AuthenticationError: there is no API key.
    """

    def __init__(
        self,
        address: str | None = None,
        *,
        api_key: str | None = None,
        timeout: float | None = DEFAULT_TIMEOUT,
        tls: Tls = None,
    ) -> None:
        self._transport = Transport(connect(address, api_key, timeout, tls))
        self.indexes = Indexes(self._transport)
        self.videos = Videos(self._transport)
        self.import_jobs = ImportJobs(self._transport)
        self.prompts = Prompts(self._transport)
        self.prompt_runs = PromptRuns(self._transport)
        self.events = Events(self._transport)
        self.api_keys = ApiKeys(self._transport)

    def close(self) -> None:
        """End all calls and watches, and leave the server."""
        self._transport.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


class AsyncClient:
    """An asyncio client of one server; belongs to the event loop of its first call.

    Connects with the first call. Close it, or use it as an async context manager, when done.

    Args:
        address: `HOST:PORT`, or `https://HOST:PORT` for TLS. None: `PROMPTREEL_ADDRESS`, else
            `127.0.0.1:50051`.
        api_key: The API key (`sk_…`). None: `PROMPTREEL_API_KEY`.
        timeout: Seconds that one call may take. None: as long as it takes.
        tls: True: TLS with the system's roots; a path: TLS with the roots in this PEM file; False:
            none; None: as the address says.

    Raises:
        AuthenticationError: there is no API key.
    """

    def __init__(
        self,
        address: str | None = None,
        *,
        api_key: str | None = None,
        timeout: float | None = DEFAULT_TIMEOUT,
        tls: Tls = None,
    ) -> None:
        self._transport = AsyncTransport(connect(address, api_key, timeout, tls))
        self.indexes = AsyncIndexes(self._transport)
        self.videos = AsyncVideos(self._transport)
        self.import_jobs = AsyncImportJobs(self._transport)
        self.prompts = AsyncPrompts(self._transport)
        self.prompt_runs = AsyncPromptRuns(self._transport)
        self.events = AsyncEvents(self._transport)
        self.api_keys = AsyncApiKeys(self._transport)

    async def close(self) -> None:
        """End all calls and watches, and leave the server."""
        await self._transport.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()
