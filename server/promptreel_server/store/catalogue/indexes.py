"""Indexes: named collections of media items."""

from typing import Any

from sqlalchemy import Connection, Row, delete, insert, select, update

from promptreel_server.domain.ids import INDEX, new_id
from promptreel_server.domain.index import Index
from promptreel_server.domain.page import Page, Slice
from promptreel_server.errors import BeingDeleted, NotFound
from promptreel_server.store.schema.keyset_paging import page
from promptreel_server.store.schema.tables import indexes
from promptreel_server.store.schema.transaction import Transaction


def create(tx: Transaction, owner_id: str, name: str) -> Index:
    """Keep a new, empty index."""
    index = Index(index_id=new_id(INDEX), owner_id=owner_id, name=name, created_at=tx.now)
    tx.execute(
        insert(indexes).values(
            index_id=index.index_id, owner_id=owner_id, name=name, created_at=index.created_at
        )
    )
    return index


def fetch(connection: Connection, owner_id: str, index_id: str) -> Index:
    """Answer one index of an owner, also while it is being deleted.

    Raises:
        NotFound: the owner has no such index.
    """
    statement = select(indexes).where(
        indexes.c.index_id == index_id, indexes.c.owner_id == owner_id
    )
    row = connection.execute(statement).one_or_none()
    if row is None:
        raise NotFound(
            f"No index {index_id}; list the indexes to see which there are.",
            details={"index_id": index_id},
        )
    return _index(row)


def fetch_open(connection: Connection, owner_id: str, index_id: str) -> Index:
    """Answer an index that takes new work.

    Raises:
        NotFound: the owner has no such index.
        BeingDeleted: its deletion has begun.
    """
    index = fetch(connection, owner_id, index_id)
    if index.deletion_id is not None:
        raise BeingDeleted(
            f"Index {index_id} is being deleted and takes no new work; use another one.",
            details={"index_id": index_id, "deletion_id": index.deletion_id},
        )
    return index


def list_indexes(connection: Connection, owner_id: str, wanted: Slice) -> Page[Index]:
    """Answer a page of an owner's indexes, oldest first, without those being deleted."""
    statement = (
        select(indexes)
        .where(indexes.c.owner_id == owner_id, indexes.c.deletion_id.is_(None))
        .order_by(indexes.c.index_id)
    )
    if wanted.after is not None:
        statement = statement.where(indexes.c.index_id > wanted.after[0])
    return page(
        connection, statement, wanted, item=_index, position=lambda row: (str(row.index_id),)
    )


def mark_deleting(tx: Transaction, index_id: str, deletion_id: str) -> None:
    """Refuse new work on an index from now on."""
    tx.execute(
        update(indexes).where(indexes.c.index_id == index_id).values(deletion_id=deletion_id)
    )


def remove(tx: Transaction, index_id: str) -> None:
    """Remove the row of an index that holds nothing any more."""
    tx.execute(delete(indexes).where(indexes.c.index_id == index_id))


def _index(row: Row[Any]) -> Index:
    return Index(
        index_id=row.index_id,
        owner_id=row.owner_id,
        name=row.name,
        created_at=row.created_at,
        description=row.description,
        sort_order=row.sort_order,
        is_default=row.is_default,
        deletion_id=row.deletion_id,
    )
