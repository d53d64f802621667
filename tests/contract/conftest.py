"""Every test here runs against every store backend there is."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import pytest

from promptreel_server.store.database.database import Database
from promptreel_server.store.database.postgres import open_postgres
from promptreel_server.store.database.sqlite import open_sqlite
from tests.postgres import Postgres


@pytest.fixture(params=["sqlite", "postgres"])
async def database(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Database]:
    opening: AbstractAsyncContextManager[Database]
    if request.param == "sqlite":
        opening = open_sqlite(tmp_path)
    else:
        postgres: Postgres = request.getfixturevalue("postgres")
        opening = open_postgres(await asyncio.to_thread(postgres.new_database))
    async with opening as opened:
        yield opened
