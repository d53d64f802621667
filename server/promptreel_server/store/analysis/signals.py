"""Signals: what was found out about a media item once and serves every run after that."""

from typing import Any

from sqlalchemy import Connection, delete, insert, select

from promptreel_server.domain.prompt import JsonObject
from promptreel_server.store.schema.tables import signals
from promptreel_server.store.schema.transaction import Transaction


def find(connection: Connection, video_id: str, kind: str) -> JsonObject | None:
    """Answer a signal of a media item; `kind` names it with its algorithm's version."""
    body: Any = connection.execute(
        select(signals.c.body).where(signals.c.video_id == video_id, signals.c.kind == kind)
    ).scalar()
    return body if isinstance(body, dict) else None


def keep(tx: Transaction, video_id: str, kind: str, body: JsonObject) -> None:
    """Store a signal of a media item in the place of an older one."""
    tx.execute(delete(signals).where(signals.c.video_id == video_id, signals.c.kind == kind))
    tx.execute(
        insert(signals).values(video_id=video_id, kind=kind, body=dict(body), created_at=tx.now)
    )
