"""What the data folder holds is for the server's user alone."""

import stat
from pathlib import Path

from promptreel_server.domain.event import EventType
from promptreel_server.store import feed
from promptreel_server.store.database.sqlite import FILE_NAME, open_sqlite


def _mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


async def test_a_new_folder_and_its_database_are_closed_to_others(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    async with open_sqlite(folder) as database:
        await database.write(lambda tx: feed.append(tx, "ann", EventType.RUN_PROGRESS))
        files = [folder / name for name in (FILE_NAME, f"{FILE_NAME}-wal", f"{FILE_NAME}-shm")]
        assert {_mode(path) for path in files} == {0o600}
    assert _mode(folder) == 0o700


async def test_an_open_folder_is_closed_when_a_server_starts(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    async with open_sqlite(folder):
        pass
    folder.chmod(0o755)
    (folder / FILE_NAME).chmod(0o644)
    async with open_sqlite(folder):
        assert _mode(folder) == 0o700
        assert _mode(folder / FILE_NAME) == 0o600
