"""Fixtures that every kind of test may use."""

from collections.abc import Iterator

import pytest

from tests.served import Served, served


@pytest.fixture(scope="session")
def serving(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A whole server with its gateway, shared by the tests of a worker."""
    with served(tmp_path_factory.mktemp("serving")) as running:
        yield running
