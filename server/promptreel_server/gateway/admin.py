"""Envoy's admin interface, spoken over its unix socket."""

import asyncio
import http.client
import json
import socket
from pathlib import Path

SECONDS = 2.0
"""How long one question may take."""


class Admin:
    """Asks a running Envoy and tells it what to do; every method raises OSError without one."""

    def __init__(self, path: Path) -> None:
        self._path = path

    async def is_live(self) -> bool:
        """Whether Envoy has started all its listeners; False where it does not answer yet."""
        try:
            status, _ = await self._ask("GET", "/ready")
        except OSError:
            return False
        return status == http.client.OK

    async def port(self) -> int:
        """Answer the TCP port that its one listener has taken."""
        _, body = await self._ask("GET", "/listeners?format=json")
        (listener,) = json.loads(body)["listener_statuses"]
        return int(listener["local_address"]["socket_address"]["port_value"])

    async def active_requests(self) -> int:
        """Answer how many requests are under way, watches and uploads among them."""
        _, body = await self._ask("GET", "/stats?filter=^http\\.public\\.downstream_rq_active$")
        return int(body.rpartition(":")[2])

    async def begin_drain(self) -> None:
        """Fail /healthz, and ask every connection to end after its present requests."""
        await self._ask("POST", "/healthcheck/fail")
        await self._ask("POST", "/drain_listeners?graceful&skip_exit")

    async def _ask(self, method: str, path: str) -> tuple[int, str]:
        return await asyncio.to_thread(self._ask_blocking, method, path)

    def _ask_blocking(self, method: str, path: str) -> tuple[int, str]:
        connection = _UnixConnection(self._path)
        try:
            connection.request(method, path)
            answer = connection.getresponse()
            return answer.status, answer.read().decode()
        except http.client.HTTPException as error:
            raise ConnectionError(f"Envoy's admin interface broke off: {error}") from error
        finally:
            connection.close()


class _UnixConnection(http.client.HTTPConnection):
    """HTTP over a unix socket."""

    def __init__(self, path: Path) -> None:
        super().__init__("admin", timeout=SECONDS)
        self._path = path

    def connect(self) -> None:
        """Connect to the socket's path instead of a host."""
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(SECONDS)
        self.sock.connect(str(self._path))
