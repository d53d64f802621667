"""How watches end that are not ended by what they watch, and what a slow reader holds."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager

import pytest

from promptreel_server.domain.event import EventType
from promptreel_server.domain.key import Scope
from promptreel_server.errors import RateLimited
from promptreel_server.services.call.context import Call, current
from promptreel_server.services.watch import watch_hub
from promptreel_server.services.watch.watch_hub import BATCH, Batch, End, Start, Tails, WatchLimits
from promptreel_server.store import feed
from promptreel_server.store.database.database import Database
from promptreel_server.store.feed import EventFilter, NewEvent

OWNER = "ann"


@asynccontextmanager
async def _reading(database: Database, limits: WatchLimits) -> AsyncIterator[Tails]:
    tails = Tails(database, limits)
    reading = asyncio.create_task(tails.run())
    try:
        yield tails
    finally:
        reading.cancel()
        await asyncio.gather(reading, return_exceptions=True)


async def _write(database: Database, count: int) -> None:
    news = [NewEvent(event_type=EventType.SEGMENT_STARTED, payload={}) for _ in range(count)]
    await database.write(lambda tx: feed.append_all(tx, OWNER, news))


def _follow(tails: Tails) -> AsyncGenerator[Batch]:
    return tails.follow(OWNER, Start(at=0, newest=0), EventFilter())


async def test_a_reader_that_takes_too_long_is_told_to_come_back(database: Database) -> None:
    async with _reading(database, WatchLimits(slow_seconds=0.05)) as tails:
        await _write(database, 3)
        async with aclosing(_follow(tails)) as batches:
            first = await anext(batches)
            await asyncio.sleep(0.1)
            rest = [batch async for batch in batches]

    assert [told.sequence for told in first.told] == [1, 2, 3]
    assert rest == [Batch(at=3, end=End.TOO_SLOW)]


async def test_a_reader_that_sleeps_holds_one_batch_and_misses_nothing(database: Database) -> None:
    async with _reading(database, WatchLimits()) as tails, aclosing(_follow(tails)) as batches:
        await _write(database, 1)
        seen = [told.sequence for told in (await anext(batches)).told]
        for _ in range(40):
            await _write(database, 100)
        await asyncio.sleep(0.2)
        while len(seen) < 4001:
            batch = await anext(batches)
            assert len(batch.told) <= BATCH
            seen += [told.sequence for told in batch.told]

    assert seen == list(range(1, 4002))


async def test_a_server_that_drains_ends_its_watches_where_they_stand(database: Database) -> None:
    async with _reading(database, WatchLimits()) as tails, aclosing(_follow(tails)) as batches:
        await _write(database, 2)
        await anext(batches)
        tails.drain()

        assert await anext(batches) == Batch(at=2, end=End.DRAINING)


async def test_a_key_opens_no_more_watches_than_it_may(database: Database) -> None:
    current.set(Call(owner_id=OWNER, key_id="key_1", scope=Scope.READ, request_id="1"))
    tails = Tails(database, WatchLimits(most_per_key=1))

    with tails.counted(), pytest.raises(RateLimited, match="1 watches"), tails.counted():
        pass
    with tails.counted():
        assert tails.open == 1
    assert tails.open == 0


async def test_the_end_is_told_after_all_that_was_committed_before_it(database: Database) -> None:
    tails = Tails(database, WatchLimits())
    news = [NewEvent(event_type=EventType.RETRY_FAILED, run_id="gone", payload={})] * 2
    await database.write(lambda tx: feed.append_all(tx, OWNER, news))
    start = Start(at=0, newest=0, ended=True)

    async with aclosing(tails.follow(OWNER, start, EventFilter(run_id="gone"))) as batches:
        first = asyncio.ensure_future(anext(batches))
        await asyncio.sleep(0.1)  # the tail has read nothing yet
        reading = asyncio.create_task(tails.run())
        told = [one.sequence for one in (await first).told]
        rest = [batch async for batch in batches]
        reading.cancel()

    assert told == [1, 2]
    assert rest == [Batch(at=2, end=End.RUN_ENDED)]


async def test_what_no_notice_told_of_is_seen_within_the_time_between_looks(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A notice of another server may be lost on its way; the feed itself never is."""
    monkeypatch.setattr(watch_hub, "LOOK_EVERY", 0.1)
    async with _reading(database, WatchLimits()) as tails, aclosing(_follow(tails)) as batches:
        await _write(database, 1)
        await anext(batches)
        monkeypatch.setattr(database.news, "tell", lambda owners: None)
        monkeypatch.setattr(database._writer, "_on_commit", lambda owners: None)
        await _write(database, 2)
        async with asyncio.timeout(5):
            batch = await anext(batches)
    assert [told.sequence for told in batch.told] == [2, 3]
