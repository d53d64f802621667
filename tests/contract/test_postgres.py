"""Servers that share a PostgreSQL: what one holds or commits, the others see at once."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, suppress
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import func, insert, select, update
from sqlalchemy.dialects.postgresql.psycopg import PGDialect_psycopg

from promptreel_server.app import media_folders
from promptreel_server.commands.doctor import Finding, State, examine
from promptreel_server.domain.event import EventType
from promptreel_server.errors import Invalid, StoreUnavailable, Unavailable
from promptreel_server.settings import Settings
from promptreel_server.store import feed
from promptreel_server.store.database import postgres
from promptreel_server.store.database.cluster import waited_for
from promptreel_server.store.database.database import Database
from promptreel_server.store.database.postgres import open_postgres
from promptreel_server.store.database.postgres_cluster import LOCKS, WRITING
from promptreel_server.store.feed import EventFilter
from promptreel_server.store.schema import tables
from promptreel_server.store.schema.transaction import Transaction
from tests.engines import rig
from tests.eventually import eventually
from tests.postgres import Postgres

OWNER = "owner"


@pytest.fixture
def url(postgres: Postgres) -> str:
    return postgres.new_database()


@pytest.fixture
async def two(url: str) -> AsyncIterator[tuple[Database, Database]]:
    async with open_postgres(url) as one, open_postgres(url) as other:
        yield one, other


def _tell(tx: Transaction) -> int:
    return feed.append(tx, OWNER, EventType.RUN_PROGRESS)


def _end_connections(url: str) -> None:
    """Break every connection that servers have, as a restart of PostgreSQL does."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )


async def test_a_commit_wakes_the_readers_of_another_server(
    two: tuple[Database, Database],
) -> None:
    one, other = two
    await one.write(_tell)
    heard: set[str] = set()
    while OWNER not in heard:
        heard |= await other.news.wait(10)
    await asyncio.sleep(0.2)  # what the start of listening told has been heard as well
    await other.news.wait(0.1)

    await one.write(_tell)

    assert await other.news.wait(10) == {OWNER}


async def test_a_commit_tells_of_more_owners_than_one_notice_holds(
    two: tuple[Database, Database],
) -> None:
    one, other = two
    owners = {f"{number:04}{'x' * 200}" for number in range(100)}

    def tell(tx: Transaction) -> None:
        for owner in owners:
            feed.append(tx, owner, EventType.RUN_PROGRESS)

    await one.write(tell)
    heard: set[str] = set()
    async with asyncio.timeout(10):
        while not owners <= heard:
            heard |= await other.news.wait(10)


async def test_writers_of_two_servers_number_a_feed_without_gaps(
    two: tuple[Database, Database],
) -> None:
    one, other = two
    taken = await asyncio.gather(*(each.write(_tell) for _ in range(100) for each in two))
    assert sorted(taken) == list(range(1, 201))
    told = await other.read(lambda c: feed.after(c, OWNER, 0, EventFilter(), 1000))
    assert [event.sequence for event in told] == list(range(1, 201))
    assert await one.read(lambda c: feed.last_sequence(c, OWNER)) == 200


async def test_a_name_is_held_by_one_server_until_it_lets_go(
    two: tuple[Database, Database],
) -> None:
    one, other = two
    async with one.peers.hold("a") as first, other.peers.hold("a") as second:
        assert (first, second) == (True, False)
        async with one.peers.hold("a") as again:
            assert not again
        assert await other.peers.held_elsewhere("a")
        assert not await one.peers.held_elsewhere("a")
        async with other.peers.hold("b") as third:
            assert third
    async with other.peers.hold("a") as again:
        assert again


async def test_what_a_server_held_is_free_when_it_is_gone(url: str) -> None:
    async with AsyncExitStack() as stack, open_postgres(url) as other:
        async with open_postgres(url) as one:
            await stack.enter_async_context(one.peers.hold("a"))
            async with other.peers.hold("a") as held:
                assert not held

        async def free() -> bool:
            async with other.peers.hold("a") as held:
                return held

        await eventually(free)


async def test_a_holder_that_is_cancelled_lets_go(two: tuple[Database, Database]) -> None:
    one, other = two

    async def work() -> None:
        async with one.peers.hold("a"):
            await asyncio.sleep(60)

    for pause in (0.0, 0.001, 0.01, 0.1):
        task = asyncio.ensure_future(work())
        await asyncio.sleep(pause)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        async with other.peers.hold("a") as held:
            assert held, pause


async def test_what_must_be_held_is_waited_for(two: tuple[Database, Database]) -> None:
    one, other = two
    order: list[str] = []

    async def work(database: Database, name: str) -> None:
        async with waited_for(database.peers, "bytes"):
            order.append(f"{name} begins")
            await asyncio.sleep(0.1)
            order.append(f"{name} ends")

    await asyncio.gather(work(one, "one"), work(other, "other"))
    assert order in (
        ["one begins", "one ends", "other begins", "other ends"],
        ["other begins", "other ends", "one begins", "one ends"],
    )


async def test_the_first_server_starts_alone_and_the_next_waits_for_it(
    two: tuple[Database, Database],
) -> None:
    one, other = two
    begun = asyncio.Event()

    async def start() -> bool:
        begun.set()
        async with other.peers.starting() as alone:
            return alone

    async with one.peers.starting() as alone:
        assert alone
        second = asyncio.ensure_future(start())
        await begun.wait()
        await asyncio.sleep(0.2)
        assert not second.done()
    assert not await second


async def test_a_call_for_work_is_heard_by_the_others_alone(
    two: tuple[Database, Database],
) -> None:
    one, other = two
    await asyncio.gather(one.peers.work.wait(), other.peers.work.wait())  # both listen
    one.peers.work.clear()
    other.peers.work.clear()
    await one.peers.call_for_work()
    await asyncio.wait_for(other.peers.work.wait(), 10)
    assert not one.peers.work.is_set()


async def test_connections_that_broke_are_told_as_passing_and_made_anew(
    url: str, two: tuple[Database, Database]
) -> None:
    one, other = two
    await one.write(_tell)
    async with one.peers.hold("a"):
        await asyncio.to_thread(_end_connections, url)
        with pytest.raises(StoreUnavailable, match="connection broke"):
            await one.write(_tell)
        for _ in range(postgres.READERS):  # each has a connection of its own
            with suppress(StoreUnavailable):
                await one.read(lambda c: feed.last_sequence(c, OWNER))

    assert await one.write(_tell) == 2
    assert await one.read(lambda c: feed.last_sequence(c, OWNER)) == 2

    async def heard() -> bool:
        return OWNER in await other.news.wait(0.5)

    await eventually(heard)  # it listens again, and looks at what it may have missed
    async with AsyncExitStack() as stack:

        async def held() -> bool:
            try:
                return await stack.enter_async_context(one.peers.hold("a"))
            except StoreUnavailable:
                return False

        await eventually(held)


@pytest.mark.parametrize("committed", [True, False])
async def test_a_commit_whose_answer_is_lost_is_told_as_what_became_of_it(
    url: str, monkeypatch: pytest.MonkeyPatch, committed: bool
) -> None:
    commit = PGDialect_psycopg.do_commit

    def break_off(_dialect: PGDialect_psycopg, connection: psycopg.Connection) -> None:
        monkeypatch.setattr(PGDialect_psycopg, "do_commit", commit)
        if committed:
            connection.commit()
        _end_connections(url)
        connection.execute("SELECT 1")

    async with open_postgres(url) as database:
        assert await database.write(_tell) == 1
        monkeypatch.setattr(PGDialect_psycopg, "do_commit", break_off)
        if committed:
            assert await database.write(_tell) == 2
        else:
            with pytest.raises(StoreUnavailable, match="connection broke"):
                await database.write(_tell)
        assert await database.write(_tell) == 2 + committed


async def test_a_writer_that_waits_too_long_for_another_says_so(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(postgres._OPTIONS, "options", "-c lock_timeout=100ms")
    async with open_postgres(url) as database:
        with psycopg.connect(url) as busy:
            busy.execute("SELECT pg_advisory_xact_lock(%s, %s)", [LOCKS, WRITING])
            with pytest.raises(StoreUnavailable, match="writers of other servers"):
                await database.write(_tell)
            busy.rollback()
        assert await database.write(_tell) == 1


async def test_a_text_may_hold_what_postgres_can_not(two: tuple[Database, Database]) -> None:
    one, _ = two
    rows = [{"name": "a\0b", "value": "\0"}, {"name": "c\0d", "value": "1"}]
    await one.write(lambda tx: tx.execute(insert(tables.secrets), rows).close())
    names = await one.read(lambda c: c.execute(select(tables.secrets.c.name)).scalars().all())
    assert set(names) == {"a\N{REPLACEMENT CHARACTER}b", "c\N{REPLACEMENT CHARACTER}d"}


async def test_servers_that_start_at_once_migrate_once(postgres: Postgres) -> None:
    url = postgres.new_empty_database()

    async def start() -> int:
        async with open_postgres(url) as database:
            return await database.read(
                lambda c: c.execute(select(func.count()).select_from(tables.runs)).scalar_one()
            )

    assert await asyncio.gather(*(start() for _ in range(3))) == [0, 0, 0]


@pytest.mark.parametrize("url", ["sqlite:///x", "mysql://h/x", "nonsense"])
async def test_an_address_of_something_else_is_refused(url: str) -> None:
    with pytest.raises(Invalid, match="postgresql://"):
        async with open_postgres(url):
            pass


async def test_a_database_that_can_not_be_reached_is_a_sentence_without_the_password() -> None:
    with pytest.raises(Unavailable, match="PostgreSQL at localhost") as refused:
        async with open_postgres("postgresql://me:hunter2@localhost:1/none"):
            pass
    assert "hunter2" not in refused.value.message


async def test_the_doctor_looks_a_database_over_and_mends_it_beside_no_server(
    url: str, tmp_path: Path
) -> None:
    settings = Settings(data=tmp_path, database_url=url)

    async def seen(*, repair: bool = False) -> dict[str, Finding]:
        findings = await examine(settings, repair=repair)
        return {one.check: one for one in findings if not one.check.startswith("model ")}

    assert {one.state for one in (await seen()).values()} == {State.WELL}
    stray = media_folders(settings)[0].path("a" * 64)
    stray.parent.mkdir(parents=True)
    stray.write_bytes(b"stray")
    async with open_postgres(url) as database, rig(database) as made:
        run = await made.execute(await made.prompt(), [await made.add(seconds=3)], seconds=1)
        await made.ended(run.run_id)
        await database.write(lambda tx: tx.execute(update(tables.runs).values(failed_segments=7)))
        async with database.peers.starting():
            pass
        with pytest.raises(Unavailable, match="stop them first"):
            await seen(repair=True)
    for repair, state in ((False, State.WRONG), (True, State.MENDED), (False, State.WELL)):
        found = await seen(repair=repair)
        assert (found["counters"].state, found["files of no media item"].state) == (state, state)


async def test_the_doctor_migrates_nothing_unasked(postgres: Postgres, tmp_path: Path) -> None:
    settings = Settings(data=tmp_path, database_url=postgres.new_empty_database())
    found = {one.check: one for one in await examine(settings, repair=False)}
    assert found["database"].state is State.WRONG
    assert "older schema" in found["database"].found


@pytest.mark.parametrize(
    "payload", ["hello", "", "[]", "[1]", '{"a": 1}', "null", "[[]]", "[" * 7000, "\u00e9"]
)
async def test_a_notice_that_no_server_wrote_is_ignored(
    two: tuple[Database, Database], url: str, payload: str
) -> None:
    one, other = two
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("SELECT pg_notify('promptreel', %s)", [payload])
    await asyncio.sleep(0.2)
    await one.write(_tell)

    async def heard() -> bool:
        return OWNER in await other.news.wait(0.5)

    assert await eventually(heard)
