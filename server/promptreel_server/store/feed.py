"""The feed: every state change as an event, in order, within each owner."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, bindparam, delete, func, insert, select, update

from promptreel_server.domain.event import Event, EventType
from promptreel_server.domain.ids import EVENT, new_id, new_ids
from promptreel_server.store.schema.bulk_statements import Prepared
from promptreel_server.store.schema.columns import json_text, microseconds
from promptreel_server.store.schema.tables import events, feeds
from promptreel_server.store.schema.transaction import Transaction


@dataclass(frozen=True, kw_only=True)
class NewEvent:
    """An event that has no sequence yet."""

    event_type: EventType
    run_id: str | None = None
    video_id: str | None = None
    segment_id: str | None = None
    index_id: str | None = None
    payload: dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class EventFilter:
    """Which events of an owner are wanted; what is empty excludes nothing."""

    run_id: str | None = None
    index_id: str | None = None
    video_ids: tuple[str, ...] = ()
    event_types: tuple[EventType, ...] = ()

    def passes(self, event: Event) -> bool:
        """Tell of one event what `after` asks of rows."""
        return (
            (not self.run_id or event.run_id == self.run_id)
            and (not self.index_id or event.index_id == self.index_id)
            and (not self.video_ids or event.video_id in self.video_ids)
            and (not self.event_types or event.event_type in self.event_types)
        )


def append(
    tx: Transaction,
    owner_id: str,
    event_type: EventType,
    *,
    run_id: str | None = None,
    video_id: str | None = None,
    segment_id: str | None = None,
    index_id: str | None = None,
    payload: Mapping[str, Any] | None = None,
) -> int:
    """Write one event and answer its sequence."""
    news = NewEvent(
        event_type=event_type,
        run_id=run_id,
        video_id=video_id,
        segment_id=segment_id,
        index_id=index_id,
        payload=dict(payload or {}),
    )
    return append_all(tx, owner_id, [news])


def append_all(tx: Transaction, owner_id: str, news: Sequence[NewEvent]) -> int:
    """Write events in order and answer the sequence of the first one."""
    first = _take(tx, owner_id, len(news)) - len(news) + 1
    now = microseconds(tx.now)
    event_ids = new_ids(EVENT, len(news)) if len(news) > 1 else [new_id(EVENT)]
    rows = [
        (
            owner_id,
            sequence,
            event_id,
            item.event_type.value,
            item.run_id,
            item.video_id,
            item.segment_id,
            item.index_id,
            now,
            json_text(item.payload),
        )
        for sequence, event_id, item in zip(
            range(first, first + len(news)), event_ids, news, strict=True
        )
    ]
    _APPEND.execute_all(tx, rows)
    tx.moved.add(owner_id)
    return first


_APPEND = Prepared(
    insert(events),
    (
        "owner_id",
        "sequence",
        "event_id",
        "event_type",
        "run_id",
        "video_id",
        "segment_id",
        "index_id",
        "created_at",
        "payload",
    ),
)
_TAKE = Prepared(
    update(feeds)
    .where(feeds.c.owner_id == bindparam("owner"))
    .values(sequence=feeds.c.sequence + bindparam("count"))
    .returning(feeds.c.sequence),
    ("owner", "count"),
)


def _take(tx: Transaction, owner_id: str, count: int) -> int:
    """Take `count` sequences of an owner and answer the last of them."""
    last = _TAKE.execute(tx, (owner_id, count)).scalar()
    if last is not None:
        return int(last)
    tx.execute(insert(feeds).values(owner_id=owner_id, sequence=count))
    return count


def last_sequence(connection: Connection, owner_id: str) -> int:
    """Answer the newest sequence of an owner, 0 where nothing happened yet."""
    statement = select(feeds.c.sequence).where(feeds.c.owner_id == owner_id)
    return int(connection.execute(statement).scalar() or 0)


def newest_of(connection: Connection, owner_ids: Sequence[str]) -> dict[str, int]:
    """Answer the last sequence given out to each of these owners; no entry: none was."""
    statement = select(feeds.c.owner_id, feeds.c.sequence).where(feeds.c.owner_id.in_(owner_ids))
    return {row.owner_id: row.sequence for row in connection.execute(statement)}


def after(
    connection: Connection, owner_id: str, sequence: int, wanted: EventFilter, limit: int
) -> list[Event]:
    """Answer the first events of an owner after a sequence, in order."""
    statement = (
        select(events)
        .where(events.c.owner_id == owner_id, events.c.sequence > sequence)
        .order_by(events.c.sequence)
        .limit(limit)
    )
    if wanted.run_id:
        statement = statement.where(events.c.run_id == wanted.run_id)
    if wanted.index_id:
        statement = statement.where(events.c.index_id == wanted.index_id)
    if wanted.video_ids:
        statement = statement.where(events.c.video_id.in_(wanted.video_ids))
    if wanted.event_types:
        statement = statement.where(events.c.event_type.in_(wanted.event_types))
    return [_event(row) for row in connection.execute(statement)]


def last_of_run(connection: Connection, run_id: str) -> int:
    """Answer the sequence of the newest event of a run, 0 where none is kept."""
    statement = select(func.max(events.c.sequence)).where(events.c.run_id == run_id)
    return int(connection.execute(statement).scalar() or 0)


def oldest_sequence(connection: Connection, owner_id: str) -> int | None:
    """Answer the oldest sequence that is still kept for an owner."""
    statement = select(func.min(events.c.sequence)).where(events.c.owner_id == owner_id)
    return connection.execute(statement).scalar()


def prune(tx: Transaction, before: datetime, *, keep: int, most: int) -> int:
    """Remove at most `most` events: those before an instant, and the oldest over `keep` rows."""
    over = count_kept(tx.connection) - keep
    oldest = select(events.c.event_id).order_by(events.c.created_at, events.c.sequence).limit(most)
    if over <= 0:
        oldest = oldest.where(events.c.created_at < before)
    else:
        oldest = oldest.limit(min(most, over))
    return int(tx.execute(delete(events).where(events.c.event_id.in_(oldest))).rowcount)


def count_kept(connection: Connection) -> int:
    """Count events by their sequences, which have no gaps: ten million rows are not walked."""
    oldest = (
        select(func.min(events.c.sequence))
        .where(events.c.owner_id == feeds.c.owner_id)
        .scalar_subquery()
    )
    kept = select(func.sum(feeds.c.sequence - oldest + 1))
    return int(connection.execute(kept).scalar() or 0)


def _event(row: Row[Any]) -> Event:
    return Event(
        event_id=row.event_id,
        sequence=row.sequence,
        event_type=row.event_type,
        owner_id=row.owner_id,
        created_at=row.created_at,
        run_id=row.run_id,
        video_id=row.video_id,
        segment_id=row.segment_id,
        index_id=row.index_id,
        payload=row.payload,
    )
