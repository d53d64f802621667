"""API keys as messages."""

from datetime import datetime

from promptreel.v2 import api_key_pb2, enums_pb2
from promptreel_server.domain.key import ApiKey, Scope
from promptreel_server.services.messages.enums import names
from promptreel_server.services.messages.timestamps import maybe_timestamp, timestamp

SCOPE = names(Scope, enums_pb2.Scope.Value)


def api_key(key: ApiKey, now: datetime, secret: str | None = None) -> api_key_pb2.ApiKey:
    """Make the message of a key; its secret is known only while it is being made."""
    expired = key.expires_at is not None and key.expires_at <= now
    return api_key_pb2.ApiKey(
        key_id=key.key_id,
        key_prefix=key.prefix,
        name=key.name,
        scopes=[SCOPE.number(key.scope)],
        created_at=timestamp(key.created_at),
        last_used_at=maybe_timestamp(key.last_used_at),
        revoked_at=maybe_timestamp(key.revoked_at),
        expires_at=maybe_timestamp(key.expires_at),
        is_active=key.revoked_at is None and not expired,
        key=secret,
    )
