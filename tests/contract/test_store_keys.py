from datetime import UTC, datetime, timedelta

import pytest

from promptreel_server.domain.key import Scope
from promptreel_server.errors import NotFound
from promptreel_server.store.access import api_keys, server_secrets
from promptreel_server.store.database.database import Database


async def test_a_key_is_found_by_its_digest_and_not_stored_itself(database: Database) -> None:
    secret = api_keys.new_secret()
    key = await database.write(
        lambda tx: api_keys.create(
            tx, owner_id="ann", name="laptop", scope=Scope.READ, secret=secret
        )
    )

    found = await database.read(lambda c: api_keys.fetch_by_hash(c, api_keys.digest(secret)))
    rows = await database.read(lambda c: c.exec_driver_sql("SELECT * FROM api_keys").all())

    assert found == key
    assert found is not None
    assert found.scope is Scope.READ
    assert secret.startswith(key.prefix)
    assert all(secret not in str(row) for row in rows)


async def test_a_secret_is_long_marked_and_url_safe() -> None:
    secrets_made = {api_keys.new_secret() for _ in range(50)}

    assert len(secrets_made) == 50
    for secret in secrets_made:
        assert secret.startswith("sk_")
        assert len(secret) >= 43
        assert secret.replace("_", "").replace("-", "").isalnum()


async def test_an_unknown_digest_finds_nothing(database: Database) -> None:
    assert await database.read(lambda c: api_keys.fetch_by_hash(c, api_keys.digest("sk_x"))) is None


async def test_a_key_is_revoked_once_and_keeps_that_instant(database: Database) -> None:
    key = await database.write(
        lambda tx: api_keys.create(tx, owner_id="ann", name="k", scope=Scope.ADMIN, secret="sk_a")
    )

    first = await database.write(lambda tx: api_keys.revoke(tx, "ann", key.key_id))
    again = await database.write(lambda tx: api_keys.revoke(tx, "ann", key.key_id))

    assert first.revoked_at is not None
    assert again.revoked_at == first.revoked_at


async def test_somebody_elses_key_can_be_neither_seen_nor_revoked(database: Database) -> None:
    key = await database.write(
        lambda tx: api_keys.create(tx, owner_id="ann", name="k", scope=Scope.ADMIN, secret="sk_a")
    )

    with pytest.raises(NotFound):
        await database.read(lambda c: api_keys.fetch(c, "bob", key.key_id))
    with pytest.raises(NotFound):
        await database.write(lambda tx: api_keys.revoke(tx, "bob", key.key_id))
    with pytest.raises(NotFound):
        await database.write(lambda tx: api_keys.remove(tx, "bob", key.key_id))
    assert await database.read(lambda c: api_keys.list_keys(c, "bob")) == []


async def test_the_last_use_and_the_end_of_a_key_are_kept(database: Database) -> None:
    ends = datetime(2030, 1, 1, tzinfo=UTC)
    used = datetime(2026, 5, 1, tzinfo=UTC) + timedelta(microseconds=7)
    key = await database.write(
        lambda tx: api_keys.create(
            tx, owner_id="ann", name="k", scope=Scope.WRITE, secret="sk_a", expires_at=ends
        )
    )

    await database.write(lambda tx: api_keys.touch(tx, {key.key_id: used}))

    found = await database.read(lambda c: api_keys.fetch(c, "ann", key.key_id))
    assert (found.expires_at, found.last_used_at) == (ends, used)


async def test_the_first_key_is_noticed(database: Database) -> None:
    assert not await database.read(api_keys.has_any)

    key = await database.write(
        lambda tx: api_keys.create(tx, owner_id="ann", name="k", scope=Scope.READ, secret="sk_a")
    )

    assert await database.read(api_keys.has_any)
    await database.write(lambda tx: api_keys.remove(tx, "ann", key.key_id))
    assert not await database.read(api_keys.has_any)


async def test_a_secret_of_the_server_stays_the_same_and_names_differ(database: Database) -> None:
    first = await database.write(lambda tx: server_secrets.get_or_create(tx, "cursors"))
    again = await database.write(lambda tx: server_secrets.get_or_create(tx, "cursors"))
    other = await database.write(lambda tx: server_secrets.get_or_create(tx, "other"))

    assert first == again
    assert len(first) == 32
    assert first != other
