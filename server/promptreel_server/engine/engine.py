"""The engine: accepts runs, drives them, stops them, retries what failed."""

import asyncio
import logging
from collections import Counter
from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection

from promptreel_server.concurrency.supervision import unbroken, woken
from promptreel_server.domain.retry import Retry
from promptreel_server.domain.run import Run, RunMediaStatus
from promptreel_server.engine.admission import run_orders
from promptreel_server.engine.admission.estimate import estimate
from promptreel_server.engine.admission.reuse_forecast import Foresight
from promptreel_server.engine.admission.run_orders import Checked, Order, Vetted
from promptreel_server.engine.dispatch.dispatcher import Dispatcher, Unit
from promptreel_server.engine.drive.media_drive import Driver
from promptreel_server.engine.drive.resources import Means
from promptreel_server.engine.drive.segment_retry import Retrier
from promptreel_server.engine.drive.transcription import transcript_kind
from promptreel_server.engine.stall_watchdog import Stalls
from promptreel_server.extractors.extractor import Extractor
from promptreel_server.store.catalogue import prompts
from promptreel_server.store.runs import retries, run_media, runs
from promptreel_server.store.schema.transaction import Transaction

log = logging.getLogger(__name__)

RECOVERED_AT_ONCE = 1000

TAKE_UP_EVERY = 10.0
"""Seconds between looks for work that nobody has in hand: a call that broke off between writing
and dispatching it, or a unit that broke off with the store, left it lying."""

REST_SECONDS = 0.1
"""Pause before a look that another server asked for: more of its calls share it."""


class Engine:
    """What services act through."""

    def __init__(
        self, means: Means, dispatcher: Dispatcher, *, stalled_after: float = 600.0
    ) -> None:
        self._means = means
        self._dispatcher = dispatcher
        self._driver = Driver(means)
        self._retrier = Retrier(means, self._driver)
        self._ended = asyncio.Event()
        self._in_hand: Counter[str] = Counter()
        self._stalls = Stalls(means, self._in_hand, self._elsewhere, after=stalled_after)

    @property
    def in_hand(self) -> int:
        """Media items and retries that are worked on."""
        return self._in_hand.total()

    @property
    def stalled_runs(self) -> int:
        """Runs that make no progress."""
        return self._stalls.count

    def extractor(self, processing_model: str) -> Extractor:
        """Answer the extractor of a model.

        Raises:
            UnknownModel, Unavailable: it can't be had; the message says what to do.
        """
        return self._means.extractors.extractor(processing_model)

    async def vet(self, order: Order) -> Vetted:
        """Check the schemas of an order's prompt ahead of `accept` or `estimate`.

        Raises:
            NotFound: there is no such prompt.
            Invalid, UnknownModel, Unavailable: see `run_orders.vet` and `extractor`.
        """
        extractor = self.extractor(order.settings.processing_model)
        prompt = await self._means.database.read(
            lambda c: prompts.fetch(c, order.owner_id, order.prompt_id)
        )
        return run_orders.vet(prompt, extractor)

    def _check(self, connection: Connection, order: Order, vetted: Vetted) -> Checked:
        checked = run_orders.check(connection, order, vetted)
        self._check_models(checked)
        return checked

    def _check_models(self, checked: Checked) -> None:
        """Refuse now what would fail in the middle of the run for want of a model."""
        settings = checked.order.settings
        if settings.enable_transcription and any(item.facts.has_audio for item in checked.media):
            self._means.transcriber.get()
        if settings.enable_image_embedding and any(item.facts.has_video for item in checked.media):
            self._means.embedder.get()

    def estimate(self, connection: Connection, order: Order, vetted: Vetted) -> dict[str, Any]:
        """Make the checks of `execute` and answer what the run would take."""
        checked = self._check(connection, order, vetted)
        foresight = Foresight(
            connection=connection,
            checked=checked,
            extractor=self.extractor(order.settings.processing_model),
            transcript_kind=self._transcript_kind(checked),
        )
        return estimate(checked, self._means.limits, foresight)

    def _transcript_kind(self, checked: Checked) -> str | None:
        """What transcripts of a run are stored as; None where it hears nothing."""
        hears = checked.order.settings.enable_transcription and any(
            item.facts.has_audio for item in checked.media
        )
        return transcript_kind(self._means.transcriber.get()) if hears else None

    def accept(self, tx: Transaction, order: Order, vetted: Vetted) -> Run:
        """Check an order, freeze it into a run and write it; `begin` sets it going."""
        return run_orders.accept(tx, self._check(tx.connection, order, vetted))

    async def begin(self, run_id: str) -> None:
        """Dispatch the media items of a run that are not done; a broken lane is given a chance."""
        run = await self._means.database.read(lambda c: runs.load(c, run_id))
        if run is not None and not run.status.terminal:
            self._means.lanes.lane(run.settings.processing_model).give_chance()
        items = await self._means.database.read(lambda c: run_media.of_run(c, run_id))
        await self._dispatcher.dispatch(
            [
                Unit(owner_id=item.owner_id, run_id=run_id, video_id=item.video_id)
                for item in items
                if not item.status.terminal
            ]
        )
        await self._means.database.peers.call_for_work()

    def request_stop(self, tx: Transaction, run: Run, requested_by: str) -> Run:
        """Store the wish to cancel a run; `stop` makes it felt at once in this process.

        Retries that wait end, also those of a run that has ended; else that one is unchanged.
        """
        retries.cancel_open(tx, run.run_id)
        if run.status.terminal:
            return run
        return runs.request_stop(tx, run.run_id, requested_by)

    def stop(self, run_id: str) -> None:
        """Let the drives of a run in this process know that its stop request is stored."""
        self._means.stops.stop(run_id)

    async def retry(self, asked: Sequence[Retry]) -> None:
        """Dispatch retries that were written."""
        await self._dispatch_retries(asked)
        await self._means.database.peers.call_for_work()

    async def _dispatch_retries(self, found: Sequence[Retry]) -> None:
        """Dispatch some at a time: calls go on between them."""
        for start in range(0, len(found), RECOVERED_AT_ONCE):
            some = found[start : start + RECOVERED_AT_ONCE]
            await self._dispatcher.dispatch([_retry_unit(retry) for retry in some])
            await asyncio.sleep(0)

    async def run(self) -> None:
        """Take up what an earlier process left, then drive until drained."""
        async with asyncio.TaskGroup() as tasks:
            await self._recover()
            beside = [
                tasks.create_task(self._means.stops.watch(), name="stops"),
                tasks.create_task(self._take_up(), name="taking up"),
                tasks.create_task(self._stalls.watch(), name="stalls"),
            ]
            await self._dispatcher.run(self._perform)
            self._ended.set()
            for task in beside:
                task.cancel()

    async def _take_up(self) -> None:
        """Take up what lies about, again and again, until cancelled."""
        while True:
            work = self._means.database.peers.work
            await woken(work, TAKE_UP_EVERY)
            await asyncio.sleep(REST_SECONDS)
            work.clear()
            with unbroken("looking for work that nobody has in hand"):
                await self._recover()

    def drain(self) -> None:
        """Begin nothing more; `run` ends when the calls in flight are answered."""
        self._means.stops.drain()
        self._dispatcher.drain()

    async def idle(self) -> None:
        """Wait until nothing is in hand; of use while draining."""
        await self._ended.wait()

    async def _perform(self, unit: Unit) -> None:
        async with self._means.database.peers.hold(unit.name) as held:
            if held:  # else another server is at it
                await self._perform_held(unit)

    async def _perform_held(self, unit: Unit) -> None:
        self._in_hand[unit.run_id] += 1
        try:
            if unit.retry_id is not None:
                await self._retrier.perform(unit.retry_id)
            else:
                await self._driver.drive(unit.run_id, unit.video_id)
        finally:
            self._in_hand[unit.run_id] -= 1
            if not self._in_hand[unit.run_id]:
                del self._in_hand[unit.run_id]

    async def _elsewhere(self, run_id: str) -> bool:
        """Tell whether another server drives a media item of a run."""
        items = await self._means.database.read(lambda c: run_media.of_run(c, run_id))
        for item in items:
            if item.status is RunMediaStatus.PROCESSING:
                unit = Unit(owner_id=item.owner_id, run_id=run_id, video_id=item.video_id)
                if await self._means.database.peers.held_elsewhere(unit.name):
                    return True
        return False

    async def _recover(self) -> None:
        database = self._means.database
        at = ("", "")
        count = 0
        while items := await database.read(
            lambda c, at=at: run_media.undone(c, RECOVERED_AT_ONCE, at)  # type: ignore[misc]
        ):
            at = (items[-1].run_id, items[-1].video_id)
            count += len(items)
            await self._dispatcher.dispatch(
                [
                    Unit(owner_id=item.owner_id, run_id=item.run_id, video_id=item.video_id)
                    for item in items
                ]
            )
        retried = await self._recover_retries()
        if count or retried:
            log.debug("undone: %d media items and %d retries", count, retried)

    async def _recover_retries(self) -> int:
        """Dispatch the retries that nobody has in hand; of the others only the ids are read."""
        database = self._means.database
        undone = await database.read(retries.undone)
        lying = [retry_id for retry_id in undone if not self._dispatcher.has(retry_id)]
        for start in range(0, len(lying), RECOVERED_AT_ONCE):
            some = lying[start : start + RECOVERED_AT_ONCE]
            await self._dispatch_retries(
                await database.read(lambda c, some=some: retries.undone_of(c, some))  # type: ignore[misc]
            )
        return len(lying)


def _retry_unit(retry: Retry) -> Unit:
    return Unit(
        owner_id=retry.owner_id,
        run_id=retry.run_id,
        video_id=retry.video_id,
        retry_id=retry.retry_id,
    )
