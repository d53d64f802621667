"""ApiKeyService: keys are made, listed, rotated and revoked by their owner."""

from datetime import datetime, timedelta
from typing import Any

import grpc

from promptreel.v2 import api_key_pb2, api_key_pb2_grpc
from promptreel_server.domain import texts
from promptreel_server.domain.key import ApiKey, Scope
from promptreel_server.errors import Conflict, Invalid
from promptreel_server.services.call.context import current_call
from promptreel_server.services.call.idempotency import once
from promptreel_server.services.call.key_cache import KeyRing
from promptreel_server.services.messages import api_keys as messages
from promptreel_server.store.access import api_keys
from promptreel_server.store.database.database import Database
from promptreel_server.store.schema.transaction import Transaction

Context = grpc.aio.ServicerContext[Any, Any]

LONGEST_NAME = 100
MOST_DAYS = 365


class ApiKeyService(api_key_pb2_grpc.ApiKeyServiceServicer):
    """Keeps keys by their hash; a secret is in the answer that makes it and nowhere else."""

    def __init__(self, database: Database, ring: KeyRing) -> None:
        self._database = database
        self._ring = ring

    async def CreateApiKey(
        self, request: api_key_pb2.CreateApiKeyRequest, context: Context
    ) -> api_key_pb2.ApiKey:
        """Make a key and show its secret once."""
        owner = current_call().owner_id
        name, scope, lifetime = _asked(request)

        def act(tx: Transaction) -> api_key_pb2.ApiKey:
            secret = api_keys.new_secret()
            key = api_keys.create(
                tx,
                owner_id=owner,
                name=name,
                scope=scope,
                secret=secret,
                expires_at=None if lifetime is None else tx.now + lifetime,
            )
            return messages.api_key(key, tx.now, secret)

        return await once(
            self._database, "CreateApiKey", request, act, api_key_pb2.ApiKey, kept=_without_secret
        )

    async def ListApiKeys(
        self, request: api_key_pb2.ListApiKeysRequest, context: Context
    ) -> api_key_pb2.ListApiKeysResponse:
        """Answer the keys of the caller, revoked ones too."""
        owner, now = current_call().owner_id, self._database.clock()
        found = await self._database.read(lambda c: api_keys.list_keys(c, owner))
        return api_key_pb2.ListApiKeysResponse(data=[messages.api_key(key, now) for key in found])

    async def GetApiKey(
        self, request: api_key_pb2.GetApiKeyRequest, context: Context
    ) -> api_key_pb2.ApiKey:
        """Answer one key without its secret."""
        owner = current_call().owner_id
        found = await self._database.read(lambda c: api_keys.fetch(c, owner, request.key_id))
        return messages.api_key(found, self._database.clock())

    async def RevokeApiKey(
        self, request: api_key_pb2.RevokeApiKeyRequest, context: Context
    ) -> api_key_pb2.ApiKey:
        """End a key for good; it stays listed."""
        owner = current_call().owner_id

        def act(tx: Transaction) -> api_key_pb2.ApiKey:
            _keep_an_admin(tx, owner, request.key_id)
            return messages.api_key(api_keys.revoke(tx, owner, request.key_id), tx.now)

        answer = await once(self._database, "RevokeApiKey", request, act, api_key_pb2.ApiKey)
        self._ring.forget()
        return answer

    async def RotateApiKey(
        self, request: api_key_pb2.RotateApiKeyRequest, context: Context
    ) -> api_key_pb2.RotateApiKeyResponse:
        """Make a key like another one and end that one."""
        owner = current_call().owner_id

        def act(tx: Transaction) -> api_key_pb2.RotateApiKeyResponse:
            old = _living(api_keys.fetch(tx.connection, owner, request.key_id), tx.now)
            secret = api_keys.new_secret()
            new = api_keys.create(
                tx,
                owner_id=owner,
                name=old.name,
                scope=old.scope,
                secret=secret,
                expires_at=old.expires_at,
            )
            api_keys.revoke(tx, owner, old.key_id)
            return api_key_pb2.RotateApiKeyResponse(
                old_key_id=old.key_id, new_key=messages.api_key(new, tx.now, secret)
            )

        answer = await once(
            self._database,
            "RotateApiKey",
            request,
            act,
            api_key_pb2.RotateApiKeyResponse,
            kept=_rotated_without_secret,
        )
        self._ring.forget()
        return answer

    async def DeleteApiKey(
        self, request: api_key_pb2.DeleteApiKeyRequest, context: Context
    ) -> api_key_pb2.DeleteApiKeyResponse:
        """End a key and take it off the list."""
        owner = current_call().owner_id

        def act(tx: Transaction) -> api_key_pb2.DeleteApiKeyResponse:
            _keep_an_admin(tx, owner, request.key_id)
            api_keys.remove(tx, owner, request.key_id)
            return api_key_pb2.DeleteApiKeyResponse(message=f"API key {request.key_id} is deleted.")

        answer = await once(
            self._database, "DeleteApiKey", request, act, api_key_pb2.DeleteApiKeyResponse
        )
        self._ring.forget()
        return answer


def _asked(request: api_key_pb2.CreateApiKeyRequest) -> tuple[str, Scope, timedelta | None]:
    texts.require("name", request.name, 1, LONGEST_NAME)
    named = [messages.SCOPE.member(number, "scopes") for number in request.scopes]
    if not request.HasField("expires_in_days"):
        return request.name, max(named, default=Scope.READ), None
    if not 1 <= request.expires_in_days <= MOST_DAYS:
        raise Invalid.field("expires_in_days", f"must be from 1 to {MOST_DAYS}")
    return request.name, max(named, default=Scope.READ), timedelta(days=request.expires_in_days)


def _alive(key: ApiKey, now: datetime) -> bool:
    return key.revoked_at is None and (key.expires_at is None or key.expires_at > now)


def _living(key: ApiKey, now: datetime) -> ApiKey:
    if not _alive(key, now):
        raise Conflict(f"API key {key.key_id} is revoked or expired; create a new one.")
    return key


def _keep_an_admin(tx: Transaction, owner: str, key_id: str) -> None:
    """Refuse to end the last key that can manage keys: nobody could ever come back in."""
    admins = [
        key.key_id
        for key in api_keys.list_keys(tx.connection, owner)
        if key.scope is Scope.ADMIN and _alive(key, tx.now)
    ]
    if admins == [key_id]:
        raise Conflict(f"{key_id} is the last admin key; create another one first.")


def _without_secret(key: api_key_pb2.ApiKey) -> api_key_pb2.ApiKey:
    kept = api_key_pb2.ApiKey()
    kept.CopyFrom(key)
    kept.ClearField("key")
    return kept


def _rotated_without_secret(
    answer: api_key_pb2.RotateApiKeyResponse,
) -> api_key_pb2.RotateApiKeyResponse:
    return api_key_pb2.RotateApiKeyResponse(
        old_key_id=answer.old_key_id, new_key=_without_secret(answer.new_key)
    )
