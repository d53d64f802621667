"""A model that writes down every call it is asked for, and looks at once whether it may be asked.

The looks are made through a connection of their own at the instant of the call: no call for a
segment that is done, none by a drive that was told that it is fenced, and of one that was fenced
and not told no more than it may have in flight.
"""

import asyncio
import contextvars
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from unittest.mock import patch

from sqlalchemy import Connection, select

from promptreel_server.domain.segment import SegmentStatus
from promptreel_server.engine.drive.segment_operations import Scene, SegmentWork
from promptreel_server.engine.drive.segment_retry import Retrier
from promptreel_server.engine.drive.synthesis import Synthesizer
from promptreel_server.errors import FailureCode
from promptreel_server.extractors.canned.extractor import CannedExtractor, CannedScript, Fault
from promptreel_server.extractors.extractor import (
    Extraction,
    ExtractionRequest,
    Extractor,
    SynthesisRequest,
)
from promptreel_server.store.schema.tables import retries, run_media, run_segments
from tests.simulation.scheduler import PROCESS, Process, Scheduler

OPEN = (SegmentStatus.PENDING, SegmentStatus.PROCESSING)

_SCENE: contextvars.ContextVar[Scene | None] = contextvars.ContextVar("scene", default=None)
_RETRY: contextvars.ContextVar[tuple[str, int] | None] = contextvars.ContextVar(
    "retry", default=None
)


@dataclass(eq=False, kw_only=True)
class Call:
    """One call to the model; `answered` once the server that made it has the answer."""

    process: Process
    run_id: str
    video_id: str
    segment_id: str | None
    retry_id: str | None
    epoch: int
    llm_call_id: str = ""
    succeeded: bool = False
    answered: bool = False


@dataclass
class Witness:
    """All calls so far, and what was wrong with them."""

    scheduler: Scheduler
    look: Callable[[Callable[[Connection], Any]], Any]
    in_flight: int
    """Segments of one media item that one drive works on at once."""
    trouble: float
    """Share of calls that fail."""
    calls: list[Call] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    told: set[int] = field(default_factory=set)
    """Ids of the scenes whose drives were told that they are fenced."""
    scenes: list[Scene] = field(default_factory=list)
    """All scenes: their ids stay theirs."""
    late: Counter[tuple[Any, ...]] = field(default_factory=Counter)
    """Calls after the fence, by drive or performer."""

    def begin(self, request: ExtractionRequest | SynthesisRequest) -> Call:
        """Write a call down that begins, and judge it."""
        scene, process = _SCENE.get(), PROCESS.get()
        assert scene is not None
        assert process is not None
        retry = _RETRY.get()
        segment_id = request.segment_id if isinstance(request, ExtractionRequest) else None
        call = Call(
            process=process,
            run_id=request.run_id,
            video_id=request.video_id,
            segment_id=segment_id,
            retry_id=None if retry is None else retry[0],
            epoch=scene.held.epoch if retry is None else retry[1],
        )
        self.calls.append(call)
        if retry is None:
            self._judge(call, scene)
        else:
            self._judge_retry(call)
        return call

    def _judge(self, call: Call, scene: Scene) -> None:
        here = (run_media.c.run_id == call.run_id, run_media.c.video_id == call.video_id)
        epoch = self.look(lambda c: c.execute(select(run_media.c.epoch).where(*here)).scalar())
        if epoch == call.epoch:
            if call.segment_id is not None:
                status = self._status(call)
                if status not in OPEN:
                    self.wrong.append(f"a call was made for a segment that is {status}: {call}")
            return
        if id(scene) in self.told:
            self.wrong.append(f"a drive that was told of its fence made a call: {call}")
        drive = (call.process.name, call.run_id, call.video_id, call.epoch)
        self._count_late(drive, self.in_flight, call)

    def _judge_retry(self, call: Call) -> None:
        statement = select(retries.c.epoch).where(retries.c.retry_id == call.retry_id)
        if self.look(lambda c: c.execute(statement).scalar()) != call.epoch:
            self._count_late((call.process.name, call.retry_id, call.epoch), 1, call)

    def _count_late(self, who: tuple[Any, ...], most: int, call: Call) -> None:
        self.late[who] += 1
        if self.late[who] > most:
            self.wrong.append(f"{self.late[who]} calls were begun after the fence: {call}")

    def _status(self, call: Call) -> SegmentStatus | None:
        found: SegmentStatus | None = self.look(
            lambda c: c.execute(
                select(run_segments.c.status).where(
                    run_segments.c.run_id == call.run_id,
                    run_segments.c.segment_id == call.segment_id,
                )
            ).scalar()
        )
        return found

    def of_dead(self, process: Process) -> list[Call]:
        """The calls that a process made."""
        return [call for call in self.calls if call.process is process]

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Learn for the block which drive or performer a call belongs to, and who was told."""
        perform, make = SegmentWork.perform, Synthesizer.make
        attempt, fence = Retrier._attempt, Scene.fence
        witness = self

        async def perform_seen(self: SegmentWork, scene: Scene, *args: Any, **named: Any) -> Any:
            _SCENE.set(scene)
            return await perform(self, scene, *args, **named)

        async def make_seen(self: Synthesizer, scene: Scene) -> None:
            _SCENE.set(scene)
            await make(self, scene)

        async def attempt_seen(self: Retrier, taken: Any, *args: Any) -> None:
            _RETRY.set((taken.retry.retry_id, taken.retry.epoch))
            await attempt(self, taken, *args)

        def fence_seen(self: Scene) -> None:
            witness.scenes.append(self)
            witness.told.add(id(self))
            fence(self)

        with (
            patch.object(SegmentWork, "perform", perform_seen),
            patch.object(Synthesizer, "make", make_seen),
            patch.object(Retrier, "_attempt", attempt_seen),
            patch.object(Scene, "fence", fence_seen),
        ):
            yield


_FAILURES = (
    FailureCode.TIMEOUT,
    FailureCode.RATE_LIMITED,
    FailureCode.SCHEMA_INVALID,
    FailureCode.BLOCKED,
    FailureCode.OUTPUT_TRUNCATED,
)


class WitnessedExtractor(CannedExtractor):
    """A canned extractor that takes its time, fails by the seed, and tells the witness."""

    def __init__(self, witness: Witness, clock: Any) -> None:
        super().__init__(clock=clock)
        self._witness = witness
        self._failing = {
            code: tuple(
                CannedExtractor(
                    CannedScript(faults=(Fault(failure_code=code, synthesis=synthesis),)),
                    clock=clock,
                )
                for synthesis in (False, True)
            )
            for code in _FAILURES
        }

    async def extract(self, request: ExtractionRequest) -> Extraction:
        call = self._witness.begin(request)
        failing = await self._pass()
        asked = self if failing is None else failing[0]
        return self._answer(call, await CannedExtractor.extract(asked, request))

    async def synthesize(self, request: SynthesisRequest) -> Extraction:
        call = self._witness.begin(request)
        failing = await self._pass()
        asked = self if failing is None else failing[1]
        return self._answer(call, await CannedExtractor.synthesize(asked, request))

    async def _pass(self) -> tuple[CannedExtractor, ...] | None:
        dice = self._witness.scheduler.dice
        await asyncio.sleep(self._witness.scheduler.lasting(0.01, 2.0))
        if dice.random() >= self._witness.trouble:
            return None
        return self._failing[dice.choice(_FAILURES)]

    def _answer(self, call: Call, extraction: Extraction) -> Extraction:
        (made,) = extraction.calls
        call.llm_call_id = made.llm_call_id
        call.succeeded = extraction.failure is None
        call.answered = True
        return extraction


@dataclass
class Factory:
    """Makes the one model that there is."""

    witness: Witness
    clock: Any
    made: Extractor | None = None

    def known_models(self) -> tuple[str, ...]:
        return ("canned",)

    def extractor(self, processing_model: str) -> Extractor:
        if self.made is None:
            self.made = WitnessedExtractor(self.witness, self.clock)
        return self.made
