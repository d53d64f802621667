"""Keeps one Envoy in front of the server: started, healthy, started again, drained."""

import asyncio
import http.client
import ipaddress
import logging
import socket
import tempfile
from pathlib import Path

from promptreel_server import errors
from promptreel_server.gateway.envoy import Envoy
from promptreel_server.gateway.template import Addresses, render

START_SECONDS = 10.0
"""How long Envoy may take to listen, and then the way through it to be healthy."""
FIRST_PAUSE = 0.05
LONGEST_PAUSE = 5.0
"""Seconds between a death and the next start: they double until one start succeeds."""
LONGEST_SOCKET_PATH = 100
"""Bytes; the kernel takes 107 for a unix socket."""
LONGEST_LOG = 10_000_000
"""Bytes of log at which the next start begins a new one and keeps one old."""
POLL_SECONDS = 0.05

logger = logging.getLogger(__name__)


class Gateway:
    """The REST port. Call `start`, run `supervise` as a task, and `drain` at the end."""

    def __init__(
        self,
        *,
        envoy: Path,
        rest_host: str,
        rest_port: int,
        grpc_host: str,
        grpc_port: int,
        work_dir: Path,
        log_path: Path | None,
    ) -> None:
        """`rest_port` 0 takes any free port; `log_path` None logs into `work_dir`."""
        self._binary = envoy
        self._rest_host = rest_host
        self._rest_port = rest_port
        self._grpc_host = grpc_host
        self._grpc_port = grpc_port
        self._work_dir = work_dir.absolute()
        self._log = log_path.absolute() if log_path else self._work_dir / "envoy.log"
        self._sockets: tempfile.TemporaryDirectory[str] | None = None
        self._envoy: Envoy | None = None
        self._launching = asyncio.Lock()
        self._draining = False

    @property
    def pid(self) -> int | None:
        """The process id of the present Envoy; None before the first."""
        return self._envoy.process.pid if self._envoy else None

    async def start(self) -> int:
        """Start Envoy, wait until /healthz is 200, and answer the port it took.

        The gRPC server must be SERVING before. Raises `errors.PortTaken` where another program
        listens there and `errors.Unavailable` where it does not come up; nothing is left running.
        """
        try:
            self._work_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
            if self._log.exists() and self._log.stat().st_size > LONGEST_LOG:
                self._log.replace(self._log.with_name(f"{self._log.name}.1"))
            self._log.touch(mode=0o600)
        except OSError as error:
            raise errors.Unavailable(
                f"The gateway's folder {self._work_dir} can't be written ({error.strerror}); "
                "let the server's user write it."
            ) from error
        try:
            await self._launch()
            await self._healthy()
        except BaseException:
            await self.drain(0)
            raise
        return self._rest_port

    async def supervise(self) -> None:
        """Start Envoy again whenever it dies, on the same port; runs until cancelled or drained."""
        pause = FIRST_PAUSE
        while self._envoy is not None:
            code = await self._envoy.process.wait()
            if self._draining:
                return
            logger.warning("Envoy ended with %s; it is started again", code)
            await asyncio.sleep(pause)
            try:
                await self._launch()
                pause = FIRST_PAUSE
            except (errors.Unavailable, OSError) as error:
                logger.error("Envoy could not be started again: %s", error)
                pause = min(2 * pause, LONGEST_PAUSE)

    async def drain(self, grace: float) -> None:
        """Fail /healthz, let what is under way end for `grace` seconds at most, end Envoy.

        Watches are under way until the server ends them: stop the server meanwhile.
        """
        self._draining = True
        async with self._launching:
            if self._envoy is None:
                return
            try:
                await self._quiet(self._envoy, grace)
            except OSError as error:
                logger.info("Envoy was gone before it was drained: %s", error)
            finally:
                await self._envoy.end()
        if self._sockets is not None:
            self._sockets.cleanup()

    async def _launch(self) -> None:
        """Start an Envoy and wait until it listens; no child stays where that fails."""
        async with self._launching:
            if self._draining:
                return
            admin_socket = self._admin_socket()
            admin_socket.unlink(missing_ok=True)
            addresses = Addresses(
                rest_host=await _ip(self._rest_host),
                rest_port=self._rest_port,
                grpc_host=await _ip(self._grpc_host, reachable=True),
                grpc_port=self._grpc_port,
                admin_socket=admin_socket,
            )
            config = render(addresses, self._work_dir)
            envoy = await Envoy.launch(
                self._binary, config=config, admin_socket=admin_socket, log=self._log
            )
            self._envoy = envoy
            try:
                await envoy.live(START_SECONDS)
                self._rest_port = await envoy.admin.port()
            except BaseException:
                await envoy.end()
                raise

    async def _healthy(self) -> None:
        """Wait until a caller gets 200 from /healthz: Envoy, the filter and the server all work."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + START_SECONDS
        host = await _ip(self._rest_host, reachable=True)
        while not await asyncio.to_thread(_answers, host, self._rest_port):
            if loop.time() > deadline:
                raise errors.Unavailable(
                    f"The server at {self._grpc_host}:{self._grpc_port} is not SERVING for the "
                    f"gateway after {START_SECONDS:g} s; the gateway's log is {self._log}"
                )
            await asyncio.sleep(POLL_SECONDS)

    async def _quiet(self, envoy: Envoy, grace: float) -> None:
        if grace <= 0 or envoy.process.returncode is not None:
            return
        loop = asyncio.get_running_loop()
        deadline = loop.time() + grace
        await envoy.admin.begin_drain()
        while loop.time() < deadline:
            if await envoy.admin.active_requests() == 0:
                return
            await asyncio.sleep(POLL_SECONDS)

    def _admin_socket(self) -> Path:
        """The socket's path in `work_dir`, or in a folder of its own where that is too long."""
        path = self._work_dir / "envoy.sock"
        if len(bytes(path)) <= LONGEST_SOCKET_PATH:
            return path
        if self._sockets is None:
            self._sockets = tempfile.TemporaryDirectory(prefix="promptreel-")
        return Path(self._sockets.name) / "envoy.sock"


async def _ip(host: str, *, reachable: bool = False) -> str:
    """The IP address of `host`; where it must be reachable, loopback in place of any address.

    Raises `errors.Unavailable` where the name means nothing.
    """
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except socket.gaierror as error:
        raise errors.Unavailable(f"The host {host} has no address: {error.strerror}") from error
    address = ipaddress.ip_address(found[0][4][0])
    if reachable and address.is_unspecified:
        return "127.0.0.1" if address.version == 4 else "::1"
    return str(address)


def _answers(host: str, port: int) -> bool:
    """Whether GET /healthz is 200 now."""
    connection = http.client.HTTPConnection(host, port, timeout=2.0)
    try:
        connection.request("GET", "/healthz")
        return connection.getresponse().status == http.client.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
