"""API keys: who calls, and how far the caller may reach."""

from dataclasses import dataclass
from datetime import datetime

from promptreel_client.model.words import Scope


@dataclass(frozen=True, kw_only=True, slots=True)
class ApiKey:
    """Who calls, and how far the caller may reach."""

    key_id: str
    """Names the API key."""
    key_prefix: str
    """Its first characters, to recognise it by."""
    name: str
    """What people call it."""
    scopes: tuple[Scope, ...] = ()
    """How far it reaches, the farthest first and all that this one includes after it."""
    created_at: datetime
    """When it was made."""
    last_used_at: datetime | None = None
    """When it was last used, to the minute. None: never."""
    revoked_at: datetime | None = None
    """When it was revoked. None: it was not."""
    expires_at: datetime | None = None
    """When it expires. None: never."""
    is_active: bool
    """Whether it is neither revoked nor expired."""
    key: str | None = None
    """The secret (`sk_…`). None everywhere but in the answer that made the key."""


@dataclass(frozen=True, kw_only=True, slots=True)
class RotatedApiKey:
    """What became of an API key that was rotated."""

    old_key_id: str
    """The API key that was revoked."""
    new_key: ApiKey
    """The one that takes its place, with its secret."""
