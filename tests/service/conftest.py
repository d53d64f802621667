"""The whole server on a free port, in a loop thread; every test calls it as an owner of its own."""

import itertools
import json
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack
from typing import Any

import grpc
import pytest

from promptreel_server.app import opened, running
from promptreel_server.settings import Settings
from tests.gateway.loop_thread import LoopThread
from tests.served import SCRIPTS
from tests.service.caller import Caller, Live
from tests.service.runner import Runner

UPLOAD_MOST_BYTES = 6_000_000


@pytest.fixture(scope="session")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    data, root = tmp_path_factory.mktemp("data"), tmp_path_factory.mktemp("media")
    scripts = root / "scripts.json"
    scripts.write_text(json.dumps(SCRIPTS))
    settings = Settings(
        data=data,
        gateway=False,
        grpc_port=0,
        processing_model="canned",
        canned_scripts=scripts,
        media_roots=(root,),
        upload_most_bytes=UPLOAD_MOST_BYTES,
        requests_per_second=1000.0,
        request_burst=2000,
        heartbeat_seconds=0.3,
        drain_seconds=0.5,
    )
    thread = LoopThread()
    stack = AsyncExitStack()

    async def start() -> Live:
        serving = await stack.enter_async_context(running(settings))
        database = await stack.enter_async_context(opened(Settings(data=data), exclusive=False))
        assert serving.first_key is not None
        return Live(
            address=serving.grpc_address,
            first_key=serving.first_key,
            data=data,
            root=root,
            database=database,
            thread=thread,
        )

    yield thread.run(start())
    thread.run(stack.aclose())
    thread.close()


_NUMBERS = itertools.count()


@pytest.fixture
def caller(live: Live) -> Iterator[Caller]:
    """An owner that nobody was before, with an admin key."""
    owner = f"owner{next(_NUMBERS)}"
    with grpc.insecure_channel(live.address) as channel:
        yield Caller(live=live, owner=owner, channel=channel, key=live.make_key(owner))


@pytest.fixture
def other(live: Live) -> Iterator[Caller]:
    """Somebody else."""
    owner = f"other{next(_NUMBERS)}"
    with grpc.insecure_channel(live.address) as channel:
        yield Caller(live=live, owner=owner, channel=channel, key=live.make_key(owner))


@pytest.fixture
def runner(caller: Caller) -> Runner:
    """The owner of `caller` as one who executes prompts."""
    return Runner(caller=caller)


@pytest.fixture(scope="session")
def grpc_addr(live: Live) -> str:
    return live.address


@pytest.fixture(scope="session")
def grpc_server(live: Live) -> Live:
    return live


@pytest.fixture(scope="session")
def grpc_create_channel(grpc_addr: str, grpc_server: Live) -> Callable[..., grpc.Channel]:
    """The blocking view of the aio server, under the names that pytest-grpc gives it."""

    def create(credentials: Any = None, options: Any = None) -> grpc.Channel:
        return grpc.insecure_channel(grpc_addr, options)

    return create


@pytest.fixture(scope="session")
def grpc_channel(grpc_create_channel: Callable[..., grpc.Channel]) -> Iterator[grpc.Channel]:
    with grpc_create_channel() as channel:
        yield channel


@pytest.fixture
def grpc_stub(grpc_stub_cls: Callable[[grpc.Channel], Any], grpc_channel: grpc.Channel) -> Any:
    return grpc_stub_cls(grpc_channel)
