"""Redoes the synthesis of a media item after retries: once, when the last of them is done."""

from sqlalchemy import Connection

from promptreel_server.concurrency.keyed_lock import Turns
from promptreel_server.domain.retry import Retry
from promptreel_server.domain.run import SynthesisStatus
from promptreel_server.engine.drive.media_drive import Claim, Driver
from promptreel_server.engine.drive.resources import Means
from promptreel_server.engine.drive.segment_operations import Scene
from promptreel_server.errors import NotFound, PromptreelError, StoreUnavailable
from promptreel_server.store.catalogue import media
from promptreel_server.store.runs import retries, run_media, runs, syntheses
from promptreel_server.store.schema.transaction import Transaction


class Resynthesis:
    """Makes syntheses anew; a hundred retries of one media item cost one, not a hundred."""

    def __init__(self, means: Means, driver: Driver) -> None:
        self._means = means
        self._driver = driver
        self._turns = Turns()

    async def make(self, scene: Scene, retry: Retry) -> None:
        """Make the synthesis of what the segments yield now, unless another retry is to change it.

        Raises:
            Stopped: the media item is being deleted, or the server is stopping.
        """
        async with self._turns.turn(f"{retry.run_id}/{retry.video_id}"):
            if not await self._means.database.read(lambda c: retries.awaited(c, retry)):
                await self._driver.synthesizer.make(scene)

    async def left_by(self, retry_id: str) -> None:
        """Make the synthesis that others left to a retry which then ended without a result.

        Raises:
            Stopped: the media item is being deleted, or the server is stopping.
            StoreUnavailable: the store can't be used now; call it again later.
        """
        database = self._means.database
        left = await database.read(lambda c: _left(c, retry_id))
        if left is None:
            return
        retry, claim = left
        try:
            with self._means.stops.flag(retry_id, retry.video_id) as stop:
                scene = await self._driver.scene(claim, stop, operations=())
                await self.make(scene, retry)
        except StoreUnavailable:
            raise
        except PromptreelError as error:  # the model has become unavailable since
            message = error.message
            await database.write(lambda tx: syntheses.give_up(tx, claim.held, message))
        await database.write(lambda tx: _close(tx, retry))


def _left(connection: Connection, retry_id: str) -> tuple[Retry, Claim] | None:
    """The retry and its media item, where a synthesis waits that no other retry will make."""
    retry = retries.load(connection, retry_id)
    if retry is None or retry.status in retries.OPEN:
        return None
    found = syntheses.find(connection, retry.run_id, retry.video_id)
    if found is None or found.status is not SynthesisStatus.PENDING:
        return None
    try:
        run = runs.fetch(connection, retry.owner_id, retry.run_id)
        item = media.fetch(connection, retry.owner_id, retry.video_id)
        held = run_media.fetch(connection, retry.run_id, retry.video_id)
    except NotFound:
        return None  # it was deleted, and its synthesis with it
    if not held.status.terminal or item.deletion_id is not None:
        return None
    if not found.source_fingerprint:
        return None  # there was none before: a run that was stopped made none
    return retry, Claim(run=run, held=held, item=item)


def _close(tx: Transaction, retry: Retry) -> None:
    runs.close(tx, retry.run_id)
