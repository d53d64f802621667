"""Idempotency: a write that is asked for twice with one key happens once."""

import asyncio
import hashlib
import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TypeVar

from google.protobuf.message import Message

from promptreel_server.errors import IdempotencyInFlight, IdempotencyKeyReused, Invalid
from promptreel_server.services.call.context import current_call
from promptreel_server.store.access import idempotency
from promptreel_server.store.access.idempotency import KeyUse, Remembered
from promptreel_server.store.database.database import Database
from promptreel_server.store.schema.transaction import Transaction

REPLAYED = ("idempotent-replayed", "true")
_KEY = re.compile(r"[!-~]{1,255}")

Answer = TypeVar("Answer", bound=Message)


def request_hash(*requests: Message) -> str:
    """Answer what tells one request from another; defaults must be filled in already."""
    digest = hashlib.sha256()
    for request in requests:
        data = request.SerializeToString(deterministic=True)
        digest.update(len(data).to_bytes(8, "big") + data)
    return digest.hexdigest()


def read_key(header: str | None) -> str | None:
    """Read the key that a call brings, with or without double quotes around it.

    Raises:
        Invalid: it is not 1 to 255 visible ASCII characters.
    """
    if header is None:
        return None
    key = header[1:-1] if len(header) > 1 and header[0] == header[-1] == '"' else header
    if not _KEY.fullmatch(key):
        raise Invalid.field("Idempotency-Key", "must be 1 to 255 visible ASCII characters")
    return key


def key_use(operation: str) -> KeyUse | None:
    """Answer the use of a key that the current call makes, None where it brings none."""
    call = current_call()
    key = call.idempotency_key
    return None if key is None else KeyUse(owner_id=call.owner_id, operation=operation, key=key)


async def once(
    database: Database,
    operation: str,
    request: Message,
    act: Callable[[Transaction], Answer],
    answer_type: type[Answer],
    *,
    kept: Callable[[Answer], Answer] | None = None,
) -> Answer:
    """Do a write that fits one transaction, or answer again what its key was answered.

    `act` and the memory of its answer share the transaction; a refusal leaves nothing. `kept`
    makes what is remembered from the answer, where that is not the whole of it.

    Raises:
        IdempotencyKeyReused: the key came with another request.
        IdempotencyInFlight: the first request with the key has not ended.
    """
    use = key_use(operation)
    if use is None:
        return await database.write(act)
    digest = request_hash(request)

    def change(tx: Transaction) -> tuple[Answer, bool]:
        found = idempotency.find(tx.connection, use)
        if found is not None:
            return replay(found, digest, answer_type), True
        answer = act(tx)
        memory = answer if kept is None else kept(answer)
        idempotency.remember(tx, use, digest, memory.SerializeToString())
        return answer, False

    answer, replayed = await database.write(change)
    if replayed:
        current_call().headers.append(REPLAYED)
    return answer


async def answered(
    database: Database, operation: str, request: Message, answer_type: type[Answer]
) -> Answer | None:
    """Answer again what the key of the current call was answered; None where it is new.

    Ask it ahead of checks whose outcome may be another by now, such as whether a file is there.

    Raises:
        IdempotencyKeyReused: the key came with another request.
        IdempotencyInFlight: the first request with the key has not ended.
    """
    use = key_use(operation)
    found = None if use is None else await database.read(lambda c: idempotency.find(c, use))
    if found is None:
        return None
    answer = replay(found, request_hash(request), answer_type)
    current_call().headers.append(REPLAYED)
    return answer


def replay(found: Remembered, digest: str, answer_type: type[Answer]) -> Answer:
    """Answer again what was remembered.

    Raises:
        IdempotencyKeyReused: it was remembered of another request.
        IdempotencyInFlight: there is no answer yet.
    """
    if found.answer is None:
        raise IdempotencyInFlight
    if found.request_hash != digest:
        raise IdempotencyKeyReused(
            "This Idempotency-Key came with another request before; use a new key."
        )
    return answer_type.FromString(found.answer)


@dataclass(kw_only=True)
class Held:
    """A key that is held for a request of more than one transaction; `use` is None without a key.

    `remembered` is what an earlier request with the key was answered.
    """

    database: Database
    use: KeyUse | None
    remembered: Remembered | None = None

    @property
    def used(self) -> bool:
        """Whether an earlier request came with the key."""
        return self.remembered is not None

    def complete(self, tx: Transaction, digest: str, answer: Message) -> None:
        """Remember the answer, in the transaction that makes it true."""
        if self.use is not None:
            idempotency.complete(tx, self.use, digest, answer.SerializeToString())

    def replay(self, digest: str, answer_type: type[Answer]) -> Answer | None:
        """Answer what was remembered, None where this request is the first with its key.

        Raises:
            IdempotencyKeyReused: it was remembered of another request.
        """
        if self.remembered is None:
            return None
        answer = replay(self.remembered, digest, answer_type)
        current_call().headers.append(REPLAYED)
        return answer


@asynccontextmanager
async def held(database: Database, operation: str) -> AsyncIterator[Held]:
    """Hold the key of the current call while its request is served; let go if that fails.

    A server that dies meanwhile leaves its reservation behind, which the next request takes over.

    Raises:
        IdempotencyInFlight: the first request with the key has not ended.
    """
    use = key_use(operation)
    if use is None:
        yield Held(database=database, use=None)
        return

    def reserve(tx: Transaction) -> Remembered | None:
        found = idempotency.find(tx.connection, use)
        if found is None:
            idempotency.reserve(tx, use)
        return None if found is None or found.answer is None else found

    def let_go(tx: Transaction) -> None:
        found = idempotency.find(tx.connection, use)
        if found is not None and found.answer is None:
            idempotency.forget(tx, use)

    name = f"request {use.owner_id} {use.operation} {use.key}"
    async with database.peers.hold(name) as alone:
        if not alone:
            raise IdempotencyInFlight
        remembered = await database.write(reserve)
        try:
            yield Held(database=database, use=use, remembered=remembered)
        except BaseException:
            if remembered is None:
                await asyncio.shield(database.write(let_go))
            raise
