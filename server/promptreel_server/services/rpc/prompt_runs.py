"""PromptRunService: runs from execute to manifest, retries and LLM calls."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import grpc
from sqlalchemy import Connection

from promptreel.v2 import (
    llm_call_pb2,
    manifest_pb2,
    prompt_run_pb2,
    prompt_run_pb2_grpc,
    result_pb2,
    retry_pb2,
    run_pb2,
)
from promptreel_server.domain.page import Page, Position
from promptreel_server.domain.retry import Retry
from promptreel_server.engine.admission import retry_orders
from promptreel_server.engine.admission.retry_orders import Plan, RetryOrder
from promptreel_server.engine.engine import Engine
from promptreel_server.errors import FailureCode, Invalid
from promptreel_server.services.call.context import current_call
from promptreel_server.services.call.cursors import Cursors, Listing
from promptreel_server.services.call.idempotency import answered, once
from promptreel_server.services.messages.failures import FAILURE_CODE, retry_message
from promptreel_server.services.messages.json_structs import to_struct
from promptreel_server.services.messages.llm_calls import STATUS as CALL_STATUS
from promptreel_server.services.messages.llm_calls import llm_call_message
from promptreel_server.services.messages.results import result_message, synthesis_message
from promptreel_server.services.messages.runs import RUN_STATUS, filled_in, order, run_message
from promptreel_server.services.rpc.manifests import manifest_of
from promptreel_server.services.watch.run_watches import Watches
from promptreel_server.store.database.database import Database
from promptreel_server.store.runs import (
    llm_calls,
    retries,
    run_media,
    run_segments,
    runs,
    syntheses,
)
from promptreel_server.store.runs.llm_calls import CallFilter
from promptreel_server.store.runs.runs import RunFilter
from promptreel_server.store.schema.transaction import Transaction

Context = grpc.aio.ServicerContext[Any, Any]

MOST_RUNS = 1000
RUNS_A_PAGE = 200
MOST_RETRIES_LISTED = 1000


@dataclass(frozen=True, kw_only=True)
class RunDefaults:
    """What an execute request that leaves it out means."""

    processing_model: str = "local"
    reuse_llm_calls: bool = True


class PromptRunService(prompt_run_pb2_grpc.PromptRunServiceServicer):
    """Runs of the caller."""

    def __init__(
        self,
        *,
        database: Database,
        engine: Engine,
        cursors: Cursors,
        watches: Watches,
        defaults: RunDefaults,
    ) -> None:
        self._database = database
        self._engine = engine
        self._cursors = cursors
        self._watches = watches
        self._defaults = defaults

    async def ExecutePromptRun(
        self, request: prompt_run_pb2.ExecutePromptRunRequest, context: Context
    ) -> run_pb2.PromptRun:
        """Accept a run and set it going."""
        operation, filled = "ExecutePromptRun", self._filled(request)
        again = await answered(self._database, operation, filled, run_pb2.PromptRun)
        if again is not None:
            return again
        wanted = order(filled)
        vetted = await self._engine.vet(wanted)
        answer = await once(
            self._database,
            operation,
            filled,
            lambda tx: run_message(self._engine.accept(tx, wanted, vetted)),
            run_pb2.PromptRun,
        )
        await self._engine.begin(answer.run_id)
        return answer

    async def EstimatePromptRun(
        self, request: prompt_run_pb2.EstimatePromptRunRequest, context: Context
    ) -> run_pb2.PromptRunEstimate:
        """Make the checks of execute and say what the run would take."""
        wanted = order(self._filled(request.run))
        vetted = await self._engine.vet(wanted)
        breakdown = await self._database.read(lambda c: self._engine.estimate(c, wanted, vetted))
        return run_pb2.PromptRunEstimate(breakdown=to_struct(breakdown), sufficient_balance=True)

    async def GetPromptRun(
        self, request: prompt_run_pb2.GetPromptRunRequest, context: Context
    ) -> run_pb2.PromptRun:
        """Answer one run."""
        owner_id = current_call().owner_id
        run = await self._database.read(lambda c: runs.fetch(c, owner_id, request.run_id))
        return run_message(run)

    async def ListPromptRuns(
        self, request: prompt_run_pb2.ListPromptRunsRequest, context: Context
    ) -> prompt_run_pb2.ListPromptRunsResponse:
        """Answer runs, newest first."""
        owner_id = current_call().owner_id
        wanted = _run_filter(request)
        listing = Listing(
            name="runs",
            filters=(request.status, wanted.index_id, wanted.video_id, wanted.prompt_id),
            default_limit=RUNS_A_PAGE,
            most=MOST_RUNS,
        )
        part = self._cursors.wanted(listing, request)
        page = await self._database.read(lambda c: runs.page(c, owner_id, wanted, part))
        return prompt_run_pb2.ListPromptRunsResponse(
            data=[run_message(run) for run in page.items],
            pagination=self._cursors.pagination(listing, part, page),
        )

    async def CancelPromptRun(
        self, request: prompt_run_pb2.CancelPromptRunRequest, context: Context
    ) -> run_pb2.PromptRun:
        """Store the wish to cancel a run; a finished one is answered unchanged."""
        call = current_call()

        def stop(tx: Transaction) -> run_pb2.PromptRun:
            run = runs.fetch(tx.connection, call.owner_id, request.run_id)
            return run_message(self._engine.request_stop(tx, run, call.key_id))

        answer = await once(self._database, "CancelPromptRun", request, stop, run_pb2.PromptRun)
        self._engine.stop(request.run_id)
        return answer

    async def ListResults(
        self, request: prompt_run_pb2.ListResultsRequest, context: Context
    ) -> prompt_run_pb2.ListResultsResponse:
        """Answer what the segments of one media item yielded, by start time."""
        if not request.video_id:
            raise Invalid.field("video_id", "name the media item whose results are wanted")
        owner_id = current_call().owner_id
        listing = Listing(name="results", filters=(request.run_id, request.video_id))
        part = self._cursors.wanted(listing, request)

        def read(c: Connection) -> Page[result_pb2.SegmentRunResult]:
            run = runs.fetch(c, owner_id, request.run_id)
            item = run_media.fetch(c, run.run_id, request.video_id)
            found = run_segments.results(c, run.run_id, item.video_id, part)
            messages = tuple(result_message(run, item, one) for one in found.items)
            return Page(items=messages, after=found.after)

        page = await self._database.read(read)
        return prompt_run_pb2.ListResultsResponse(
            data=page.items, pagination=self._cursors.pagination(listing, part, page)
        )

    async def GetVideoResult(
        self, request: prompt_run_pb2.GetVideoResultRequest, context: Context
    ) -> result_pb2.VideoResult:
        """Answer the synthesis of one media item."""
        owner_id = current_call().owner_id

        def read(c: Connection) -> result_pb2.VideoResult:
            run = runs.fetch(c, owner_id, request.run_id)
            item = run_media.fetch(c, run.run_id, request.video_id)
            return synthesis_message(run, item, syntheses.fetch(c, run.run_id, item.video_id))

        return await self._database.read(read)

    async def GetFailedSegments(
        self, request: prompt_run_pb2.GetFailedSegmentsRequest, context: Context
    ) -> manifest_pb2.FailedSegmentManifest:
        """Answer what stands failed: all of it up to a cap, or a page of media items."""
        owner_id = current_call().owner_id
        paged = request.HasField("limit") or request.HasField("cursor")
        listing = Listing(name="failed", filters=(request.run_id, request.video_id))
        part = self._cursors.wanted(listing, request) if paged else None

        def read(c: Connection) -> tuple[manifest_pb2.FailedSegmentManifest, Position | None]:
            run = runs.fetch(c, owner_id, request.run_id)
            return manifest_of(c, run, request.video_id, part)

        message, reached = await self._database.read(read)
        if reached is not None:
            message.next_cursor = self._cursors.encode(listing, reached)
        return message

    async def RetrySegment(
        self, request: prompt_run_pb2.RetrySegmentRequest, context: Context
    ) -> retry_pb2.Retry:
        """Ask for one segment's failed operations again."""
        call = current_call()
        wanted = RetryOrder(
            owner_id=call.owner_id,
            video_id=request.video_id,
            segment_id=request.segment_id,
            force=request.force,
            idempotency_key=call.idempotency_key,
        )
        written: list[Retry] = []

        def act(tx: Transaction) -> retry_pb2.Retry:
            run = runs.fetch(tx.connection, call.owner_id, request.run_id)
            run_media.fetch(tx.connection, run.run_id, request.video_id)
            written.append(retry_orders.retry_one(tx, run, wanted))
            return retry_message(written[-1], asked=True)

        answer = await once(self._database, "RetrySegment", request, act, retry_pb2.Retry)
        await self._engine.retry(written)
        return answer

    async def RetryFailedSegments(
        self, request: prompt_run_pb2.RetryFailedSegmentsRequest, context: Context
    ) -> prompt_run_pb2.RetryFailedSegmentsResponse:
        """Ask for all failed segments again, or those that failed in certain ways."""
        call = current_call()
        codes = tuple(FAILURE_CODE.member(code, "failure_codes") for code in request.failure_codes)
        wanted = RetryOrder(
            owner_id=call.owner_id,
            video_id="",
            segment_id="",
            force=request.force,
            idempotency_key=call.idempotency_key,
        )
        operation, answer_type = "RetryFailedSegments", prompt_run_pb2.RetryFailedSegmentsResponse
        again = await answered(self._database, operation, request, answer_type)
        if again is not None:
            return again
        written: list[Retry] = []
        plan = await self._plan(request.run_id, codes, wanted)

        def act(tx: Transaction) -> prompt_run_pb2.RetryFailedSegmentsResponse:
            run = runs.fetch(tx.connection, call.owner_id, request.run_id)
            asked, skipped = retry_orders.retry_failed(tx, run, codes, wanted, plan)
            written.extend(asked)
            return prompt_run_pb2.RetryFailedSegmentsResponse(
                run_id=run.run_id,
                retries=[retry_message(one, asked=True) for one in asked[:MOST_RETRIES_LISTED]],
                skipped=[
                    retry_pb2.SkippedSegment(segment_id=one.segment_id, reason=one.reason)
                    for one in skipped[:MOST_RETRIES_LISTED]
                ],
                retry_count=len(asked),
                skipped_count=len(skipped),
            )

        answer = await once(self._database, operation, request, act, answer_type)
        await self._engine.retry(written)
        return answer

    async def _plan(self, run_id: str, codes: tuple[FailureCode, ...], wanted: RetryOrder) -> Plan:
        """Plan a request for many outside the writer's turn: others write meanwhile."""

        def read(c: Connection) -> Plan:
            run = runs.fetch(c, wanted.owner_id, run_id)
            return retry_orders.plan_failed(c, run, codes, wanted, self._database.clock())

        return await self._database.read_snapshot(read)

    async def GetSegmentRetry(
        self, request: prompt_run_pb2.GetSegmentRetryRequest, context: Context
    ) -> retry_pb2.Retry:
        """Answer how a retry stands."""
        owner_id = current_call().owner_id

        def read(c: Connection) -> retry_pb2.Retry:
            runs.fetch(c, owner_id, request.run_id)
            retry = retries.fetch(
                c, request.run_id, request.video_id, request.segment_id, request.retry_id
            )
            return retry_message(retry)

        return await self._database.read(read)

    async def ListSegmentRetries(
        self, request: prompt_run_pb2.ListSegmentRetriesRequest, context: Context
    ) -> prompt_run_pb2.ListSegmentRetriesResponse:
        """Answer the retries of a segment, newest first."""
        owner_id = current_call().owner_id
        ids = (request.run_id, request.video_id, request.segment_id)
        listing = Listing(name="retries", filters=ids)
        part = self._cursors.wanted(listing, request)

        def read(c: Connection) -> Page[Retry]:
            runs.fetch(c, owner_id, request.run_id)
            page = retries.page(c, *ids, part)
            if not page.items:  # the stand-in of a medium goes away, its retries do not
                run_segments.fetch(c, *ids)
            return page

        page = await self._database.read(read)
        return prompt_run_pb2.ListSegmentRetriesResponse(
            data=[retry_message(retry) for retry in page.items],
            pagination=self._cursors.pagination(listing, part, page),
        )

    async def ListLlmCalls(
        self, request: prompt_run_pb2.ListLlmCallsRequest, context: Context
    ) -> prompt_run_pb2.ListLlmCallsResponse:
        """Answer the LLM calls of a run in the order they were made."""
        owner_id = current_call().owner_id
        wanted = _call_filter(request)
        listing = Listing(
            name="llm-calls",
            filters=(request.run_id, wanted.video_id, wanted.segment_id, request.status),
            default_limit=RUNS_A_PAGE,
            most=MOST_RUNS,
        )
        part = self._cursors.wanted(listing, request)

        def read(c: Connection) -> Page[llm_call_pb2.LlmCall]:
            runs.fetch(c, owner_id, request.run_id)
            found = llm_calls.page(c, request.run_id, wanted, part)
            messages = tuple(llm_call_message(recorded) for recorded in found.items)
            return Page(items=messages, after=found.after)

        page = await self._database.read(read)
        return prompt_run_pb2.ListLlmCallsResponse(
            data=page.items, pagination=self._cursors.pagination(listing, part, page)
        )

    def WatchPromptRun(
        self, request: prompt_run_pb2.WatchPromptRunRequest, context: Context
    ) -> AsyncIterator[prompt_run_pb2.PromptRunUpdate]:
        """Stream how a run goes on."""
        return self._watches.run(request)

    def StreamResults(
        self, request: prompt_run_pb2.StreamResultsRequest, context: Context
    ) -> AsyncIterator[prompt_run_pb2.ResultUpdate]:
        """Stream results in the order they were written."""
        return self._watches.results(request)

    def _filled(
        self, request: prompt_run_pb2.ExecutePromptRunRequest
    ) -> prompt_run_pb2.ExecutePromptRunRequest:
        defaults = self._defaults
        return filled_in(request, model=defaults.processing_model, reuse=defaults.reuse_llm_calls)


def _run_filter(request: prompt_run_pb2.ListPromptRunsRequest) -> RunFilter:
    status = request.HasField("status")
    return RunFilter(
        status=RUN_STATUS.member(request.status, "status") if status else None,
        index_id=request.index_id or None,
        video_id=request.video_id or None,
        prompt_id=request.prompt_id or None,
    )


def _call_filter(request: prompt_run_pb2.ListLlmCallsRequest) -> CallFilter:
    status = request.HasField("status")
    return CallFilter(
        video_id=request.video_id or None,
        segment_id=request.segment_id or None,
        status=CALL_STATUS.member(request.status, "status") if status else None,
    )
