"""Whatever is done to runs in whatever order, they only move as they may and count right."""

import asyncio
import contextlib
import tempfile
from collections.abc import Coroutine
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)

from promptreel_server.domain.media import MediaItem
from promptreel_server.domain.page import Slice
from promptreel_server.domain.prompt import Prompt
from promptreel_server.domain.retry import Retry
from promptreel_server.domain.run import Run, RunStatus
from promptreel_server.domain.segment import SegmentStatus
from promptreel_server.engine import engine as engine_module
from promptreel_server.engine.admission import retry_orders
from promptreel_server.engine.admission.retry_orders import RetryOrder
from promptreel_server.errors import Conflict, FailureCode, NotRetryable, SegmentNotFailed
from promptreel_server.extractors.canned.extractor import CannedScript, Fault
from promptreel_server.store.database.sqlite import open_sqlite
from promptreel_server.store.runs import counter_audit, llm_calls, retries, run_segments, runs
from promptreel_server.store.runs.llm_calls import CallFilter
from promptreel_server.store.schema.transaction import Transaction
from tests.engines import OWNER, Rig, rig
from tests.eventually import eventually

Answer = TypeVar("Answer")

EVERYTHING = Slice(limit=1000)
SEGMENTS = 6
ENDED = {
    RunStatus.COMPLETED,
    RunStatus.COMPLETED_WITH_FAILURES,
    RunStatus.FAILED,
    RunStatus.CANCELLED,
}
ALLOWED = {
    RunStatus.PENDING: {RunStatus.PROCESSING, *ENDED},
    RunStatus.PROCESSING: ENDED,
    # a retry mends what ended, in whole or in part; what is complete stays so
    RunStatus.COMPLETED: set(),
    RunStatus.COMPLETED_WITH_FAILURES: {RunStatus.COMPLETED},
    RunStatus.FAILED: {RunStatus.COMPLETED, RunStatus.COMPLETED_WITH_FAILURES},
    RunStatus.CANCELLED: {RunStatus.COMPLETED, RunStatus.COMPLETED_WITH_FAILURES},
}
SCRIPTS = {
    "well": CannedScript(),
    "slow": CannedScript(latency_seconds=0.03),
    "partly": CannedScript(
        latency_seconds=0.01,
        faults=(Fault(failure_code=FailureCode.SCHEMA_INVALID, one_in=2),),
    ),
    "blocked": CannedScript(faults=(Fault(failure_code=FailureCode.BLOCKED, starts_from=3),)),
    "hopeless": CannedScript(faults=(Fault(failure_code=FailureCode.SCHEMA_INVALID),)),
    "shaky": CannedScript(faults=(Fault(failure_code=FailureCode.TIMEOUT, attempts=(1, 2)),)),
    "mute": CannedScript(faults=(Fault(failure_code=FailureCode.SCHEMA_INVALID, synthesis=True),)),
}


@dataclass
class Expected:
    """What the model knows of a run: how it stood last, and what was done to it."""

    video: MediaItem
    status: RunStatus = RunStatus.PENDING
    stopped: bool = False
    completed: int = 0


class Lifecycle(RuleBasedStateMachine):
    """Runs over one store, whose engine is now and then killed and started again."""

    ordered: "Bundle[str]" = Bundle("ordered")

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.folder = tempfile.TemporaryDirectory()
        self.stack = contextlib.AsyncExitStack()
        self.life = contextlib.AsyncExitStack()
        self.expected: dict[str, Expected] = {}

    def do(self, work: Coroutine[Any, Any, Answer]) -> Answer:
        async def bounded() -> Answer:
            async with asyncio.timeout(30):
                return await work

        return self.loop.run_until_complete(bounded())

    @initialize()
    def begin(self) -> None:
        async def start() -> Prompt:
            opened = open_sqlite(Path(self.folder.name))
            self.database = await self.stack.enter_async_context(opened)
            self.rig: Rig = await self.life.enter_async_context(rig(self.database))
            return await self.rig.prompt(video_level=True)

        self.prompt = self.do(start())

    @rule(target=ordered, script=st.sampled_from(sorted(SCRIPTS)), dispatched=st.booleans())
    def execute(self, script: str, dispatched: bool) -> str:
        """Order a run; one that nobody dispatches is taken up all the same."""

        async def order() -> tuple[Run, MediaItem]:
            self.rig.canned.change(SCRIPTS[script])
            video = await self.rig.add(seconds=SEGMENTS)
            wanted = self.rig.order(self.prompt, [video], seconds=1)
            run = await self.rig.accept(wanted)
            if dispatched:
                await self.rig.engine.begin(run.run_id)
            return run, video

        run, video = self.do(order())
        self.expected[run.run_id] = Expected(video=video)
        return run.run_id

    @rule(milliseconds=st.integers(1, 60))
    def progress(self, milliseconds: int) -> None:
        self.do(asyncio.sleep(milliseconds / 1000))

    @rule(run_id=ordered)
    def end(self, run_id: str) -> None:
        run = self.do(self.rig.ended(run_id))
        if self.expected[run_id].stopped:
            assert run.stop is not None
            assert run.stop.completed_at is not None

    @rule(run_id=ordered)
    def cancel(self, run_id: str) -> None:
        async def stop() -> tuple[Run, Run]:
            before = await self.rig.run(run_id)
            after = await self.database.write(
                lambda tx: self.rig.engine.request_stop(tx, self._fresh(tx, run_id), "key_test")
            )
            self.rig.engine.stop(run_id)
            return before, after

        before, after = self.do(stop())
        if before.status.terminal:
            assert after == before, "cancelling a run that has ended changes nothing"
        elif not after.status.terminal:
            assert after.stop is not None
            self.expected[run_id].stopped = True

    @staticmethod
    def _fresh(tx: Any, run_id: str) -> Run:
        return runs.fetch(tx.connection, OWNER, run_id)

    @rule(
        run_id=ordered,
        ordinal=st.integers(0, SEGMENTS - 1),
        force=st.booleans(),
        script=st.sampled_from(["well", "hopeless", "slow"]),
    )
    def retry(self, run_id: str, ordinal: int, force: bool, script: str) -> None:
        async def ask() -> None:
            video_id = self.expected[run_id].video.video_id
            page = await self.database.read(
                lambda c: run_segments.results(c, run_id, video_id, EVERYTHING)
            )
            found = {one.segment.ordinal: one for one in page.items}.get(ordinal)
            if found is None:
                return
            self.rig.canned.change(SCRIPTS[script])
            order = RetryOrder(
                owner_id=OWNER,
                video_id=video_id,
                segment_id=found.segment.segment_id,
                force=force,
            )

            def write(tx: Transaction) -> tuple[Run, Retry]:
                fresh = self._fresh(tx, run_id)
                return fresh, retry_orders.retry_one(tx, fresh, order)

            try:
                accepted, made = await self.database.write(write)
            except SegmentNotFailed:
                assert found.status is not SegmentStatus.FAILED
                return
            except NotRetryable:
                assert not force
                return
            except Conflict:
                return  # the run goes on, or another retry of the segment does
            assert accepted.status.terminal
            await self.rig.engine.retry([made])

        self.do(ask())

    @rule(abruptly=st.booleans())
    def restart(self, abruptly: bool) -> None:
        """Stop the engine as SIGTERM does, or as a kill does, and start another over the store."""

        async def again() -> None:
            if abruptly:
                with contextlib.suppress(BaseExceptionGroup, ConnectionError):
                    error = ConnectionError("the power is gone")
                    await self.life.__aexit__(type(error), error, None)
            else:
                await self.life.aclose()
            self.life = contextlib.AsyncExitStack()
            self.rig = await self.life.enter_async_context(rig(self.database))

        self.do(again())

    @rule(run_id=consumes(ordered))
    def settle(self, run_id: str) -> None:
        """Once all is quiet, every segment has one end, and every call that succeeded one row."""

        async def quiet() -> tuple[Run, int, int]:
            await eventually(lambda: self._quiet(run_id))
            run = await self.rig.run(run_id)
            video_id = self.expected[run_id].video.video_id
            page = await self.database.read(
                lambda c: run_segments.results(c, run_id, video_id, EVERYTHING)
            )
            calls = await self.database.read(
                lambda c: llm_calls.page(c, run_id, CallFilter(), EVERYTHING)
            )
            assert len({found.call.llm_call_id for found in calls.items}) == len(calls.items)
            ended = [one for one in page.items if one.status.terminal]
            return run, len(page.items), len(ended)

        run, segments, ended = self.do(quiet())
        assert segments == ended
        done = run.completed_segments + run.failed_segments + run.cancelled_segments
        assert done == run.total_segments == segments
        if run.status is RunStatus.COMPLETED:
            assert run.completed_segments == SEGMENTS
        if run.status is RunStatus.CANCELLED:
            assert run.stop is not None

    async def _quiet(self, run_id: str) -> bool:
        run = await self.rig.run(run_id)
        video_id = self.expected[run_id].video.video_id
        going = await self.database.read(lambda c: retries.any_open(c, run_id, video_id))
        return run.status.terminal and not going

    @invariant()
    def statuses_move_only_as_they_may(self) -> None:
        for run_id, expected in self.expected.items():
            run = self.do(self.rig.run(run_id))
            if run.status is not expected.status:
                path = _reachable(expected.status)
                assert run.status in path, (expected.status, run.status)
            assert run.completed_segments >= expected.completed, "a result was lost"
            expected.status, expected.completed = run.status, run.completed_segments

    @invariant()
    def counters_add_up(self) -> None:
        if self.expected:
            assert self.do(self.database.read_snapshot(counter_audit.miscounts)) == []

    def teardown(self) -> None:
        async def end() -> None:
            for run_id in self.expected:
                await self.rig.ended(run_id)
            assert await self.database.read(counter_audit.stuck) == []
            await self.life.aclose()
            await self.stack.aclose()

        try:
            if hasattr(self, "rig"):
                self.do(end())
        finally:
            self.loop.close()
            self.folder.cleanup()


def _reachable(status: RunStatus) -> set[RunStatus]:
    """All that can follow, as several moves may lie between two looks."""
    found: set[RunStatus] = set()
    ahead = [status]
    while ahead:
        for following in ALLOWED[ahead.pop()] - found:
            found.add(following)
            ahead.append(following)
    return found


def test_runs_only_move_as_they_may_and_count_right_whatever_is_done_to_them(
    monkeypatch: Any,
) -> None:
    monkeypatch.setattr(engine_module, "TAKE_UP_EVERY", 0.05)
    run_state_machine_as_test(
        Lifecycle,
        settings=settings(
            max_examples=25,
            stateful_step_count=15,
            deadline=None,
            derandomize=True,
            suppress_health_check=list(HealthCheck),
        ),
    )
