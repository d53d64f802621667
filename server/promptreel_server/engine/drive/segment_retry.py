"""Performs a retry: the failed operations of one segment again, the result replaced in one step."""

import asyncio
import logging
from dataclasses import dataclass, replace

from promptreel_server.domain.media import MediaItem
from promptreel_server.domain.operation import OperationStatus
from promptreel_server.domain.retry import Retry, RetryStatus
from promptreel_server.domain.run import Run, RunMedia, RunMediaStatus
from promptreel_server.domain.segment import SegmentRun
from promptreel_server.engine.dispatch.stop_flags import Stopped
from promptreel_server.engine.drive.durable_write import kept
from promptreel_server.engine.drive.media_drive import Claim, Driver
from promptreel_server.engine.drive.resources import Means
from promptreel_server.engine.drive.resynthesis import Resynthesis
from promptreel_server.errors import NotFound, PromptreelError, StoreUnavailable
from promptreel_server.store.catalogue import media
from promptreel_server.store.deletion import media_removal
from promptreel_server.store.runs import (
    llm_calls,
    retries,
    run_media,
    run_segments,
    runs,
    segment_outcomes,
    syntheses,
    unreadable_media,
)
from promptreel_server.store.runs.segment_outcomes import SegmentOutcome
from promptreel_server.store.schema.transaction import Fenced, Transaction

log = logging.getLogger(__name__)

INTERNAL = "The retry broke off with an internal error; see the server's log."


@dataclass(frozen=True, kw_only=True)
class _Taken:
    """A retry that was taken up, and what it is about; no segment: its stand-in is cut anew."""

    retry: Retry
    run: Run
    held: RunMedia
    item: MediaItem
    found: SegmentRun | None


class Retrier:
    """Performs retries with a run's frozen settings."""

    def __init__(self, means: Means, driver: Driver) -> None:
        self._means = means
        self._driver = driver
        self._resynthesis = Resynthesis(means, driver)

    async def perform(self, retry_id: str) -> None:
        """Do what is left of a retry; nothing where it has ended.

        Raises:
            StoreUnavailable: the store can't be used now; call it again later.
        """
        taken = await self._means.database.write(lambda tx: _take(tx, retry_id))
        if taken is None:
            await self._resynthesis.left_by(retry_id)
            return
        try:
            await self._go_or_give_up(taken)
        except Fenced as fenced:
            log.warning("a retry was fenced: %s", fenced)
        finally:
            await self._release(taken)

    async def _go_or_give_up(self, taken: _Taken) -> None:
        try:
            await self._go(taken)
        except Stopped:
            if not self._means.stops.draining:
                await self._give_up(taken, media_removal.DELETED, RetryStatus.CANCELLED)
        except (StoreUnavailable, Fenced):
            raise
        except PromptreelError as error:
            await self._give_up(taken, error.message)
        except Exception:
            log.exception("a retry broke", extra={"retry_id": taken.retry.retry_id})
            await self._give_up(taken, INTERNAL)

    async def _go(self, taken: _Taken) -> None:
        if taken.found is None:
            await self._driver.drive(taken.retry.run_id, taken.retry.video_id)
            await self._means.database.write(lambda tx: _end_by_item(tx, taken))
            return
        # It comes after the run's end, so the run's stop is not its own: it goes by its own id.
        with self._means.stops.flag(taken.retry.retry_id, taken.item.video_id) as stop:
            await self._attempt(taken, taken.found, stop)

    async def _attempt(self, taken: _Taken, found: SegmentRun, stop: asyncio.Event) -> None:
        claim = Claim(run=taken.run, held=taken.held, item=taken.item)
        scene = await self._driver.scene(claim, stop, operations=taken.retry.operations)
        if not taken.retry.outcome:
            reopened = _reopened(found, taken.retry)
            outcome = await self._driver.work.perform(
                scene, reopened, retry_id=taken.retry.retry_id
            )
            database = self._means.database
            try:
                await kept(lambda: database.write(lambda tx: _replace(tx, taken, outcome)))
            except Fenced:
                await kept(lambda: database.write(lambda tx: _keep_calls(tx, outcome)))
                raise
        await self._resynthesis.make(scene, taken.retry)
        await self._means.database.write(lambda tx: _end_by_segment(tx, taken))

    async def _release(self, taken: _Taken) -> None:
        """Let go of what the model keeps, unless another retry will want it."""
        run_id, video_id = taken.retry.run_id, taken.retry.video_id
        if not await self._means.database.read(lambda c: retries.any_open(c, run_id, video_id)):
            await self._driver.release(Claim(run=taken.run, held=taken.held, item=taken.item))

    async def _give_up(
        self, taken: _Taken, message: str, status: RetryStatus = RetryStatus.FAILED
    ) -> None:
        await self._means.database.write(
            lambda tx: retries.end(tx, taken.retry, status, {}, error=message)
        )
        await self._resynthesis.left_by(taken.retry.retry_id)


def _take(tx: Transaction, retry_id: str) -> _Taken | None:
    waiting = retries.load(tx.connection, retry_id)
    retry = None if waiting is None else retries.start(tx, waiting)
    if retry is None:
        return None
    try:
        run = runs.fetch(tx.connection, retry.owner_id, retry.run_id)
        item = media.fetch(tx.connection, retry.owner_id, retry.video_id)
        held = run_media.fetch(tx.connection, retry.run_id, retry.video_id)
        found = _segment(tx, retry, held)
    except NotFound as error:
        retries.end(tx, retry, RetryStatus.FAILED, {}, error=error.message)
        return None
    return _Taken(retry=retry, run=run, held=held, item=item, found=found)


def _segment(tx: Transaction, retry: Retry, held: RunMedia) -> SegmentRun | None:
    """The segment of a retry; None where it is a stand-in, which goes away here.

    An earlier process may have taken it away, and even have driven its media item to the end.
    """
    if not retry.operations:
        if held.status.terminal and (held.segmentation_id or "").startswith(
            unreadable_media.PREFIX
        ):
            unreadable_media.reopen(tx, held)
        return None
    return run_segments.fetch(tx.connection, retry.run_id, retry.video_id, retry.segment_id)


def _reopened(found: SegmentRun, retry: Retry) -> SegmentRun:
    """The segment with the operations of the retry standing pending again."""
    states = {
        operation: replace(state, status=OperationStatus.PENDING, failure=None)
        if operation in retry.operations
        else state
        for operation, state in found.operations.items()
    }
    return replace(found, operations=states)


def _replace(tx: Transaction, taken: _Taken, outcome: SegmentOutcome) -> None:
    """Result, counters, statuses and what the retry came to change together."""
    retry = taken.retry
    came_to = {
        operation: outcome.operations[operation].status is OperationStatus.SUCCEEDED
        for operation in retry.operations
    }
    retries.note(tx, retry, came_to)
    segment_outcomes.replace(tx, outcome, retry.retry_id)
    syntheses.reset(tx, taken.held)
    run_media.restate(tx, retry.run_id, retry.video_id)


def _keep_calls(tx: Transaction, outcome: SegmentOutcome) -> None:
    """Keep the calls of a retry that was fenced: they were paid."""
    llm_calls.record(tx, outcome.item, outcome.prompt_id, outcome.calls, segment=outcome.segment)


def _end_by_segment(tx: Transaction, taken: _Taken) -> None:
    retry = taken.retry
    found = run_segments.fetch(tx.connection, retry.run_id, retry.video_id, retry.segment_id)
    failures = [state.failure for state in found.operations.values() if state.failure is not None]
    came_to = {
        operation: found.operations[operation].status is OperationStatus.SUCCEEDED
        for operation in retry.operations
    }
    runs.close(tx, retry.run_id)
    retries.end(
        tx,
        retry,
        RetryStatus.FAILED if failures else RetryStatus.COMPLETED,
        came_to,
        error=failures[0].message if failures else None,
    )


_ITEM_ENDED = {
    RunMediaStatus.FAILED: (RetryStatus.FAILED, "No segment succeeded; the manifest says why."),
    RunMediaStatus.CANCELLED: (RetryStatus.CANCELLED, "It was stopped before its end."),
}


def _end_by_item(tx: Transaction, taken: _Taken) -> None:
    """End the retry of a stand-in as its media item ended; a server that drains leaves it open."""
    held = run_media.fetch(tx.connection, taken.retry.run_id, taken.retry.video_id)
    if held.status.terminal:
        status, why = _ITEM_ENDED.get(held.status, (RetryStatus.COMPLETED, None))
        retries.end(tx, taken.retry, status, {}, error=held.error_message or why)
