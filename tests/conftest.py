"""Fixtures that every kind of test may use."""

from collections.abc import Iterator

import pytest

from promptreel_server.weights.registry import registry
from promptreel_server.weights.shelf import Shelf, WeightsState
from tests.owners import Owners, owners_of
from tests.postgres import Postgres, postgres_served
from tests.served import Served, served


@pytest.fixture(scope="session")
def serving(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A whole server with its gateway, shared by the tests of a worker."""
    with served(tmp_path_factory.mktemp("serving")) as running:
        yield running


@pytest.fixture(scope="session")
def owners(serving: Served) -> Iterator[Owners]:
    """Keys of owners of their own on the shared server."""
    with owners_of(serving.data) as made:
        yield made


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """A PostgreSQL, shared by the tests of a worker."""
    with postgres_served() as running:
        yield running


@pytest.fixture
def models_pulled() -> None:
    """Skip where the default models are not on this machine."""
    shelf = Shelf(None)
    default = [weights for weights in registry().values() if weights.default]
    there = (WeightsState.SHIPPED, WeightsState.PRESENT)
    missing = [weights.name for weights in default if shelf.state(weights) not in there]
    if missing:
        pytest.skip(f"not pulled: {', '.join(missing)}")
