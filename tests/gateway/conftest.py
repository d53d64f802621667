"""A stand-in server behind a real Envoy, shared by all tests here."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import grpc
import httpx
import pytest

from promptreel_server import errors
from promptreel_server.gateway import Gateway, find_envoy
from tests.gateway.loop_thread import LoopThread
from tests.gateway.stand_in import StandIn


@dataclass(frozen=True, kw_only=True)
class Front:
    """A running gateway and the loop that it lives in."""

    gateway: Gateway
    port: int
    thread: LoopThread

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


@pytest.fixture(scope="session", autouse=True)
def _envoy() -> None:
    try:
        find_envoy(None)
    except errors.Unavailable as error:
        pytest.skip(str(error))


@pytest.fixture(scope="session")
def thread() -> Iterator[LoopThread]:
    thread = LoopThread()
    yield thread
    thread.close()


@pytest.fixture(scope="session")
def stand_in(thread: LoopThread) -> Iterator[StandIn]:
    async def make() -> StandIn:
        stand_in = StandIn()
        await stand_in.start()
        return stand_in

    stand_in = thread.run(make())
    yield stand_in
    thread.run(stand_in.stop())


async def make_gateway(grpc_port: int, work_dir: Path, rest_port: int = 0) -> Gateway:
    """A gateway before its start; must be made in the loop that it is to live in."""
    return Gateway(
        envoy=find_envoy(None),
        rest_host="127.0.0.1",
        rest_port=rest_port,
        grpc_host="127.0.0.1",
        grpc_port=grpc_port,
        work_dir=work_dir,
        log_path=None,
    )


@pytest.fixture(scope="session")
def front(
    stand_in: StandIn, thread: LoopThread, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Front]:
    work_dir = tmp_path_factory.mktemp("gateway")
    gateway = thread.run(make_gateway(stand_in.port, work_dir))
    port = thread.run(gateway.start())
    yield Front(gateway=gateway, port=port, thread=thread)
    thread.run(gateway.drain(0))


@pytest.fixture
def rest(front: Front) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=front.url, timeout=20) as client:
        yield client


@pytest.fixture
def channel(front: Front) -> Iterator[grpc.Channel]:
    """A native channel through the gateway."""
    with grpc.insecure_channel(f"127.0.0.1:{front.port}") as channel:
        yield channel
