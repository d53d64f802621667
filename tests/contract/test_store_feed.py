"""The feed: written with what it tells, numbered without gaps, removed from its old end."""

import asyncio
from datetime import timedelta

import pytest

from promptreel_server.domain.event import EventType
from promptreel_server.store import feed
from promptreel_server.store.database.database import Database
from promptreel_server.store.feed import EventFilter, NewEvent
from promptreel_server.store.schema.transaction import Transaction

ALL = EventFilter()


async def _write(database: Database, owner: str, count: int = 1) -> int:
    news = [NewEvent(event_type=EventType.SEGMENT_STARTED, payload={"n": n}) for n in range(count)]
    return await database.write(lambda tx: feed.append_all(tx, owner, news))


async def _sequences(database: Database, owner: str) -> list[int]:
    events = await database.read(lambda c: feed.after(c, owner, 0, ALL, 10_000))
    return [event.sequence for event in events]


async def _prune(database: Database, *, days: float = 30, keep: int = 10_000, most: int) -> int:
    def prune(tx: Transaction) -> int:
        return feed.prune(tx, tx.now - timedelta(days=days), keep=keep, most=most)

    return await database.write(prune)


async def test_owners_are_numbered_apart_and_without_gaps(database: Database) -> None:
    await asyncio.gather(*(_write(database, owner, 3) for owner in ("ann", "bob") * 20))

    assert await _sequences(database, "ann") == list(range(1, 61))
    assert await _sequences(database, "bob") == list(range(1, 61))


async def test_a_change_that_fails_takes_no_number(database: Database) -> None:
    def fail(tx: Transaction) -> None:
        feed.append(tx, "ann", EventType.SEGMENT_STARTED)
        raise ValueError("no")

    await _write(database, "ann")
    with pytest.raises(ValueError, match="no"):
        await database.write(fail)
    await _write(database, "ann")

    assert await _sequences(database, "ann") == [1, 2]


async def test_a_commit_wakes_whoever_reads(database: Database) -> None:
    waiting = asyncio.create_task(database.news.wait(5))
    await asyncio.sleep(0)
    await _write(database, "ann")

    assert await waiting == {"ann"}
    assert await database.news.wait(0.01) == set()


async def test_what_is_over_the_bound_goes_oldest_first_in_steps(database: Database) -> None:
    for owner in ("ann", "bob"):
        await _write(database, owner, 10)

    removed = [await _prune(database, keep=5, most=6) for _ in range(4)]

    assert removed == [6, 6, 3, 0]
    assert await _sequences(database, "ann") == []
    assert await _sequences(database, "bob") == [6, 7, 8, 9, 10]
    assert await _write(database, "ann") == 11


async def test_what_is_too_old_goes_and_the_rest_stays(database: Database) -> None:
    await _write(database, "ann", 4)

    assert await _prune(database, days=1, most=10) == 0
    assert await _prune(database, days=-1, most=3) == 3
    assert await _sequences(database, "ann") == [4]


@pytest.fixture
async def kept(database: Database) -> Database:
    await _write(database, "ann", 7)
    await _prune(database, keep=4, most=10)
    await _write(database, "bob", 2)
    return database


async def test_rows_are_counted_without_walking_them(kept: Database) -> None:
    assert await kept.read(feed.count_kept) == 6
    assert await kept.read(lambda c: feed.oldest_sequence(c, "ann")) == 4
    assert await kept.read(lambda c: feed.last_sequence(c, "ann")) == 7
