"""Deletions: the durable removal of an index or a media item."""

from typing import Any

from sqlalchemy import Connection, Row, insert, select, update

from promptreel_server.domain.ids import DELETION, new_id
from promptreel_server.domain.index import Deletion, DeletionStatus
from promptreel_server.errors import NotFound
from promptreel_server.store.catalogue import indexes, media
from promptreel_server.store.schema.tables import deletions
from promptreel_server.store.schema.transaction import Transaction


def request_index(tx: Transaction, owner_id: str, index_id: str) -> Deletion:
    """Begin to delete an index with all its media, or answer the deletion that has begun.

    Raises:
        NotFound: the owner has no such index.
    """
    existing = _find(tx.connection, owner_id, index_id)
    if existing is not None:
        return existing
    indexes.fetch(tx.connection, owner_id, index_id)
    deletion = _begin(tx, owner_id, index_id)
    indexes.mark_deleting(tx, index_id, deletion.deletion_id)
    for item in media.all_of_index(tx.connection, owner_id, index_id):
        if item.deletion_id is None:
            media.mark_deleting(tx, [item.video_id], deletion.deletion_id)
    return deletion


def request_video(tx: Transaction, owner_id: str, video_id: str) -> Deletion:
    """Begin to delete a media item, or answer the deletion that has begun.

    Raises:
        NotFound: the owner has no such media item.
    """
    existing = _find(tx.connection, owner_id, video_id)
    if existing is not None:
        return existing
    item = media.fetch(tx.connection, owner_id, video_id)
    if item.deletion_id is not None:
        return fetch(tx.connection, owner_id, item.index_id or video_id)
    deletion = _begin(tx, owner_id, video_id)
    media.mark_deleting(tx, [video_id], deletion.deletion_id)
    return deletion


def fetch(connection: Connection, owner_id: str, subject_id: str) -> Deletion:
    """Answer the deletion of an index or a media item, also after it is done.

    Raises:
        NotFound: the owner never asked to delete this.
    """
    found = _find(connection, owner_id, subject_id)
    if found is None:
        raise NotFound(
            f"{subject_id} is not being deleted; ask for its deletion first.",
            details={"id": subject_id},
        )
    return found


def of_video(connection: Connection, owner_id: str, video_id: str) -> Deletion:
    """Answer the deletion of a media item, its own or that of the index it is in.

    Raises:
        NotFound: the owner never asked to delete this.
    """
    found = _find(connection, owner_id, video_id)
    if found is not None:
        return found
    item = media.fetch(connection, owner_id, video_id)
    subject = item.index_id if item.deletion_id and item.index_id else video_id
    return fetch(connection, owner_id, subject)


def unfinished(connection: Connection) -> list[Deletion]:
    """Answer the deletions of all owners that have not ended, oldest first."""
    statement = (
        select(deletions)
        .where(deletions.c.status != DeletionStatus.DELETED)
        .order_by(deletions.c.deletion_id)
    )
    return [_deletion(row) for row in connection.execute(statement)]


def advance(tx: Transaction, deletion_id: str, status: DeletionStatus) -> None:
    """Note how far a deletion has come."""
    values: dict[str, Any] = {"status": status}
    if status is DeletionStatus.DELETED:
        values["completed_at"] = tx.now
    tx.execute(update(deletions).where(deletions.c.deletion_id == deletion_id).values(**values))


def _begin(tx: Transaction, owner_id: str, subject_id: str) -> Deletion:
    deletion = Deletion(
        deletion_id=new_id(DELETION),
        owner_id=owner_id,
        subject_id=subject_id,
        status=DeletionStatus.DRAINING,
        requested_at=tx.now,
    )
    tx.execute(
        insert(deletions).values(
            deletion_id=deletion.deletion_id,
            owner_id=owner_id,
            subject_id=subject_id,
            status=deletion.status,
            requested_at=deletion.requested_at,
        )
    )
    return deletion


def _find(connection: Connection, owner_id: str, subject_id: str) -> Deletion | None:
    statement = select(deletions).where(
        deletions.c.subject_id == subject_id, deletions.c.owner_id == owner_id
    )
    row = connection.execute(statement).one_or_none()
    return None if row is None else _deletion(row)


def _deletion(row: Row[Any]) -> Deletion:
    return Deletion(**row._mapping)
