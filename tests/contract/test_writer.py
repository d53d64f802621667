"""The writer outlives whatever a change does."""

import asyncio

import pytest
from sqlalchemy import text

from promptreel_server.domain.event import EventType
from promptreel_server.store import feed
from promptreel_server.store.database.database import Database
from promptreel_server.store.database.writer import Broken
from promptreel_server.store.schema.transaction import Transaction


class Panic(BaseException):
    """What a Rust extension raises: no Exception."""


def _panics(tx: Transaction) -> None:
    raise Panic("index out of bounds")


def _recurses(tx: Transaction) -> None:
    _recurses(tx)


def _tells(tx: Transaction) -> int:
    return feed.append(tx, "ann", EventType.RUN_PROGRESS)


async def test_a_change_that_panics_fails_alone_and_the_writer_goes_on(database: Database) -> None:
    with pytest.raises(Broken, match="Panic: index out of bounds"):
        await database.write(_panics)
    assert await database.write(_tells) == 1


async def test_changes_beside_one_that_panics_are_written(database: Database) -> None:
    answers = await asyncio.gather(
        *(database.write(change) for change in (_tells, _panics, _tells, _recurses, _tells)),
        return_exceptions=True,
    )
    assert [answer for answer in answers if isinstance(answer, int)] == [1, 2, 3]
    assert isinstance(answers[1], Broken)
    assert isinstance(answers[3], RecursionError)


async def test_a_commit_that_is_under_way_has_a_number_and_an_idle_writer_none(
    database: Database,
) -> None:
    seen: list[int | None] = []

    def look(tx: Transaction) -> None:
        seen.append(database.commit_in_hand())
        tx.execute(text("SELECT 1"))

    await database.write(look)
    await database.write(look)
    assert database.commit_in_hand() is None
    first, second = seen
    assert first is not None
    assert second == first + 1
