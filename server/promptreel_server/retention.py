"""Removes what has been kept long enough, in small steps, while the server runs."""

import asyncio
import logging
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial

from promptreel_server.concurrency.supervision import unbroken
from promptreel_server.store import feed
from promptreel_server.store.access import idempotency
from promptreel_server.store.database.database import Database
from promptreel_server.store.runs import listing_audit
from promptreel_server.store.schema.transaction import Transaction

log = logging.getLogger(__name__)

EVERY_SECONDS = 60.0
OVERLAP = timedelta(minutes=5)
"""What is audited twice: a run may be committed a while after the instant that it ended at."""
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
    looked_at = database.clock()
    while True:
        await asyncio.sleep(EVERY_SECONDS)
        removed = STEP
        with unbroken("upkeep"):
            while removed >= STEP:
                removed = await database.write(lambda tx: _step(tx, kept))
        with unbroken("the audit of runs that ended"):
            since, looked_at = looked_at, database.clock()
            await audit(database, since - OVERLAP)


async def audit(database: Database, since: datetime) -> None:
    """Compare what runs that ended lately list with what they count; log differences."""
    for one in await database.read_snapshot(partial(listing_audit.unlisted, ended_since=since)):
        log.error(
            "run %s counts segments of %s that no page lists: %d without times, %d without a row; "
            "stop the server and run `promptreel doctor --repair`",
            *(one.run_id, one.video_id, one.segments, one.missing),
        )


def _step(tx: Transaction, kept: Kept) -> int:
    """Remove one step's worth; answers how many rows went."""
    events = feed.prune(tx, tx.now - kept.events_for, keep=kept.events_most, most=STEP)
    keys = idempotency.prune(tx, tx.now - kept.keys_for, most=STEP)
    return max(events, keys)
