"""Deletion: durable, taken up again after a crash, and nothing is left of what was deleted."""

import asyncio
import logging
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import asynccontextmanager
from functools import partial
from itertools import islice

from promptreel_server.concurrency.supervision import unbroken, woken
from promptreel_server.domain.index import Deletion, DeletionStatus
from promptreel_server.domain.media import MediaItem
from promptreel_server.engine.dispatch.stop_flags import Stops
from promptreel_server.media.blobs import BlobStore
from promptreel_server.media.frames.thumbnails import Thumbnails
from promptreel_server.store.catalogue import indexes, media
from promptreel_server.store.database.cluster import waited_for
from promptreel_server.store.database.database import Database
from promptreel_server.store.deletion import deletions, media_removal
from promptreel_server.store.schema.transaction import Transaction

log = logging.getLogger(__name__)

ROWS_A_STEP = 2000
"""Rows of one table that a transaction removes: others get to write in between."""
LOOK_EVERY = 0.2
"""Seconds between looks whether work in hand has ended."""
LOOK_AGAIN = 30.0
"""Seconds between looks for deletions that nobody told of."""
AGAIN_AFTER = 5.0
"""Seconds until a deletion that broke is tried again."""


class Deleter:
    """Carries out the deletions that are stored, oldest first."""

    def __init__(
        self, database: Database, blobs: BlobStore, thumbnails: Thumbnails, stops: Stops
    ) -> None:
        self._database = database
        self._blobs = blobs
        self._thumbnails = thumbnails
        self._stops = stops
        self._wake = asyncio.Event()

    def wake(self) -> None:
        """Look for deletions to carry out."""
        self._wake.set()

    async def run(self) -> None:
        """Carry out deletions, those of an earlier process first; runs until cancelled."""
        busy: set[str] = set()
        async with asyncio.TaskGroup() as tasks:
            while True:
                self._wake.clear()
                with unbroken("looking for deletions"):
                    for deletion in await self._database.read(deletions.unfinished):
                        if deletion.deletion_id not in busy:
                            busy.add(deletion.deletion_id)
                            tasks.create_task(self._perform(deletion, busy))
                await woken(self._wake, LOOK_AGAIN)

    async def _perform(self, deletion: Deletion, busy: set[str]) -> None:
        try:
            async with self._database.peers.hold(f"deletion {deletion.deletion_id}") as held:
                if held:  # else another server is at it
                    await self.carry_out(deletion)
        except Exception:
            log.exception("deletion %s broke; it is tried again", deletion.deletion_id)
            await asyncio.sleep(AGAIN_AFTER)
            self.wake()
        finally:
            busy.discard(deletion.deletion_id)

    async def carry_out(self, deletion: Deletion) -> None:
        """Let work in hand end, then remove rows and bytes; does what is left, however often."""
        items = await self._database.read(lambda c: media.with_deletion(c, deletion.deletion_id))
        for item in items:  # all at once: else the last ones are worked on while the first end
            await self._database.write(partial(media_removal.give_up, video_id=item.video_id))
        for item in items:
            await self._let_go(item)
        await self._advance(deletion, DeletionStatus.DELETING)
        for item in items:
            await self._remove(item)

        def end(tx: Transaction) -> None:
            indexes.remove(tx, deletion.subject_id)
            deletions.advance(tx, deletion.deletion_id, DeletionStatus.DELETED)

        await self._database.write(end)

    async def _let_go(self, item: MediaItem) -> None:
        """Wait until no run and no retry works on a media item."""
        while await self._database.read(lambda c: media_removal.in_hand(c, item.video_id)):
            self._stops.stop_media(item.video_id)
            await asyncio.sleep(LOOK_EVERY)

    async def _remove(self, item: MediaItem) -> None:
        left = True
        while left:
            left = await self._database.write(
                lambda tx: media_removal.remove_step(tx, item.video_id, ROWS_A_STEP)
            )
        async with bytes_held(self._database, self._blobs, item.sha256):
            await self._database.write(lambda tx: media_removal.finish(tx, item))
            await drop_unused(self._database, self._blobs, item.sha256)
        await self._thumbnails.remove(item.video_id)

    async def _advance(self, deletion: Deletion, status: DeletionStatus) -> None:
        await self._database.write(lambda tx: deletions.advance(tx, deletion.deletion_id, status))


@asynccontextmanager
async def bytes_held(database: Database, blobs: BlobStore, sha256: str) -> AsyncIterator[None]:
    """Hold bytes, here and among servers, while they and the rows that name them change."""
    async with blobs.held(sha256), waited_for(database.peers, f"bytes {sha256}"):
        yield


async def drop_unused(database: Database, blobs: BlobStore, sha256: str) -> bool:
    """Remove bytes that no media item stands on, and tell whether; they must be held."""
    used = await database.read(lambda c: media.blob_uses(c, sha256))
    if not used:
        await blobs.remove(sha256)
    return not used


SWEPT_AT_ONCE = 1000
"""Names that one statement asks for at start."""


def batched(names: Iterable[str], size: int) -> Iterator[list[str]]:
    """Part names into lists of at most `size`."""
    remaining = iter(names)
    while batch := list(islice(remaining, size)):
        yield batch


async def sweep(database: Database, blobs: BlobStore, thumbnails: Thumbnails) -> int:
    """Remove what a crash left: half-written bytes, bytes and pictures of no media item.

    Call it at start, before anything is taken in. Answers how much was removed.
    """
    removed = await blobs.sweep_partial()
    for sha256s in batched(await asyncio.to_thread(lambda: list(blobs.stored())), SWEPT_AT_ONCE):
        used = await database.read(partial(media.blobs_in_use, sha256s=sha256s))
        for sha256 in sha256s:
            if sha256 not in used:
                removed += await drop_unused(database, blobs, sha256)
    for video_ids in batched(await asyncio.to_thread(thumbnails.owners), SWEPT_AT_ONCE):
        known = await database.read(partial(media.existing, video_ids=video_ids))
        for video_id in video_ids:
            if video_id not in known:
                await thumbnails.remove(video_id)
                removed += 1
    if removed:
        log.info("removed %d things that an earlier process left", removed)
    return removed
