"""A stand-in server behind a real Envoy, shared by all tests here."""

from collections.abc import Iterator
from dataclasses import dataclass

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


@pytest.fixture(scope="session")
def front(
    stand_in: StandIn, thread: LoopThread, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Front]:
    async def make() -> Gateway:
        return Gateway(
            envoy=find_envoy(None),
            rest_host="127.0.0.1",
            rest_port=0,
            grpc_host="127.0.0.1",
            grpc_port=stand_in.port,
            work_dir=tmp_path_factory.mktemp("gateway"),
            log_path=None,
        )

    gateway = thread.run(make())
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
