"""Indexes: named collections of media items."""

from dataclasses import dataclass
from datetime import datetime
from enum import Enum


@dataclass(frozen=True, kw_only=True)
class Index:
    """A named collection of media items of one owner."""

    index_id: str
    owner_id: str
    name: str
    created_at: datetime
    description: str | None = None
    sort_order: int | None = None
    is_default: bool = False
    deletion_id: str | None = None


class DeletionStatus(Enum):
    """How far the deletion of an index or a media item has come."""

    DRAINING = "draining"
    """New work is refused; segments in hand end."""
    DELETING = "deleting"
    """Rows and bytes are being removed."""
    DELETED = "deleted"
    """Nothing is left: terminal."""


@dataclass(frozen=True, kw_only=True)
class Deletion:
    """The durable removal of an index or a media item."""

    deletion_id: str
    owner_id: str
    subject_id: str
    status: DeletionStatus
    requested_at: datetime
    completed_at: datetime | None = None
