"""Damaged pages of a database are a sentence of `serve` and of `doctor`, with what to do."""

import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from promptreel_server.commands.doctor import State, examine
from promptreel_server.domain.event import EventType
from promptreel_server.settings import Settings
from promptreel_server.store import feed
from promptreel_server.store.database.sqlite import FILE_NAME, open_sqlite

PAGES = ["api_keys", "secrets", "prompts", "alembic_version", "sqlite_autoindex_api_keys_1"]


@pytest.fixture
async def folder(tmp_path: Path) -> Path:
    async with open_sqlite(tmp_path / "data") as database:
        await database.write(lambda tx: feed.append(tx, "ann", EventType.RUN_PROGRESS))
    with closing(sqlite3.connect(tmp_path / "data" / FILE_NAME)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return tmp_path / "data"


def _damage(folder: Path, name: str) -> None:
    """Overwrite the root page of a table or an index; `schema`: that of the schema itself."""
    path = folder / FILE_NAME
    with closing(sqlite3.connect(path)) as connection:
        size = connection.execute("PRAGMA page_size").fetchone()[0]
        root = 1
        if name != "schema":
            found = "SELECT rootpage FROM sqlite_schema WHERE name = ?"
            root = connection.execute(found, (name,)).fetchone()[0]
    with path.open("r+b") as file:
        start = (root - 1) * size + (100 if root == 1 else 0)
        file.seek(start)
        file.write(b"\xa5" * (size - 100))


def _serve(folder: Path) -> "subprocess.CompletedProcess[str]":
    argv = [sys.executable, "-m", "promptreel_server", "serve", "--data", str(folder)]
    argv += ["--grpc-port", "0", "--no-gateway"]
    return subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.parametrize("name", ["schema", *PAGES])
async def test_a_server_that_meets_a_damaged_page_at_start_ends_with_a_sentence(
    folder: Path, name: str
) -> None:
    _damage(folder, name)
    ended = _serve(folder)
    assert ended.returncode == 1, ended.stderr
    assert "Traceback" not in ended.stderr
    assert "damaged" in ended.stderr or "can't be used" in ended.stderr


@pytest.mark.parametrize("name", ["schema", *PAGES])
async def test_doctor_says_of_a_damaged_page_what_to_do(folder: Path, name: str) -> None:
    _damage(folder, name)
    findings = await examine(Settings(data=folder), repair=False)
    wrong = [finding for finding in findings if finding.state is State.WRONG]
    assert any(finding.check in ("database", "schema") and finding.remedy for finding in wrong)
