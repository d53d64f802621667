"""API keys: who calls, and how far the caller may reach."""

from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum


class Scope(IntEnum):
    """What a key may do; a higher one may do all that a lower one may."""

    SEARCH = 1
    READ = 2
    WRITE = 3
    ADMIN = 4


@dataclass(frozen=True, kw_only=True)
class ApiKey:
    """A key as it is stored: its hash, never itself."""

    key_id: str
    owner_id: str
    name: str
    prefix: str
    """The first characters, to recognise it by."""
    scope: Scope
    created_at: datetime
    expires_at: datetime | None = None
    revoked_at: datetime | None = None
    last_used_at: datetime | None = None
