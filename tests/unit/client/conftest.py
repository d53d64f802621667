"""A scripted server, and a caller of each kind."""

from collections.abc import Iterator

import pytest

from tests.unit.client.callers import AsyncCaller, BlockingCaller, Caller, MakeCaller
from tests.unit.client.scripted import Scripted


@pytest.fixture
def server() -> Iterator[Scripted]:
    server = Scripted()
    yield server
    server.stop()


@pytest.fixture(params=[BlockingCaller, AsyncCaller], ids=["blocking", "asyncio"])
def make_caller(request: pytest.FixtureRequest) -> MakeCaller:
    made: MakeCaller = request.param
    return made


@pytest.fixture
def caller(server: Scripted, make_caller: MakeCaller) -> Caller:
    return make_caller(server.address)
