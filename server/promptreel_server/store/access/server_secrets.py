"""Keys that the server makes for itself, once for each database."""

from secrets import token_hex

from sqlalchemy import insert, select

from promptreel_server.store.schema.tables import secrets
from promptreel_server.store.schema.transaction import Transaction

_BYTES = 32


def get_or_create(tx: Transaction, name: str) -> bytes:
    """Answer the secret of this name, 32 random bytes made at the first call."""
    statement = select(secrets.c.value).where(secrets.c.name == name)
    value = tx.execute(statement).scalar()
    if value is None:
        value = token_hex(_BYTES)
        tx.execute(insert(secrets).values(name=name, value=value))
    return bytes.fromhex(value)
