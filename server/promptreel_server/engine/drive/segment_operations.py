"""The operations on one segment, each attempted as often as its failures allow."""

import asyncio
import logging
from collections.abc import Coroutine, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

from promptreel_server.domain.llm_call import LlmCall
from promptreel_server.domain.media import MediaItem
from promptreel_server.domain.operation import Operation, OperationState, OperationStatus
from promptreel_server.domain.run import Run, RunMedia
from promptreel_server.domain.segment import SegmentRun, SegmentStatus, Transcript
from promptreel_server.engine.dispatch.stop_flags import (
    Stopped,
    pause_unless_stopped,
    unless_stopped,
)
from promptreel_server.engine.drive.durable_write import kept
from promptreel_server.engine.drive.image_embedding import Looker
from promptreel_server.engine.drive.resources import Means
from promptreel_server.engine.drive.transcription import Heard
from promptreel_server.engine.model_calls import call_cache
from promptreel_server.engine.model_calls.call_cache import Fingerprints
from promptreel_server.engine.model_calls.concurrency import Lane
from promptreel_server.engine.model_calls.retry_policy import as_data
from promptreel_server.errors import FailureCode, ModelFailure, OperationFailure
from promptreel_server.extractors.extractor import Extraction, ExtractionRequest, Extractor
from promptreel_server.extractors.json_schema.leaves import metadata_text
from promptreel_server.store.runs import llm_calls, segment_outcomes
from promptreel_server.store.runs.segment_outcomes import Attempt, AttemptRecord, SegmentOutcome

log = logging.getLogger(__name__)

OVERLOAD = frozenset({FailureCode.RATE_LIMITED, FailureCode.MODEL_UNAVAILABLE, FailureCode.TIMEOUT})


@dataclass(frozen=True, kw_only=True)
class Scene:
    """What all segments of one media item of one run have in common."""

    run: Run
    held: RunMedia
    item: MediaItem
    path: Path
    """Where the bytes of the media item lie."""
    extractor: Extractor
    fingerprints: Fingerprints
    lane: Lane
    heard: Heard
    stop: asyncio.Event
    refused: list[str] = field(default_factory=list)
    """What the model said that will have no call answered, once it has."""
    fenced: asyncio.Event = field(default_factory=asyncio.Event)
    """Set once a write found that a later drive has claimed the media item."""

    def fence(self) -> None:
        """Ask nothing more: what would be answered could not be written."""
        self.fenced.set()
        self.stop.set()

    @property
    def hopeless(self) -> str | None:
        """Why no further call makes sense; None while one does."""
        return self.refused[0] if self.refused else self.lane.why(self.run.owner_id)


class SegmentWork:
    """Does what is to be done on segments."""

    def __init__(self, means: Means, looker: Looker) -> None:
        self._means = means
        self._looker = looker

    async def earlier(self, scene: Scene, batch: Sequence[SegmentRun]) -> dict[str, LlmCall]:
        """Answer, by segment, the calls of earlier runs that asked just what these would ask."""
        if not scene.run.settings.reuse_llm_calls:
            return {}
        names = {
            found.segment.segment_id: scene.fingerprints.of(found.segment, _said(scene, found))
            for found in batch
        }
        answered = await self._means.database.read(
            lambda c: llm_calls.answered(c, scene.run.owner_id, tuple(names.values()))
        )
        return {
            segment_id: answered[name] for segment_id, name in names.items() if name in answered
        }

    async def perform(
        self,
        scene: Scene,
        found: SegmentRun,
        *,
        earlier: LlmCall | None = None,
        retry_id: str | None = None,
    ) -> SegmentOutcome:
        """Do the operations that stand pending, and answer the last word on the segment.

        Raises:
            Stopped: the run was asked to stop before an operation that is not done.
        """
        states = dict(found.operations)
        attempts: list[Attempt] = []
        transcript = _said(scene, found)
        if states[Operation.TRANSCRIPTION].status is OperationStatus.PENDING:
            for failure in (*scene.heard.earlier, scene.heard.failure):
                self._note(Operation.TRANSCRIPTION, states, attempts, failure)
        if states[Operation.IMAGE_EMBEDDING].status is OperationStatus.PENDING:
            await self._embed(scene, found, states, attempts)
        extraction = None
        if states[Operation.FIELD_EXTRACTION].status is OperationStatus.PENDING:
            extraction = await self._extract(
                scene, found, transcript, states, attempts, earlier=earlier, retry_id=retry_id
            )
        return _outcome(scene, found, states, attempts, transcript, extraction)

    async def _embed(
        self,
        scene: Scene,
        found: SegmentRun,
        states: dict[Operation, OperationState],
        attempts: list[Attempt],
    ) -> None:
        failure: OperationFailure | None = None

        def failed(earlier: OperationFailure) -> None:
            self._note(Operation.IMAGE_EMBEDDING, states, attempts, earlier)

        embed = partial(self._looker.embed, scene.item, found.segment)
        try:
            await unless_stopped(self._means.policy.attempted(embed, failed), scene.stop)
        except OperationFailure as error:
            failure = error
        except Stopped:
            raise
        except Exception:  # one bad segment never spoils its neighbours
            log.exception("embedding broke", extra={"segment_id": found.segment.segment_id})
            failure = internal("embedding")
        self._note(Operation.IMAGE_EMBEDDING, states, attempts, failure)

    async def _extract(
        self,
        scene: Scene,
        found: SegmentRun,
        transcript: Transcript | None,
        states: dict[Operation, OperationState],
        attempts: list[Attempt],
        *,
        earlier: LlmCall | None,
        retry_id: str | None,
    ) -> Extraction:
        """Attempt until it works or no attempt is left; all but the last are kept at once."""
        request = _request(scene, found, transcript)
        if earlier is not None:
            again = call_cache.reused(request, earlier, self._means.database.clock())
            if again is not None:
                self._note(Operation.FIELD_EXTRACTION, states, attempts, None)
                return again
        made = 0
        while True:
            extraction = await self._ask(scene, request)
            made += 1
            failure = extraction.failure
            pause = None
            if failure is not None and scene.lane.broken is None:
                pause = self._means.policy.pause(failure, made)
            if pause is None or scene.stop.is_set():
                self._note(Operation.FIELD_EXTRACTION, states, attempts, failure)
                return extraction
            await self._keep(scene, found, extraction, states, retry_id)
            request = following(request, extraction)
            await pause_unless_stopped(pause, scene.stop)

    async def _ask(self, scene: Scene, request: ExtractionRequest) -> Extraction:
        preparing = scene.extractor.prepare(request) if scene.lane.broken is None else None
        if preparing is not None:  # not in the lane: an upload must hold up nobody else's calls
            failure = await self._prepare(scene, request, preparing)
            if failure is not None:
                return Extraction(failure=failure)
        async with scene.lane.place(scene.run.owner_id):
            if scene.stop.is_set():
                raise Stopped
            broken = scene.lane.why(scene.run.owner_id)
            if broken is not None:
                return Extraction(failure=ModelFailure(FailureCode.UNAUTHENTICATED, broken))
            try:
                extraction = await scene.extractor.extract(request)
            except Exception:  # one bad segment never spoils its neighbours
                log.exception("extraction broke", extra={"segment_id": request.segment_id})
                extraction = Extraction(failure=internal("extraction"))
            learn(scene.lane, scene.run.owner_id, extraction)
        await asyncio.sleep(0)  # the next call goes out before this answer is dealt with
        return extraction

    async def _prepare(
        self, scene: Scene, request: ExtractionRequest, preparing: Coroutine[Any, Any, None]
    ) -> OperationFailure | None:
        try:
            await unless_stopped(preparing, scene.stop)
        except OperationFailure as failure:
            if failure.failure_code is FailureCode.UNAUTHENTICATED:
                learn(scene.lane, scene.run.owner_id, Extraction(failure=failure))
            return failure
        except Stopped:
            raise
        except Exception:  # one bad segment never spoils its neighbours
            log.exception("preparing broke", extra={"segment_id": request.segment_id})
            return internal("preparation")
        return None

    async def _keep(
        self,
        scene: Scene,
        found: SegmentRun,
        extraction: Extraction,
        states: dict[Operation, OperationState],
        retry_id: str | None,
    ) -> None:
        """Write an attempt that is not the last, so that a crash neither loses nor repeats it."""
        attempts: list[Attempt] = []
        self._note(Operation.FIELD_EXTRACTION, states, attempts, extraction.failure)
        record = AttemptRecord(
            item=scene.held,
            segment=found.segment,
            prompt_id=scene.run.prompt.prompt_id,
            attempt=attempts[0],
            calls=extraction.calls,
            retry_id=retry_id,
        )
        database = self._means.database
        if not await kept(lambda: database.write_grouped(segment_outcomes.record_attempts, record)):
            scene.fence()
            raise Stopped

    def _note(
        self,
        operation: Operation,
        states: dict[Operation, OperationState],
        attempts: list[Attempt],
        failure: OperationFailure | None,
    ) -> None:
        """Move an operation on by one attempt."""
        now = self._means.database.clock()
        number = states[operation].attempts + 1
        data = None if failure is None else as_data(failure)
        states[operation] = OperationState(
            status=OperationStatus.SUCCEEDED if data is None else OperationStatus.FAILED,
            attempts=number,
            last_attempt_at=now,
            failure=data,
        )
        attempts.append(Attempt(operation=operation, number=number, at=now, failure=data))


def following(request: ExtractionRequest, extraction: Extraction) -> ExtractionRequest:
    """The request of the next attempt: with more room where an answer was cut off."""
    failure = extraction.failure
    truncated = failure is not None and failure.failure_code is FailureCode.OUTPUT_TRUNCATED
    return replace(
        request,
        attempt=request.attempt + 1,
        output_limit_factor=request.output_limit_factor * (2 if truncated else 1),
    )


def _request(scene: Scene, found: SegmentRun, transcript: Transcript | None) -> ExtractionRequest:
    start, end = found.segment.seconds
    return ExtractionRequest(
        run_id=scene.run.run_id,
        video_id=scene.item.video_id,
        segment_id=found.segment.segment_id,
        path=scene.path,
        media_sha256=scene.item.sha256,
        facts=scene.item.facts,
        title=scene.item.title,
        start=start,
        end=end,
        prompt_text=scene.run.prompt.prompt_text,
        json_schema=scene.run.prompt.json_schema,
        transcript=transcript,
        attempt=found.operations[Operation.FIELD_EXTRACTION].attempts + 1,
    )


def _said(scene: Scene, found: SegmentRun) -> Transcript | None:
    """What is said in a segment, where that is known or has just been heard."""
    if found.operations[Operation.TRANSCRIPTION].status is not OperationStatus.PENDING:
        return found.transcript
    heard = scene.heard.transcript
    if heard is None:
        return None
    return heard.within(*found.segment.seconds)


def learn(lane: Lane, owner_id: str, extraction: Extraction) -> None:
    """Widen or narrow a lane by how a call went, and count what it took."""
    failure = extraction.failure
    tokens = sum(call.total_tokens for call in extraction.calls)
    lane.spent(calls=max(0, len(extraction.calls) - 1), tokens=tokens)
    if failure is None:
        lane.went_well()
    elif failure.failure_code is FailureCode.UNAUTHENTICATED:
        lane.refused(owner_id, failure.message)
    elif failure.failure_code in OVERLOAD:
        lane.overloaded(failure.retry_after)


def internal(what: str) -> OperationFailure:
    """The failure of something that broke in a way nobody foresaw; its story is in the log."""
    return OperationFailure(
        FailureCode.INTERNAL, f"The {what} broke off with an internal error; see the server's log."
    )


def broken_outcome(
    scene: Scene, found: SegmentRun, now: datetime, outcome: SegmentOutcome | None
) -> SegmentOutcome:
    """The outcome of a segment whose work broke, or whose outcome could not be written."""
    failure = as_data(internal("work on this segment"))
    states, attempts = dict(found.operations), []
    for operation, state in found.operations.items():
        if state.status is OperationStatus.PENDING:
            number = state.attempts + 1
            states[operation] = OperationState(
                status=OperationStatus.FAILED, attempts=number, last_attempt_at=now, failure=failure
            )
            attempts.append(Attempt(operation=operation, number=number, at=now, failure=failure))
    return SegmentOutcome(
        item=scene.held,
        segment=found.segment,
        prompt_id=scene.run.prompt.prompt_id,
        status=SegmentStatus.FAILED,
        operations=states,
        attempts=tuple(attempts),
        calls=() if outcome is None else outcome.calls,
    )


def _outcome(
    scene: Scene,
    found: SegmentRun,
    states: Mapping[Operation, OperationState],
    attempts: list[Attempt],
    transcript: Transcript | None,
    extraction: Extraction | None,
) -> SegmentOutcome:
    failed = any(state.status is OperationStatus.FAILED for state in states.values())
    metadata, text, warning = found.metadata, found.metadata_text, found.processing_warning
    name = None
    if extraction is not None:
        if call_cache.may_serve(extraction):
            name = scene.fingerprints.of(found.segment, transcript)
        metadata, warning = extraction.metadata, extraction.warning
        disabled = scene.run.prompt.semantic_indexing.disabled_segment_fields
        text = "" if metadata is None else metadata_text(metadata, disabled)
    return SegmentOutcome(
        item=scene.held,
        segment=found.segment,
        prompt_id=scene.run.prompt.prompt_id,
        status=SegmentStatus.FAILED if failed else SegmentStatus.COMPLETED,
        operations=states,
        metadata=metadata,
        metadata_text=text,
        transcript=transcript,
        processing_warning=warning,
        attempts=tuple(attempts),
        calls=extraction.calls if extraction is not None else (),
        fingerprint=name,
    )
