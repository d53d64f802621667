"""API keys: made once, shown once, kept as a hash."""

import hashlib
import secrets
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, bindparam, delete, exists, insert, select, update

from promptreel_server.domain.ids import KEY, new_id
from promptreel_server.domain.key import ApiKey, Scope
from promptreel_server.errors import NotFound
from promptreel_server.store.schema.tables import api_keys
from promptreel_server.store.schema.transaction import Transaction

MARK = "sk_"
_RANDOM_BYTES = 32
_SHOWN = 11
"""Characters of a key by which its owner knows it again: the mark and eight more."""


def new_secret() -> str:
    """Make a key: `sk_` and 43 random URL-safe characters."""
    return MARK + secrets.token_urlsafe(_RANDOM_BYTES)


def digest(secret: str) -> str:
    """Answer what is stored of a key: random as it is, one round of SHA-256 hides it."""
    return hashlib.sha256(secret.encode()).hexdigest()


def create(
    tx: Transaction,
    *,
    owner_id: str,
    name: str,
    scope: Scope,
    secret: str,
    expires_at: datetime | None = None,
) -> ApiKey:
    """Keep a new key; `secret` itself is not stored."""
    key = ApiKey(
        key_id=new_id(KEY),
        owner_id=owner_id,
        name=name,
        prefix=secret[:_SHOWN],
        scope=scope,
        created_at=tx.now,
        expires_at=expires_at,
    )
    tx.execute(
        insert(api_keys).values(
            key_id=key.key_id,
            owner_id=owner_id,
            name=name,
            prefix=key.prefix,
            hash=digest(secret),
            scope=int(scope),
            created_at=key.created_at,
            expires_at=expires_at,
        )
    )
    return key


_BY_HASH = select(api_keys).where(api_keys.c.hash == bindparam("hash"))


def fetch_by_hash(connection: Connection, key_hash: str) -> ApiKey | None:
    """Answer the key with this digest, revoked and expired ones too."""
    row = connection.execute(_BY_HASH, {"hash": key_hash}).one_or_none()
    return None if row is None else _key(row)


def fetch(connection: Connection, owner_id: str, key_id: str) -> ApiKey:
    """Answer one key of an owner.

    Raises:
        NotFound: the owner has no such key.
    """
    statement = select(api_keys).where(api_keys.c.owner_id == owner_id, api_keys.c.key_id == key_id)
    row = connection.execute(statement).one_or_none()
    if row is None:
        raise NotFound(f"No API key {key_id}; list the keys to see which there are.")
    return _key(row)


def list_keys(connection: Connection, owner_id: str) -> list[ApiKey]:
    """Answer the keys of an owner, newest first, revoked ones too."""
    statement = (
        select(api_keys)
        .where(api_keys.c.owner_id == owner_id)
        .order_by(api_keys.c.created_at.desc(), api_keys.c.key_id.desc())
    )
    return [_key(row) for row in connection.execute(statement)]


def revoke(tx: Transaction, owner_id: str, key_id: str) -> ApiKey:
    """End a key for good; one that is revoked already stays as it is.

    Raises:
        NotFound: the owner has no such key.
    """
    tx.execute(
        update(api_keys)
        .where(
            api_keys.c.owner_id == owner_id,
            api_keys.c.key_id == key_id,
            api_keys.c.revoked_at.is_(None),
        )
        .values(revoked_at=tx.now)
    )
    return fetch(tx.connection, owner_id, key_id)


def remove(tx: Transaction, owner_id: str, key_id: str) -> None:
    """Forget a key.

    Raises:
        NotFound: the owner has no such key.
    """
    fetch(tx.connection, owner_id, key_id)
    tx.execute(delete(api_keys).where(api_keys.c.key_id == key_id))


def has_any(connection: Connection) -> bool:
    """Tell whether anybody has a key yet."""
    return bool(connection.execute(select(exists(select(api_keys.c.key_id)))).scalar())


_TOUCH = (
    update(api_keys)
    .where(api_keys.c.key_id == bindparam("key"))
    .values(last_used_at=bindparam("used_at"))
)


def touch(tx: Transaction, used: Mapping[str, datetime]) -> None:
    """Note when keys were used last."""
    if used:
        tx.execute(_TOUCH, [{"key": key, "used_at": at} for key, at in used.items()])


def _key(row: Row[Any]) -> ApiKey:
    return ApiKey(
        key_id=row.key_id,
        owner_id=row.owner_id,
        name=row.name,
        prefix=row.prefix,
        scope=Scope(row.scope),
        created_at=row.created_at,
        expires_at=row.expires_at,
        revoked_at=row.revoked_at,
        last_used_at=row.last_used_at,
    )
