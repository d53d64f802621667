"""One media item of one run, from cutting to synthesis: does what is left, however often called."""

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial

from promptreel_server.domain.llm_call import LlmCall
from promptreel_server.domain.media import MediaItem, MediaStatus
from promptreel_server.domain.operation import Failure, Operation, OperationStatus
from promptreel_server.domain.run import Run, RunMedia, RunMediaStatus
from promptreel_server.domain.segment import SegmentRun
from promptreel_server.engine.dispatch.stop_flags import Stopped, unless_stopped
from promptreel_server.engine.drive.durable_write import kept
from promptreel_server.engine.drive.image_embedding import Looker
from promptreel_server.engine.drive.resources import Means
from promptreel_server.engine.drive.segment_operations import (
    Scene,
    SegmentWork,
    broken_outcome,
)
from promptreel_server.engine.drive.segmentation import Cutter, enabled_operations
from promptreel_server.engine.drive.synthesis import Synthesizer
from promptreel_server.engine.drive.transcription import Heard, Listener
from promptreel_server.engine.model_calls.call_cache import Fingerprints
from promptreel_server.errors import (
    FailureCode,
    NotFound,
    OperationFailure,
    PromptreelError,
    StoreUnavailable,
)
from promptreel_server.store.catalogue import media
from promptreel_server.store.runs import (
    run_media,
    run_segments,
    runs,
    segment_outcomes,
    syntheses,
    unreadable_media,
)
from promptreel_server.store.runs.segment_outcomes import (
    AttemptRecord,
    SegmentOutcome,
    SegmentStart,
)
from promptreel_server.store.schema.transaction import Fenced, Transaction

log = logging.getLogger(__name__)

BATCH = 256
"""Segments read ahead of the window."""

INTERNAL = "The media item broke off with an internal error; see the server's log."


@dataclass(frozen=True, kw_only=True)
class Claim:
    """A media item of a run that this drive holds."""

    run: Run
    held: RunMedia
    item: MediaItem


class Driver:
    """Drives media items of runs."""

    def __init__(self, means: Means) -> None:
        self._means = means
        self._cutter = Cutter(means)
        self._listener = Listener(means)
        looker = Looker(means)
        self.work = SegmentWork(means, looker)
        self.synthesizer = Synthesizer(means)

    async def drive(self, run_id: str, video_id: str) -> None:
        """Do what is left of one media item of a run; nothing where it has ended.

        Raises:
            StoreUnavailable: the store can't be used now; call it again later.
        """
        claim = await self._means.database.write(lambda tx: _claim(tx, run_id, video_id))
        if claim is None:
            return
        with self._means.stops.flag(run_id, video_id) as stop:
            if claim.run.stopping or claim.item.deletion_id is not None:
                stop.set()
            try:
                await self._go_on(claim, stop)
            except Fenced as fenced:
                log.warning("a drive was fenced: %s", fenced)
            except Stopped:
                if not self._means.stops.draining or claim.run.stopping:
                    await self._end_stopped(claim)
            except StoreUnavailable:
                raise
            except OperationFailure as failure:
                await self._unread(claim, failure)
            except PromptreelError as error:  # the model has become unavailable since
                await self._fail(claim, error.message)
            except Exception:
                log.exception("a drive broke", extra={"run_id": run_id, "video_id": video_id})
                await self._fail(claim, INTERNAL)
            finally:
                await self.release(claim)

    async def _go_on(self, claim: Claim, stop: asyncio.Event) -> None:
        """Go; of all that breaks at once, trouble of the store counts: it passes."""
        try:
            await self._go(claim, stop)
        except ExceptionGroup as group:
            if group.subgroup(StoreUnavailable) is None:
                raise
            raise StoreUnavailable("The store could not be used.") from group

    async def _go(self, claim: Claim, stop: asyncio.Event) -> None:
        if stop.is_set():
            raise Stopped
        lane = self._means.lanes.lane(claim.run.settings.processing_model)
        broken = lane.why(claim.run.owner_id)
        if broken is not None:
            await self._fail(claim, broken)
            return
        database = self._means.database
        await database.write(lambda tx: run_media.start(tx, claim.run, claim.held))
        if claim.held.segmentation_id is None:
            await unless_stopped(self._cutter.plan(claim.run, claim.held, claim.item), stop)
        scene = await self.scene(claim, stop)
        await self._segments(scene)
        if scene.fenced.is_set():
            raise Fenced(f"{claim.item.video_id} of {claim.run.run_id} is held by a later drive")
        if scene.hopeless is not None:
            await self._fail(claim, scene.hopeless)
            return
        if stop.is_set():
            raise Stopped
        await self.synthesizer.make(scene)
        await database.write(lambda tx: _close(tx, claim))

    async def scene(
        self, claim: Claim, stop: asyncio.Event, operations: Sequence[Operation] = tuple(Operation)
    ) -> Scene:
        """Gather what the segments of a media item share; listens first, where that is wanted."""
        model = claim.run.settings.processing_model
        heard = Heard()
        enabled = enabled_operations(claim.run, claim.item)[Operation.TRANSCRIPTION]
        if Operation.TRANSCRIPTION in operations and enabled is OperationStatus.PENDING:
            heard = await unless_stopped(self._listener.hear(claim.held, claim.item), stop)
        extractor = self._means.extractors.extractor(model)
        return Scene(
            run=claim.run,
            held=claim.held,
            item=claim.item,
            path=self._means.blobs.path(claim.item.sha256),
            extractor=extractor,
            fingerprints=Fingerprints(
                extractor,
                media_sha256=claim.item.sha256,
                prompt_text=claim.run.prompt.prompt_text,
                json_schema=claim.run.prompt.json_schema,
            ),
            lane=self._means.lanes.lane(model),
            heard=heard,
            stop=stop,
        )

    async def _segments(self, scene: Scene) -> None:
        """Work on the open segments in order, a bounded window of them at once."""
        window = asyncio.Semaphore(self._means.bounds.segments_in_flight)
        after = -1
        async with asyncio.TaskGroup() as tasks:
            while batch := await self._means.database.read(
                lambda c, after=after: run_segments.open_batch(  # type: ignore[misc]
                    c, scene.run.run_id, scene.item.video_id, after=after, limit=BATCH
                )
            ):
                after = batch[-1].segment.ordinal
                earlier = await self.work.earlier(scene, batch)
                for found in batch:
                    await window.acquire()
                    if scene.stop.is_set() or scene.hopeless is not None:
                        return
                    call = earlier.get(found.segment.segment_id)
                    tasks.create_task(self._one(scene, found, call, window))

    async def _one(
        self,
        scene: Scene,
        found: SegmentRun,
        earlier: LlmCall | None,
        window: asyncio.Semaphore,
    ) -> None:
        database = self._means.database
        start = SegmentStart(item=scene.held, segment=found.segment)
        outcome: SegmentOutcome | None = None
        try:
            begun = await database.queue_grouped(segment_outcomes.advance, start)
            begun.add_done_callback(partial(_note_fence, scene))
            outcome = await self.work.perform(scene, found, earlier=earlier)
            refusal = _refusal(outcome)
            if refusal is None or scene.lane.broken is None:  # one refusal costs one segment
                await self._end(scene, begun, start, outcome)
            else:
                scene.refused.append(refusal.message)
                await begun
                await self._keep_refused(start, outcome)
        except Stopped:
            log.debug("left undone: %s", found.segment.segment_id)
        except (StoreUnavailable, Fenced):
            raise
        except Exception:  # whatever breaks costs this segment, not its media item
            log.exception("a segment broke", extra={"segment_id": found.segment.segment_id})
            await self._contain(scene, found, outcome)
        finally:
            window.release()

    async def _contain(
        self, scene: Scene, found: SegmentRun, outcome: SegmentOutcome | None
    ) -> None:
        """Fail a segment whose work or outcome broke, with the calls that it paid on record."""
        database = self._means.database
        failed = broken_outcome(scene, found, database.clock(), outcome)
        try:
            held = await kept(lambda: database.write_grouped(segment_outcomes.advance, failed))
        except StoreUnavailable:
            raise
        except Exception:
            log.exception("calls can't be kept", extra={"segment_id": found.segment.segment_id})
            bare = replace(failed, calls=())
            held = await kept(lambda: database.write_grouped(segment_outcomes.advance, bare))
        if not held:
            scene.fence()

    async def _end(
        self,
        scene: Scene,
        begun: "asyncio.Future[bool]",
        start: SegmentStart,
        outcome: SegmentOutcome,
    ) -> None:
        """Write an outcome, in one commit with its start where that still waits."""
        database = self._means.database
        if begun.done() and isinstance(begun.exception(), StoreUnavailable):
            await kept(lambda: database.write_grouped(segment_outcomes.advance, start))
        if not await kept(lambda: database.write_grouped(segment_outcomes.advance, outcome)):
            scene.fence()
        error = begun.exception()  # what came before is written before
        if error is not None and not isinstance(error, StoreUnavailable):
            raise error

    async def _keep_refused(self, start: SegmentStart, outcome: SegmentOutcome) -> None:
        """Write the call that was refused; the segment is left undone, not failed."""
        if outcome.calls:
            record = AttemptRecord(
                item=start.item,
                segment=start.segment,
                prompt_id=outcome.prompt_id,
                attempt=outcome.attempts[-1],
                calls=outcome.calls,
            )
            database = self._means.database
            await kept(lambda: database.write_grouped(segment_outcomes.record_attempts, record))

    async def _end_stopped(self, claim: Claim) -> None:
        def end(tx: Transaction) -> None:
            runs.observe_stop(tx, claim.run.run_id)
            if run_media.held(tx.connection, claim.held):
                segment_outcomes.cancel_open(tx, claim.held)
                _close(tx, claim)

        await self._means.database.write(end)

    async def _unread(self, claim: Claim, failure: OperationFailure) -> None:
        await self._means.database.write(
            lambda tx: unreadable_media.fail(tx, claim.held, claim.item, failure)
        )

    async def _fail(self, claim: Claim, message: str) -> None:
        """End a media item that can't go on; what is open is left undone."""

        def end(tx: Transaction) -> None:
            if run_media.held(tx.connection, claim.held):
                runs.fail(tx, claim.run.run_id, message)
                segment_outcomes.cancel_open(tx, claim.held)
                syntheses.give_up(tx, claim.held, message)
                _close(tx, claim, error_message=message)

        await self._means.database.write(end)

    async def release(self, claim: Claim) -> None:
        """Have the model let go of what it kept for a media item of a run (an upload)."""
        model = claim.run.settings.processing_model
        try:
            extractor = self._means.extractors.extractor(model)
        except PromptreelError:
            return  # it was never made, so it holds nothing
        await extractor.release(claim.run.run_id, claim.item.video_id)


def _claim(tx: Transaction, run_id: str, video_id: str) -> Claim | None:
    run = runs.load(tx.connection, run_id)
    held = None if run is None else run_media.claim(tx, run, video_id)
    if run is None or held is None:
        return None
    try:
        item = media.fetch(tx.connection, run.owner_id, video_id)
    except NotFound as error:
        runs.start(tx, run)
        run_media.settle(tx, held, RunMediaStatus.FAILED, error_message=error.message)
        return None
    media.set_status(tx, [video_id], MediaStatus.PROCESSING)
    return Claim(run=run, held=held, item=item)


def _note_fence(scene: Scene, begun: "asyncio.Future[bool]") -> None:
    if not begun.cancelled() and begun.exception() is None and not begun.result():
        scene.fence()


def _refusal(outcome: SegmentOutcome) -> Failure | None:
    """Why the model will answer no call of this server, where a segment met with that."""
    failure = outcome.operations[Operation.FIELD_EXTRACTION].failure
    if failure is None or failure.code is not FailureCode.UNAUTHENTICATED:
        return None
    return failure


def _close(tx: Transaction, claim: Claim, *, error_message: str | None = None) -> None:
    ended = run_media.close(tx, claim.held, error_message=error_message)
    if ended is not None:
        media.set_status(tx, [ended.video_id], run_media.MEDIA_STATUS[ended.status])
