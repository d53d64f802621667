"""Idempotency keys: which request came with a key, and what it was answered."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, bindparam, delete, insert, select, update

from promptreel_server.store.schema.tables import idempotency
from promptreel_server.store.schema.transaction import Transaction


@dataclass(frozen=True, kw_only=True)
class KeyUse:
    """One key of one owner with one operation."""

    owner_id: str
    operation: str
    key: str


@dataclass(frozen=True, kw_only=True)
class Remembered:
    """What came with a key; no answer while the first request is in flight, or where it broke."""

    request_hash: str | None
    answer: bytes | None


_THIS = (
    (idempotency.c.owner_id == bindparam("of_owner"))
    & (idempotency.c.operation == bindparam("of_operation"))
    & (idempotency.c.key == bindparam("of_key"))
)
_FIND = select(idempotency.c.request_hash, idempotency.c.answer).where(_THIS)
_COMPLETE = (
    update(idempotency)
    .where(_THIS)
    .values(request_hash=bindparam("hash"), answer=bindparam("reply"))
)


def find(connection: Connection, use: KeyUse) -> Remembered | None:
    """Answer what is remembered of a key, if anything."""
    row = connection.execute(_FIND, _named(use)).one_or_none()
    return None if row is None else Remembered(request_hash=row[0], answer=row[1])


def remember(tx: Transaction, use: KeyUse, request_hash: str, answer: bytes) -> None:
    """Remember a key with its request and answer, in the transaction that made them."""
    tx.execute(
        insert(idempotency).values(
            owner_id=use.owner_id,
            operation=use.operation,
            key=use.key,
            request_hash=request_hash,
            answer=answer,
            created_at=tx.now,
        )
    )


def reserve(tx: Transaction, use: KeyUse) -> None:
    """Hold a key for a request that takes more than one transaction."""
    tx.execute(
        insert(idempotency).values(
            owner_id=use.owner_id, operation=use.operation, key=use.key, created_at=tx.now
        )
    )


def complete(tx: Transaction, use: KeyUse, request_hash: str, answer: bytes) -> None:
    """Turn a reservation into a remembered answer."""
    tx.execute(_COMPLETE, {**_named(use), "hash": request_hash, "reply": answer})


def forget(tx: Transaction, use: KeyUse) -> None:
    """Let go of a key: its request was refused."""
    tx.execute(delete(idempotency).where(_THIS), _named(use))


def prune(tx: Transaction, before: datetime, *, most: int) -> int:
    """Forget at most `most` keys that were used before an instant; answers how many."""
    old = (
        select(idempotency.c.owner_id, idempotency.c.operation, idempotency.c.key)
        .where(idempotency.c.created_at < before)
        .limit(most)
    )
    rows = tx.execute(old).all()
    for row in rows:
        forget(tx, KeyUse(owner_id=row.owner_id, operation=row.operation, key=row.key))
    return len(rows)


def _named(use: KeyUse) -> dict[str, str]:
    return {"of_owner": use.owner_id, "of_operation": use.operation, "of_key": use.key}
