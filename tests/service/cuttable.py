"""A way to a server that a test can cut: everything on it breaks, new connections work again."""

import asyncio
from types import TracebackType
from typing import Self

from tests.gateway.loop_thread import LoopThread


class Cuttable:
    """Passes bytes on between its own port and a server's address."""

    def __init__(self, address: str) -> None:
        self._host, _, port = address.rpartition(":")
        self._port = int(port)
        self._thread = LoopThread()
        self._open: set[asyncio.StreamWriter] = set()
        self._server: asyncio.Server | None = None
        self.address = ""
        self.cuts = 0

    def __enter__(self) -> Self:
        self._server = self._thread.run(asyncio.start_server(self._pass, "127.0.0.1", 0))
        port = self._server.sockets[0].getsockname()[1]
        self.address = f"127.0.0.1:{port}"
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._thread.run(self._stop())
        self._thread.close()

    def cut(self) -> None:
        """Break every connection there is, at once and without a word."""
        self.cuts += 1
        self._thread.run(self._break())

    async def _break(self) -> None:
        for writer in self._open:
            writer.transport.abort()

    async def _stop(self) -> None:
        assert self._server is not None
        self._server.close()
        await self._break()
        await asyncio.sleep(0.05)  # those that pass bytes see the end and leave

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection(self._host, self._port)
        self._open |= {writer, back}
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(_pour(reader, back))
                tasks.create_task(_pour(there, writer))
        finally:
            self._open -= {writer, back}


async def _pour(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    try:
        while data := await source.read(65536):
            sink.write(data)
            await sink.drain()
    except ConnectionError:
        pass  # the other half tells its own side
    finally:
        sink.transport.abort()
