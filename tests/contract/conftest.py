"""Every test here runs against every store backend there is."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from promptreel_server.store.database import Database
from promptreel_server.store.sqlite import open_sqlite


@pytest.fixture(params=["sqlite"])
async def database(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Database]:
    async with open_sqlite(tmp_path) as opened:
        yield opened
