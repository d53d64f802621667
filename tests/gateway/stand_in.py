"""A gRPC server that plays, over the real contract, whatever answer a test asks for."""

# ruff: noqa: N802 (rpcs are named as in the contract)

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import Any

import grpc
from google.api.httpbody_pb2 import HttpBody
from google.protobuf.any_pb2 import Any as AnyMessage
from google.rpc.error_details_pb2 import ErrorInfo
from google.rpc.status_pb2 import Status
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

from promptreel.v2 import enums_pb2 as enums
from promptreel.v2 import prompt_run_pb2 as pb
from promptreel.v2 import prompt_run_pb2_grpc, rest_pb2, rest_pb2_grpc
from promptreel.v2.run_pb2 import PromptRun

Context = grpc.aio.ServicerContext[Any, Any]
Script = Callable[[Context], Awaitable[PromptRun]]
BOUNDS = [
    ("grpc.so_reuseport", 0),
    ("grpc.max_send_message_length", 32 << 20),
    ("grpc.http2.min_ping_interval_without_data_ms", 10_000),
]


@dataclass(frozen=True, kw_only=True)
class Refusal:
    """An error as the services' interceptor sends it."""

    code: grpc.StatusCode
    http_status: int
    reason: str
    message: str = "Do something else."
    details: str = "{}"
    retry_after: int | None = None

    async def abort(self, context: Context) -> None:
        request_id = dict(context.invocation_metadata() or ()).get("x-request-id", "")
        envelope = (
            f'{{"error": {{"code": "{self.reason}", "message": {json.dumps(self.message)}, '
            f'"details": {self.details}, "request_id": "{request_id!s}"}}}}'
        )
        info = AnyMessage()
        info.Pack(ErrorInfo(reason=self.reason.upper(), domain="promptreel"))
        status = Status(code=self.code.value[0], message=self.message, details=[info])
        trailers: list[tuple[str, str | bytes]] = [
            ("x-error-envelope", envelope),
            ("x-http-status", str(self.http_status)),
            ("x-request-id", str(request_id)),
            ("grpc-status-details-bin", status.SerializeToString()),
        ]
        if self.retry_after is not None:
            trailers.append(("retry-after", str(self.retry_after)))
        await context.abort(self.code, self.message, tuple(trailers))


class StandIn:
    """Serves PromptRunService and RestService; `scripts` says how a run id is answered."""

    def __init__(self) -> None:
        self.scripts: dict[str, Script] = {}
        self.calls: Counter[str] = Counter()
        self.metadata: dict[str, dict[str, str | bytes]] = {}
        self.health = health.aio.HealthServicer()
        self.open_watches = 0
        self.port = 0
        self._server: grpc.aio.Server | None = None

    async def start(self, port: int = 0) -> int:
        """Listen on loopback; answer the port."""
        server = grpc.aio.server(options=BOUNDS)
        # What they leave out is answered UNIMPLEMENTED, which is one of the errors to be seen.
        runs = _PromptRuns(self)  # type: ignore[abstract]
        prompt_run_pb2_grpc.add_PromptRunServiceServicer_to_server(runs, server)
        rest = _Rest(self)  # type: ignore[abstract]
        rest_pb2_grpc.add_RestServiceServicer_to_server(rest, server)
        health_pb2_grpc.add_HealthServicer_to_server(self.health, server)
        await self.serving(True)
        self.port = server.add_insecure_port(f"127.0.0.1:{port}")
        await server.start()
        self._server = server
        return self.port

    async def stop(self) -> None:
        if self._server:
            await self._server.stop(None)

    async def serving(self, yes: bool) -> None:
        words = health_pb2.HealthCheckResponse
        await self.health.set("", words.SERVING if yes else words.NOT_SERVING)

    def note(self, rpc: str, key: str, context: Context) -> None:
        """Remember a call and the metadata it came with."""
        self.calls[f"{rpc} {key}"] += 1
        self.metadata[key] = dict(context.invocation_metadata() or ())

    def refuse(self, run_id: str, refusal: Refusal) -> None:
        """Answer this run id with a refusal from now on."""

        async def play(context: Context) -> PromptRun:
            await refusal.abort(context)
            raise AssertionError("abort raises")

        self.scripts[run_id] = play


class _PromptRuns(prompt_run_pb2_grpc.PromptRunServiceServicer):
    def __init__(self, stand_in: StandIn) -> None:
        self._stand_in = stand_in

    async def GetPromptRun(self, request: pb.GetPromptRunRequest, context: Context) -> PromptRun:
        return await self._play("GetPromptRun", request.run_id, context)

    async def CancelPromptRun(
        self, request: pb.CancelPromptRunRequest, context: Context
    ) -> PromptRun:
        return await self._play("CancelPromptRun", request.run_id, context)

    async def ExecutePromptRun(
        self, request: pb.ExecutePromptRunRequest, context: Context
    ) -> PromptRun:
        return await self._play("ExecutePromptRun", request.prompt_id, context)

    async def ListResults(
        self, request: pb.ListResultsRequest, context: Context
    ) -> pb.ListResultsResponse:
        self._stand_in.note("ListResults", request.run_id, context)
        return pb.ListResultsResponse()

    async def WatchPromptRun(
        self, request: pb.WatchPromptRunRequest, context: Context
    ) -> AsyncIterator[pb.PromptRunUpdate]:
        self._stand_in.open_watches += 1
        try:
            run = PromptRun(run_id=request.run_id, status=enums.RunStatus.processing)
            yield pb.PromptRunUpdate(sequence=1, snapshot=run)
            if request.run_id == "run_endless":
                await asyncio.Event().wait()
            end = pb.WatchEnd(
                status=enums.RunStatus.completed, reason=enums.WatchEndReason.run_ended
            )
            yield pb.PromptRunUpdate(sequence=2, end=end)
        finally:
            self._stand_in.open_watches -= 1

    async def _play(self, rpc: str, key: str, context: Context) -> PromptRun:
        self._stand_in.note(rpc, key, context)
        script = self._stand_in.scripts.get(key)
        if script:
            return await script(context)
        return PromptRun(run_id=key, status=enums.RunStatus.pending)


class _Rest(rest_pb2_grpc.RestServiceServicer):
    def __init__(self, stand_in: StandIn) -> None:
        self._stand_in = stand_in

    async def ListPromptRuns(self, request: pb.ListPromptRunsRequest, context: Context) -> HttpBody:
        await context.send_initial_metadata(
            (("x-next-cursor", "abc"), ("idempotent-replayed", "true"))
        )
        return HttpBody(content_type="application/json", data=b'[{"run_id":"run_1"}]')

    async def UploadVideoForm(
        self, request_iterator: AsyncIterator[HttpBody], context: Context
    ) -> HttpBody:
        total, longest, content_type = 0, 0, ""
        async for piece in request_iterator:
            content_type = content_type or piece.content_type
            total += len(piece.data)
            longest = max(longest, len(piece.data))
        told = {"total": total, "longest": longest, "content_type": content_type}
        return HttpBody(content_type="application/json", data=json.dumps(told).encode())

    async def StreamEvents(
        self, request: rest_pb2.StreamEventsRequest, context: Context
    ) -> AsyncIterator[HttpBody]:
        self._stand_in.note("StreamEvents", request.run_id, context)
        if request.run_id in self._stand_in.scripts:
            await self._stand_in.scripts[request.run_id](context)
        if request.run_id == "run_quiet":
            await asyncio.sleep(16)
        for text in _events(3):
            yield HttpBody(content_type="text/event-stream", data=text.encode())
            await asyncio.sleep(0.3)

    async def WatchPromptRunEvents(
        self, request: rest_pb2.WatchPromptRunEventsRequest, context: Context
    ) -> AsyncIterator[HttpBody]:
        self._stand_in.open_watches += 1
        try:
            yield HttpBody(content_type="text/event-stream", data=b": heartbeat\n\n")
            await asyncio.Event().wait()
        finally:
            self._stand_in.open_watches -= 1

    async def GetOpenApi(self, request: rest_pb2.GetOpenApiRequest, context: Context) -> HttpBody:
        return HttpBody(content_type="application/json", data=b'{"openapi": "3.1.0"}')


def _events(count: int) -> Iterable[str]:
    for number in range(1, count):
        yield f"id: {number}\nevent: segment.completed\ndata: {{}}\n\n"
    yield ": heartbeat\n\n"
