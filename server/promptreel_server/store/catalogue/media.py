"""Media items: videos, audio and images, in an index or in the playground."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Row,
    bindparam,
    delete,
    func,
    insert,
    select,
    update,
)

from promptreel_server.domain.event import EventType
from promptreel_server.domain.media import MediaItem, MediaStatus
from promptreel_server.domain.page import Page, Slice
from promptreel_server.domain.target import Target, TargetType
from promptreel_server.errors import BeingDeleted, EmptyTarget, Invalid, NotFound
from promptreel_server.store import feed
from promptreel_server.store.catalogue import indexes, media_facts
from promptreel_server.store.schema.keyset_paging import page
from promptreel_server.store.schema.tables import media
from promptreel_server.store.schema.transaction import Transaction


def insert_item(tx: Transaction, item: MediaItem) -> None:
    """Keep a new media item and tell its owner."""
    tx.execute(
        insert(media).values(
            video_id=item.video_id,
            owner_id=item.owner_id,
            index_id=item.index_id,
            title=item.title,
            source_uri=item.source_uri,
            status=item.status,
            media_type=item.media_type,
            sha256=item.sha256,
            size_bytes=item.size_bytes,
            start=item.facts.start,
            duration=item.facts.duration,
            facts=media_facts.to_json(item.facts),
            metadata_keys=list(item.metadata_keys),
            created_at=item.created_at,
        )
    )
    feed.append(
        tx,
        item.owner_id,
        EventType.MEDIA_CREATED,
        video_id=item.video_id,
        index_id=item.index_id,
        payload={"title": item.title, "media_type": item.media_type.value},
    )


_ONE = select(media).where(
    media.c.video_id == bindparam("video_id"), media.c.owner_id == bindparam("owner_id")
)


def fetch(connection: Connection, owner_id: str, video_id: str) -> MediaItem:
    """Answer one media item of an owner, also while it is being deleted.

    Raises:
        NotFound: the owner has no such media item.
    """
    parameters = {"video_id": video_id, "owner_id": owner_id}
    row = connection.execute(_ONE, parameters).one_or_none()
    if row is None:
        raise unknown(video_id)
    return _item(row)


def fetch_open(connection: Connection, owner_id: str, video_id: str) -> MediaItem:
    """Answer a media item that takes new work.

    Raises:
        NotFound: the owner has no such media item.
        BeingDeleted: its deletion has begun.
    """
    return require_open(fetch(connection, owner_id, video_id))


def fetch_many(connection: Connection, owner_id: str, video_ids: Sequence[str]) -> list[MediaItem]:
    """Answer media items in the order asked for, each once.

    Raises:
        NotFound: names the first one that the owner does not have.
    """
    found = fetch_known(connection, owner_id, video_ids)
    known = {item.video_id for item in found}
    for video_id in video_ids:
        if video_id not in known:
            raise unknown(video_id)
    return found


def fetch_known(connection: Connection, owner_id: str, video_ids: Sequence[str]) -> list[MediaItem]:
    """Answer the media items that the owner has, in the order asked for, each once."""
    statement = select(media).where(media.c.video_id.in_(video_ids), media.c.owner_id == owner_id)
    found = {row.video_id: _item(row) for row in connection.execute(statement)}
    return [found[video_id] for video_id in dict.fromkeys(video_ids) if video_id in found]


def of_index(
    connection: Connection, owner_id: str, index_id: str | None, wanted: Slice
) -> Page[MediaItem]:
    """Answer a page of the media of an index (None: the playground), newest first.

    Those being deleted are left out.
    """
    statement = (
        select(media)
        .where(_within(owner_id, index_id), media.c.deletion_id.is_(None))
        .order_by(media.c.video_id.desc())
    )
    if wanted.after is not None:
        statement = statement.where(media.c.video_id < wanted.after[0])
    return page(
        connection, statement, wanted, item=_item, position=lambda row: (str(row.video_id),)
    )


def all_of_index(connection: Connection, owner_id: str, index_id: str | None) -> list[MediaItem]:
    """Answer all media of an index (None: the playground), oldest first; in deletion or not."""
    statement = select(media).where(_within(owner_id, index_id)).order_by(media.c.video_id)
    return [_item(row) for row in connection.execute(statement)]


def eligible(connection: Connection, owner_id: str, target: Target) -> list[MediaItem]:
    """Answer the media items that a target covers; each once, in a stable order.

    An index or the playground leaves out what is being deleted; a media item that is named refuses.

    Raises:
        NotFound: names the index or media item that the owner does not have.
        BeingDeleted: names what takes no new work.
        Invalid: a named media item is not in the index that the target names.
        EmptyTarget: nothing is left that a run could cover.
    """
    if target.index_id is not None:
        indexes.fetch_open(connection, owner_id, target.index_id)
    if target.type is TargetType.VIDEOS:
        return _named(connection, owner_id, target)
    items = all_of_index(connection, owner_id, target.index_id)
    found = [item for item in items if item.deletion_id is None]
    if not found:
        place = f"Index {target.index_id}" if target.index_id else "The playground"
        raise EmptyTarget(f"{place} holds no media; upload some first.")
    return found


def _named(connection: Connection, owner_id: str, target: Target) -> list[MediaItem]:
    found = fetch_many(connection, owner_id, target.video_ids)
    for item in found:
        require_open(item)
        if target.index_id is not None and item.index_id != target.index_id:
            raise Invalid.field(
                "target.video_ids", f"{item.video_id} is not in index {target.index_id}"
            )
    return found


def set_status(tx: Transaction, video_ids: Sequence[str], status: MediaStatus) -> None:
    """Note how far the latest run over these media items has come."""
    tx.execute(
        update(media)
        .where(media.c.video_id.in_(video_ids))
        .values(status=status, updated_at=tx.now)
    )


def set_metadata_keys(tx: Transaction, video_id: str, keys: Sequence[str]) -> None:
    """Note which fields runs have found in a media item."""
    tx.execute(
        update(media)
        .where(media.c.video_id == video_id)
        .values(metadata_keys=list(keys), updated_at=tx.now)
    )


def mark_deleting(tx: Transaction, video_ids: Sequence[str], deletion_id: str) -> None:
    """Refuse new work on media items from now on."""
    tx.execute(update(media).where(media.c.video_id.in_(video_ids)).values(deletion_id=deletion_id))


def with_deletion(connection: Connection, deletion_id: str) -> list[MediaItem]:
    """Answer the media items that a deletion removes, oldest first."""
    statement = select(media).where(media.c.deletion_id == deletion_id).order_by(media.c.video_id)
    return [_item(row) for row in connection.execute(statement)]


def existing(connection: Connection, video_ids: Sequence[str]) -> set[str]:
    """Answer which of these media items there are, of any owner."""
    statement = select(media.c.video_id).where(media.c.video_id.in_(video_ids))
    return set(connection.execute(statement).scalars())


def blobs_in_use(connection: Connection, sha256s: Sequence[str]) -> set[str]:
    """Answer on which of these bytes a media item stands, of any owner."""
    statement = select(media.c.sha256).where(media.c.sha256.in_(sha256s)).distinct()
    return set(connection.execute(statement).scalars())


def being_deleted(connection: Connection, video_ids: Sequence[str]) -> set[str]:
    """Answer which of these media items take no new work."""
    statement = select(media.c.video_id).where(
        media.c.video_id.in_(video_ids), media.c.deletion_id.is_not(None)
    )
    return set(connection.execute(statement).scalars())


def remove(tx: Transaction, video_id: str) -> None:
    """Remove the row of a media item."""
    tx.execute(delete(media).where(media.c.video_id == video_id))


def blob_uses(connection: Connection, sha256: str) -> int:
    """Count the media items, of any owner, that stand on these bytes."""
    statement = select(func.count()).select_from(media).where(media.c.sha256 == sha256)
    return int(connection.execute(statement).scalar() or 0)


@dataclass(frozen=True, kw_only=True)
class Used:
    """What an owner keeps."""

    items: int
    bytes: int
    """Bytes uploaded twice are counted once."""


def used(connection: Connection, owner_id: str) -> Used:
    """Add up what the media of an owner take."""
    each = select(
        media.c.sha256,
        func.max(media.c.size_bytes).label("size"),
        func.count().label("times"),
    )
    once = each.where(media.c.owner_id == owner_id).group_by(media.c.sha256).subquery()
    row = connection.execute(select(func.sum(once.c.size), func.sum(once.c.times))).one()
    return Used(items=int(row[1] or 0), bytes=int(row[0] or 0))


def require_open(item: MediaItem) -> MediaItem:
    """Answer the item itself.

    Raises:
        BeingDeleted: its deletion has begun.
    """
    if item.deletion_id is not None:
        raise BeingDeleted(
            f"Media item {item.video_id} is being deleted and takes no new work; leave it out.",
            details={"video_id": item.video_id, "deletion_id": item.deletion_id},
        )
    return item


def unknown(video_id: str) -> NotFound:
    """Make the error that names a media item which the owner does not have."""
    return NotFound(
        f"No media item {video_id}; list an index or the playground to see which there are.",
        details={"video_id": video_id},
    )


def _within(owner_id: str, index_id: str | None) -> ColumnElement[bool]:
    place = media.c.index_id.is_(None) if index_id is None else media.c.index_id == index_id
    return (media.c.owner_id == owner_id) & place


def _item(row: Row[Any]) -> MediaItem:
    return MediaItem(
        video_id=row.video_id,
        owner_id=row.owner_id,
        index_id=row.index_id,
        title=row.title,
        source_uri=row.source_uri,
        status=row.status,
        sha256=row.sha256,
        size_bytes=row.size_bytes,
        facts=media_facts.from_json(row.facts),
        created_at=row.created_at,
        updated_at=row.updated_at,
        metadata_keys=tuple(row.metadata_keys),
        deletion_id=row.deletion_id,
    )


def standing_on(connection: Connection, sha256: str) -> list[str]:
    """Answer the ids of the media items that stand on these bytes."""
    statement = select(media.c.video_id).where(media.c.sha256 == sha256).order_by(media.c.video_id)
    return list(connection.execute(statement).scalars())


def all_sha256(connection: Connection) -> set[str]:
    """Answer the hashes of all bytes that some media item stands on."""
    return set(connection.execute(select(media.c.sha256).distinct()).scalars())
