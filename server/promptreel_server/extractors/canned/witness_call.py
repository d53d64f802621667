"""One small HTTP call to a stand-in model server, which counts what it answered."""

import asyncio
import json
from dataclasses import dataclass
from urllib.parse import urlsplit

from promptreel_server.domain.prompt import JsonObject
from promptreel_server.errors import FailureCode, ModelFailure

_LONGEST_ANSWER = 1 << 20


@dataclass(frozen=True, kw_only=True)
class _Reply:
    status: int
    headers: dict[str, str]


async def post(url: str, body: JsonObject) -> None:
    """POST `body` as JSON to `http://host:port/path`; returns once the answer is there whole.

    Raises:
        ModelFailure: refused or broken off (`model_unavailable`), 429 (`rate_limited`, with
            Retry-After), 5xx (`model_unavailable`) or any other status that is no success.
    """
    try:
        reply = await _exchange(url, json.dumps(body).encode())
    except (OSError, EOFError, ValueError) as error:
        raise ModelFailure(
            FailureCode.MODEL_UNAVAILABLE, f"the stand-in at {url} did not answer: {error}"
        ) from error
    if 200 <= reply.status < 300:
        return
    code = FailureCode.MODEL_UNAVAILABLE if reply.status >= 500 else FailureCode.INVALID_REQUEST
    code = FailureCode.RATE_LIMITED if reply.status == 429 else code
    pause = reply.headers.get("retry-after")
    raise ModelFailure(
        code, f"the stand-in answered {reply.status}", retry_after=float(pause) if pause else None
    )


async def _exchange(url: str, body: bytes) -> _Reply:
    parts = urlsplit(url)
    host, port = parts.hostname or "127.0.0.1", parts.port or 80
    reader, writer = await asyncio.open_connection(host, port)
    try:
        head = (
            f"POST {parts.path or '/'} HTTP/1.1\r\nHost: {host}:{port}\r\nConnection: close\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        writer.write(head.encode("ascii") + body)
        await writer.drain()
        return await _read(reader)
    finally:
        writer.close()


async def _read(reader: asyncio.StreamReader) -> _Reply:
    lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    headers = {
        name.strip().lower(): value.strip()
        for name, _, value in (line.partition(":") for line in lines[1:] if line)
    }
    length = int(headers.get("content-length", "0"))
    if length > _LONGEST_ANSWER:
        raise ValueError(f"an answer of {length} bytes is too long")
    await reader.readexactly(length)
    return _Reply(status=int(lines[0].split(" ")[1]), headers=headers)
