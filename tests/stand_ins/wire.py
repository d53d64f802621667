"""A small HTTP server for stand-ins: says what a test wants, and can fail as networks do."""

import asyncio
import json
import socket
import struct
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote, urlsplit


@dataclass(frozen=True, kw_only=True)
class Asked:
    """One request; names of headers are in lower case."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body or b"{}")


@dataclass(frozen=True, kw_only=True)
class Reply:
    """One answer, given after `delay` seconds; `reset` breaks the connection off instead."""

    status: int = 200
    body: bytes = b"{}"
    headers: dict[str, str] = field(default_factory=dict)
    delay: float = 0.0
    reset: bool = False


def reply(body: Any, status: int = 200, **headers: str) -> Reply:
    """Answer in JSON; `retry_after="3"` is the header `retry-after`."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Reply(
        status=status,
        body=json.dumps(body).encode(),
        headers={"content-type": "application/json"} | named,
    )


@asynccontextmanager
async def served(answer: Callable[[Asked], Reply]) -> AsyncIterator[str]:
    """Serve on a free port for the length of the block; answers its address."""
    talks: set[asyncio.Task[None]] = set()

    async def converse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        talk = asyncio.current_task()
        assert talk is not None
        talks.add(talk)
        try:
            while (asked := await _read(reader)) is not None:
                given = answer(asked)
                await asyncio.sleep(given.delay)
                if given.reset:
                    _reset(writer)
                    return
                writer.write(_written(given))
                await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            return  # the caller has given up, or the test is over
        finally:
            talks.discard(talk)
            writer.close()

    server = await asyncio.start_server(converse, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()
        left = list(talks)
        for talk in left:
            talk.cancel()
        await asyncio.gather(*left)


async def _read(reader: asyncio.StreamReader) -> Asked | None:
    try:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    except asyncio.IncompleteReadError:
        return None
    method, target, _ = head[0].split(" ")
    named = (line.partition(":") for line in head[1:] if line)
    headers = {name.strip().lower(): value.strip() for name, _, value in named}
    if headers.get("transfer-encoding") == "chunked":
        body = b""
        while size := int((await reader.readline()).strip(), 16):
            body += await reader.readexactly(size)
            await reader.readline()
        await reader.readline()
    else:
        body = await reader.readexactly(int(headers.get("content-length", "0")))
    path = unquote(urlsplit(target).path)
    return Asked(method=method, path=path, headers=headers, body=body)


def _written(given: Reply) -> bytes:
    headers = {"content-length": str(len(given.body)), **given.headers}
    lines = [f"HTTP/1.1 {given.status} Said", *(f"{n}: {v}" for n, v in headers.items()), "", ""]
    return "\r\n".join(lines).encode("latin-1") + given.body


def _reset(writer: asyncio.StreamWriter) -> None:
    """Close so that the other side sees a reset, not an end."""
    raw = writer.get_extra_info("socket")
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()
