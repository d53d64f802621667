"""What lists and looks cost follows what they answer, not what was ever stored."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from sqlalchemy import Connection

from promptreel_server.domain.media import MediaItem
from promptreel_server.domain.page import Slice
from promptreel_server.store.database.database import Database
from promptreel_server.store.database.sqlite import open_sqlite
from promptreel_server.store.runs import processing_status, run_media, segment_lookup
from tests.engines import Rig, rig
from tests.statements import sent, ways

MOST_STATEMENTS = 10
MANY = 40


@pytest.fixture
async def running(database: Database) -> AsyncIterator[Rig]:
    async with rig(database) as made:
        yield made


async def _ran(running: Rig, runs: int = 3) -> list[MediaItem]:
    """Media items that several runs have covered."""
    items = [await running.add(seconds=10, content=str(number)) for number in range(MANY)]
    prompt = await running.prompt(video_level=True)
    for _ in range(runs):
        run = await running.execute(prompt, items, seconds=5)
        await running.ended(run.run_id)
    return items


@pytest.mark.parametrize("with_segments", [False, True])
async def test_a_page_of_media_takes_a_few_statements_however_many_they_are(
    running: Rig, with_segments: bool
) -> None:
    items = await _ran(running)
    names = [item.video_id for item in items]

    def counted(connection: Connection) -> int:
        with sent(connection) as statements:
            found = processing_status.of_media(connection, names, with_segments=with_segments)
            segment_lookup.first_with_thumbnail(connection, names)
        assert {name: len(found[name]) for name in names} == dict.fromkeys(names, 3)
        newest = [standing.item.run_id for standing in found[names[0]]]
        assert newest == sorted(newest, reverse=True)
        assert all(standing.synthesis is not None for standing in found[names[0]])
        wanted = 2 if with_segments else 0
        assert all(len(standing.segments) == wanted for standing in found[names[0]])
        return len(statements)

    assert await running.database.read(counted) <= MOST_STATEMENTS


async def test_a_page_of_segments_takes_a_few_statements(running: Rig) -> None:
    video = await running.add(seconds=60)
    run = await running.execute(await running.prompt(), [video], seconds=1)
    await running.ended(run.run_id)

    def counted(connection: Connection) -> int:
        with sent(connection) as statements:
            page = segment_lookup.page_of_video(connection, video.video_id, Slice(limit=50))
        assert len(page.items) == 50
        assert all(standing is not None for _, standing in page.items)
        return len(statements)

    assert await running.database.read(counted) <= MOST_STATEMENTS


async def test_a_look_for_undone_media_sorts_nothing(tmp_path: Path) -> None:
    def plan(connection: Connection) -> list[str]:
        with sent(connection) as statements:
            run_media.undone(connection, 10, ("run_a", "vid_a"))
        return ways(connection, statements)

    async with open_sqlite(tmp_path) as database:
        steps = await database.read(plan)
    assert "run_media_undone" in steps[0]
    assert "(run_id,video_id)>" in steps[0].replace(" ", "")
    assert not any("TEMP B-TREE" in step for step in steps)
