"""What is counted and not listed is seen, told and mended."""

import logging
import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from datetime import timedelta

import pytest
from sqlalchemy import delete, text, update

from promptreel_server import retention
from promptreel_server.domain.media import MediaItem
from promptreel_server.domain.page import Slice
from promptreel_server.domain.run import Run
from promptreel_server.store.database.database import Database
from promptreel_server.store.runs import listing_audit, run_segments
from promptreel_server.store.schema.tables import run_segments as rows
from promptreel_server.store.schema.transaction import Transaction
from tests.engines import Rig, rig


@pytest.fixture
async def running(database: Database) -> AsyncIterator[Rig]:
    async with rig(database) as made:
        yield made


async def _ended(running: Rig) -> tuple[Run, MediaItem]:
    video = await running.add(seconds=10)
    run = await running.execute(await running.prompt(), [video], seconds=1)
    return await running.ended(run.run_id), video


async def _listed(running: Rig, run: Run, video: MediaItem) -> int:
    page = await running.database.read(
        lambda c: run_segments.results(c, run.run_id, video.video_id, Slice(limit=100))
    )
    return len(page.items)


async def _lose_times(database: Database) -> None:
    """Do what two servers did: one's cut replaced the other's, which a run refers to."""
    url = database._writing.url
    if url.get_backend_name() == "sqlite":  # a connection of its own knows no foreign keys
        with closing(sqlite3.connect(str(url.database))) as connection, connection:
            connection.execute("UPDATE run_segments SET segment_id = 'old_' || segment_id")
        return

    def lose(tx: Transaction) -> None:
        tx.execute(text("ALTER TABLE run_segments DROP CONSTRAINT run_segments_segment"))
        tx.execute(update(rows).values(segment_id="old_" + rows.c.segment_id))

    await database.write(lose)


async def test_a_run_that_lists_what_it_counts_is_well(running: Rig) -> None:
    await _ended(running)
    assert await running.database.read(listing_audit.unlisted) == []


async def test_segments_without_times_are_told_and_listed_again_with_those_of_the_same_cut(
    running: Rig, caplog: pytest.LogCaptureFixture
) -> None:
    run, video = await _ended(running)
    await _lose_times(running.database)
    assert await _listed(running, run, video) == 0
    (found,) = await running.database.read(listing_audit.unlisted)
    assert (found.run_id, found.video_id, found.segments) == (run.run_id, video.video_id, 10)
    since = running.database.clock() - timedelta(hours=1)
    with caplog.at_level(logging.ERROR):
        await retention.audit(running.database, since)
    assert "no page lists" in caplog.text
    assert await _listed(running, run, video) == 0, "the audit of a running server only tells"
    await running.database.write(lambda tx: listing_audit.mend(tx, [found]))
    assert await _listed(running, run, video) == 10
    assert await running.database.read(listing_audit.unlisted) == []


async def test_times_of_a_cut_of_other_settings_are_not_taken(running: Rig) -> None:
    """A cut of as many segments that is made otherwise has other times."""
    run, _ = await _ended(running)
    await _lose_times(running.database)
    await running.database.write(
        lambda tx: tx.execute(
            text("UPDATE run_media SET segmentation_id = 'gone' WHERE run_id = :run"),
            {"run": run.run_id},
        )
    )
    found = await running.database.read(listing_audit.unlisted)
    assert await running.database.write(lambda tx: listing_audit.mend(tx, found)) == 0


async def test_rows_that_are_gone_altogether_are_seen(running: Rig) -> None:
    run, video = await _ended(running)
    await running.database.write(lambda tx: tx.execute(delete(rows).where(rows.c.ordinal >= 6)))
    (found,) = await running.database.read(listing_audit.unlisted)
    assert (found.run_id, found.missing) == (run.run_id, 4)
    assert await running.database.write(lambda tx: listing_audit.mend(tx, [found])) == 0
    assert await _listed(running, run, video) == 6


async def test_only_runs_that_ended_lately_are_audited_while_the_server_runs(running: Rig) -> None:
    await _ended(running)
    await running.database.write(lambda tx: tx.execute(delete(rows)))
    later = running.database.clock() + timedelta(hours=1)
    look = listing_audit.unlisted
    assert await running.database.read(lambda c: look(c, later)) == []
    assert len(await running.database.read(lambda c: look(c, later - timedelta(hours=2)))) == 1
