"""Indexes: named collections of media items."""

from dataclasses import dataclass
from datetime import datetime

from promptreel_client.model.words import DeletionStatus


@dataclass(frozen=True, kw_only=True, slots=True)
class Index:
    """A named collection of media items of one owner."""

    index_id: str
    """Names the index."""
    name: str
    """What people call it."""
    user_id: str
    """Its owner."""
    created_at: datetime
    """When it was created."""
    description: str | None = None
    """What it is for. None: nobody said."""
    sort_order: int | None = None
    """Where it stands among the owner's indexes, lowest first. None: after those that have one."""
    is_default: bool
    """Whether it ships with the server."""


@dataclass(frozen=True, kw_only=True, slots=True)
class IndexDeletion:
    """The durable removal of an index with its media."""

    index_id: str
    """The index."""
    deletion_id: str
    """Names the deletion; asking again answers the same one."""
    status: DeletionStatus
    """How far it has come."""
    retry_after_seconds: int | None = None
    """Whole seconds, at least 1, after which to ask again. None: it is done."""
