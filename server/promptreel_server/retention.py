"""Removes what has been kept long enough, in small steps, while the server runs."""

import asyncio
from dataclasses import dataclass
from datetime import timedelta

from promptreel_server.concurrency.supervision import unbroken
from promptreel_server.store import feed
from promptreel_server.store.access import idempotency
from promptreel_server.store.database.database import Database
from promptreel_server.store.schema.transaction import Transaction

EVERY_SECONDS = 60.0
STEP = 1000
"""Rows removed in one transaction: others wait for the writer no longer than that takes."""


@dataclass(frozen=True, kw_only=True)
class Kept:
    """How long events and idempotency keys are kept, and how many events at the most."""

    events_for: timedelta
    events_most: int
    keys_for: timedelta


async def run(database: Database, kept: Kept) -> None:
    """Remove what is too old or too much, again and again, until cancelled."""
    while True:
        await asyncio.sleep(EVERY_SECONDS)
        removed = STEP
        with unbroken("upkeep"):
            while removed >= STEP:
                removed = await database.write(lambda tx: _step(tx, kept))


def _step(tx: Transaction, kept: Kept) -> int:
    """Remove one step's worth; answers how many rows went."""
    events = feed.prune(tx, tx.now - kept.events_for, keep=kept.events_most, most=STEP)
    keys = idempotency.prune(tx, tx.now - kept.keys_for, most=STEP)
    return max(events, keys)
