"""API keys: who calls, and how far the caller may reach. All of it needs the scope `admin`."""

from collections.abc import Iterable

from promptreel.v2 import api_key_pb2 as pb
from promptreel.v2 import enums_pb2
from promptreel_client.call import Call, key_of, reading, reading_all, writing
from promptreel_client.model.api_keys import ApiKey, RotatedApiKey
from promptreel_client.requests.words import numbers


def create(
    name: str,
    *,
    scopes: Iterable[str] = (),
    expires_in_days: int | None = None,
    idempotency_key: str | None = None,
) -> Call[ApiKey]:
    """Make an API key; its secret is in the answer and never again.

    Args:
        name: What people call it: 1 to 100 characters.
        scopes: Words of `Scope`; the farthest counts. Empty: `read`.
        expires_in_days: Days until it expires, 1 to 365. None: never.
        idempotency_key: Asked again with the same key, the same is answered, without the secret.
    """
    request = pb.CreateApiKeyRequest(
        name=name,
        scopes=numbers(enums_pb2.Scope.Value, scopes, "scopes"),
        expires_in_days=expires_in_days,
    )
    return writing(request, ApiKey, idempotency_key)


def list_all() -> Call[tuple[ApiKey, ...]]:
    """List the caller's API keys, revoked ones too, newest first."""
    return reading_all(pb.ListApiKeysRequest(), ApiKey)


def retrieve(key_id: str) -> Call[ApiKey]:
    """Answer one API key without its secret.

    Raises:
        NotFoundError: there is no such key.
    """
    return reading(pb.GetApiKeyRequest(key_id=key_id), ApiKey)


def revoke(key_id: str, *, idempotency_key: str | None = None) -> Call[ApiKey]:
    """Revoke an API key at once and for good; it stays listed.

    Raises:
        NotFoundError: there is no such key.
        ConflictError: it is the owner's last admin key.
    """
    return writing(pb.RevokeApiKeyRequest(key_id=key_id), ApiKey, idempotency_key)


def rotate(key_id: str, *, idempotency_key: str | None = None) -> Call[RotatedApiKey]:
    """Make an API key like another one, and revoke that one.

    Raises:
        NotFoundError: there is no such key.
        ConflictError: it is revoked or expired.
    """
    return writing(pb.RotateApiKeyRequest(key_id=key_id), RotatedApiKey, idempotency_key)


def delete(key_id: str, *, idempotency_key: str | None = None) -> Call[str]:
    """Revoke an API key and take it off the list; answers that it was, as a sentence.

    Raises:
        NotFoundError: there is no such key.
        ConflictError: it is the owner's last admin key.
    """

    def read(answer: pb.DeleteApiKeyResponse) -> str:
        return answer.message

    request = pb.DeleteApiKeyRequest(key_id=key_id)
    return Call(request=request, read=read, idempotency_key=key_of(idempotency_key))
