"""The real server with its gateway, for tests that want no stand-in."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from promptreel_server import app
from promptreel_server.app import Serving
from promptreel_server.settings import Settings
from tests.gateway.loop_thread import LoopThread


@dataclass(frozen=True, kw_only=True)
class Product:
    """Where a fresh server listens, and its first key."""

    grpc_address: str
    rest_address: str
    key: str

    def client(self) -> httpx.Client:
        """A REST client with the key."""
        headers = {"x-api-key": self.key}
        return httpx.Client(base_url=self.rest_address, headers=headers, timeout=30)


@contextmanager
def serving(data: Path) -> Iterator[Product]:
    """Run a server over a fresh data folder for the length of the block."""
    thread = LoopThread()
    ready: asyncio.Future[Serving] = thread.loop.create_future()
    stop = asyncio.Event()

    async def run() -> None:
        settings = Settings(data=data, rest_port=0, grpc_port=0, drain_seconds=2.0)
        async with app.running(settings) as serving:
            ready.set_result(serving)
            await stop.wait()

    async def wait_ready() -> Serving:
        return await ready

    try:
        done = asyncio.run_coroutine_threadsafe(run(), thread.loop)
        done.add_done_callback(lambda _: thread.loop.call_soon_threadsafe(ready.cancel))
        try:
            answer = thread.run(wait_ready(), timeout=30)
            assert answer.rest_address
            assert answer.first_key
            yield Product(
                grpc_address=answer.grpc_address,
                rest_address=answer.rest_address,
                key=answer.first_key,
            )
        finally:
            thread.loop.call_soon_threadsafe(stop.set)
            done.result(30)
    finally:
        thread.close()
