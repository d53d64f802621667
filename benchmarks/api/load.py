"""Callers that cost little themselves: many calls in flight over kept-open connections."""

import asyncio
import time
from collections.abc import Awaitable, Callable

import grpc

from promptreel.v2.prompt_run_pb2 import GetPromptRunRequest

CALLERS = 16
METHOD = "/promptreel.v2.PromptRunService/GetPromptRun"

Call = Callable[[], Awaitable[object]]


async def fire(make_call: Callable[[], Awaitable[Call]], count: int) -> float:
    """Make `count` calls from 16 callers at once; answer the seconds that took."""
    calls = [await make_call() for _ in range(CALLERS)]
    left = iter(range(count))

    async def repeat(call: Call) -> None:
        for _ in left:
            await call()

    began = time.perf_counter()
    async with asyncio.TaskGroup() as group:
        for call in calls:
            group.create_task(repeat(call))
    return time.perf_counter() - began


def native(channel: grpc.aio.Channel, secret: str, run_id: str) -> Callable[[], Awaitable[Call]]:
    """Calls over one gRPC channel, the bytes of the answer left as they are."""
    method: grpc.aio.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary(METHOD)
    request = GetPromptRunRequest(run_id=run_id).SerializeToString()
    metadata = (("x-api-key", secret),)

    async def make() -> Call:
        async def call() -> bytes:
            answer: bytes = await method(request, metadata=metadata)
            return answer

        return call

    return make


def rest(port: int, secret: str, run_id: str) -> Callable[[], Awaitable[Call]]:
    """Calls over HTTP/1.1, a connection a caller."""
    request = (
        f"GET /api/v2/prompt-runs/{run_id} HTTP/1.1\r\n"
        f"host: benchmark\r\nx-api-key: {secret}\r\n\r\n"
    ).encode()

    async def make() -> Call:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)

        async def call() -> bytes:
            writer.write(request)
            head = await reader.readuntil(b"\r\n\r\n")
            if not head.startswith(b"HTTP/1.1 200"):
                raise RuntimeError(head.decode())
            length = int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0])
            return await reader.readexactly(length)

        return call

    return make
