"""Who calls: keys looked up by their digest, and remembered for a few seconds."""

import asyncio
import time
from datetime import datetime

from promptreel_server.concurrency.supervision import unbroken
from promptreel_server.domain.key import ApiKey
from promptreel_server.errors import Unauthenticated
from promptreel_server.store.access import api_keys
from promptreel_server.store.database.database import Database

REMEMBERED_SECONDS = 5.0
"""How long a key that was revoked by another process may still be let in."""
NOTED_EVERY_SECONDS = 30.0
_MOST_REMEMBERED = 10_000
_LONGEST_SECRET = 512


class KeyRing:
    """Turns the secret that comes with a call into the key that it belongs to."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._known: dict[str, tuple[float, ApiKey]] = {}
        self._used: dict[str, datetime] = {}

    async def authenticate(self, secret: str | None) -> ApiKey:
        """Answer the key of a caller and note that it was used.

        Raises:
            Unauthenticated: no key, or an unknown, revoked or expired one.
        """
        if not secret:
            raise Unauthenticated("No API key; send one as X-API-Key, or as Authorization: Bearer.")
        if len(secret) > _LONGEST_SECRET:
            raise _refused()
        digest = api_keys.digest(secret)
        known = self._known.get(digest)
        if known is None or known[0] < time.monotonic():
            key = await self._look_up(digest)
        else:
            key = known[1]
        now = self._database.clock()
        if key.revoked_at is not None or (key.expires_at is not None and key.expires_at <= now):
            raise _refused()
        self._used[key.key_id] = now
        return key

    def forget(self) -> None:
        """Look every key up anew: one was changed."""
        self._known.clear()

    async def note_uses(self) -> None:
        """Write now and then when keys were used last; runs until it is cancelled."""
        try:
            while True:
                await asyncio.sleep(NOTED_EVERY_SECONDS)
                await self._flush()
        finally:
            await asyncio.shield(self._flush())

    async def _flush(self) -> None:
        with unbroken("noting when keys were used"):
            await self.flush()

    async def flush(self) -> None:
        """Write when keys were used last."""
        used, self._used = self._used, {}
        if used:
            await self._database.write(lambda tx: api_keys.touch(tx, used))

    async def _look_up(self, digest: str) -> ApiKey:
        key = await self._database.read(lambda c: api_keys.fetch_by_hash(c, digest))
        if key is None:
            raise _refused()
        if len(self._known) >= _MOST_REMEMBERED:
            self._known.clear()
        self._known[digest] = (time.monotonic() + REMEMBERED_SECONDS, key)
        return key


def _refused() -> Unauthenticated:
    return Unauthenticated("The API key is unknown, revoked or expired; use another one.")
