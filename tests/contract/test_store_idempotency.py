from datetime import timedelta

import pytest
from sqlalchemy.exc import IntegrityError

from promptreel_server.store.access import idempotency
from promptreel_server.store.access.idempotency import KeyUse, Remembered
from promptreel_server.store.database.database import Database

USE = KeyUse(owner_id="ann", operation="CreateIndex", key="k1")


async def _find(database: Database, use: KeyUse) -> Remembered | None:
    return await database.read(lambda c: idempotency.find(c, use))


async def _remember(database: Database, use: KeyUse) -> None:
    await database.write(lambda tx: idempotency.remember(tx, use, "h", b"a"))


async def test_an_answer_is_remembered_under_owner_operation_and_key(database: Database) -> None:
    await database.write(lambda tx: idempotency.remember(tx, USE, "h1", b"answer"))

    assert await database.read(lambda c: idempotency.find(c, USE)) == Remembered(
        request_hash="h1", answer=b"answer"
    )
    for other in (
        KeyUse(owner_id="bob", operation="CreateIndex", key="k1"),
        KeyUse(owner_id="ann", operation="CreatePrompt", key="k1"),
        KeyUse(owner_id="ann", operation="CreateIndex", key="k2"),
    ):
        assert await _find(database, other) is None


async def test_a_key_is_taken_once(database: Database) -> None:
    await database.write(lambda tx: idempotency.reserve(tx, USE))

    with pytest.raises(IntegrityError):
        await database.write(lambda tx: idempotency.remember(tx, USE, "h1", b"answer"))


async def test_a_reservation_becomes_an_answer(database: Database) -> None:
    await database.write(lambda tx: idempotency.reserve(tx, USE))
    held = await database.read(lambda c: idempotency.find(c, USE))

    await database.write(lambda tx: idempotency.complete(tx, USE, "h1", b"answer"))

    assert held == Remembered(request_hash=None, answer=None)
    assert await database.read(lambda c: idempotency.find(c, USE)) == Remembered(
        request_hash="h1", answer=b"answer"
    )


async def test_a_refused_request_lets_go_of_its_key(database: Database) -> None:
    await database.write(lambda tx: idempotency.reserve(tx, USE))

    await database.write(lambda tx: idempotency.forget(tx, USE))

    assert await database.read(lambda c: idempotency.find(c, USE)) is None


async def test_old_keys_are_forgotten_in_small_steps(database: Database) -> None:
    for n in range(4):
        await _remember(database, KeyUse(owner_id="ann", operation="CreateIndex", key=f"k{n}"))
    left = KeyUse(owner_id="ann", operation="CreateIndex", key="left")
    await database.write(lambda tx: idempotency.reserve(tx, left))
    later = database.clock() + timedelta(seconds=1)
    earlier = later - timedelta(days=1)

    assert await database.write(lambda tx: idempotency.prune(tx, earlier, most=10)) == 0
    assert await database.write(lambda tx: idempotency.prune(tx, later, most=3)) == 3
    assert await database.write(lambda tx: idempotency.prune(tx, later, most=3)) == 2
