"""Native gRPC and gRPC-web pass through the same port untouched."""

import struct

import grpc
import httpx
import pytest
from google.rpc.error_details_pb2 import ErrorInfo
from grpc_health.v1 import health_pb2
from grpc_status import rpc_status

from promptreel.v2 import prompt_run_pb2 as pb
from promptreel.v2 import prompt_run_pb2_grpc
from promptreel.v2.run_pb2 import PromptRun
from tests.gateway.conftest import Front
from tests.gateway.stand_in import Refusal, StandIn

PATH = "/promptreel.v2.PromptRunService/GetPromptRun"


def test_a_native_call_passes(channel: grpc.Channel) -> None:
    stub = prompt_run_pb2_grpc.PromptRunServiceStub(channel)
    assert stub.GetPromptRun(pb.GetPromptRunRequest(run_id="run_n")).run_id == "run_n"


def test_a_native_caller_gets_code_details_and_trailers(
    channel: grpc.Channel, stand_in: StandIn
) -> None:
    refusal = Refusal(
        code=grpc.StatusCode.NOT_FOUND, http_status=404, reason="not_found", message="Nowhere."
    )
    stand_in.refuse("run_native", refusal)
    stub = prompt_run_pb2_grpc.PromptRunServiceStub(channel)
    with pytest.raises(grpc.RpcError) as caught:
        stub.GetPromptRun(pb.GetPromptRunRequest(run_id="run_native"))
    error = caught.value
    assert isinstance(error, grpc.Call)
    assert error.code() is grpc.StatusCode.NOT_FOUND
    assert error.details() == "Nowhere."
    info = ErrorInfo()
    status = rpc_status.from_call(error)
    assert status is not None
    status.details[0].Unpack(info)
    assert info.reason == "NOT_FOUND"


def test_a_native_watch_runs_to_its_end(channel: grpc.Channel) -> None:
    stub = prompt_run_pb2_grpc.PromptRunServiceStub(channel)
    updates = list(stub.WatchPromptRun(pb.WatchPromptRunRequest(run_id="run_w")))
    assert [update.WhichOneof("update") for update in updates] == ["snapshot", "end"]


def test_a_native_request_is_not_held_to_the_rest_body_limit(channel: grpc.Channel) -> None:
    stub = prompt_run_pb2_grpc.PromptRunServiceStub(channel)
    request = pb.ExecutePromptRunRequest(prompt_id="x" * (3 << 20))
    assert stub.ExecutePromptRun(request).run_id == request.prompt_id


def test_the_caller_s_deadline_ends_a_native_call(channel: grpc.Channel) -> None:
    stub = prompt_run_pb2_grpc.PromptRunServiceStub(channel)
    watch = stub.WatchPromptRun(pb.WatchPromptRunRequest(run_id="run_endless"), timeout=0.5)
    with pytest.raises(grpc.RpcError) as caught:
        list(watch)
    assert isinstance(caught.value, grpc.Call)
    assert caught.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED


def test_the_request_id_comes_back_as_metadata(channel: grpc.Channel) -> None:
    call = prompt_run_pb2_grpc.PromptRunServiceStub(channel).GetPromptRun.with_call(
        pb.GetPromptRunRequest(run_id="run_id"), metadata=(("x-request-id", "mine-7"),)
    )[1]
    assert ("x-request-id", "mine-7") in tuple(call.initial_metadata())


def test_health_is_served_natively_through_the_gateway(channel: grpc.Channel) -> None:
    check = channel.unary_unary(
        "/grpc.health.v1.Health/Check",
        request_serializer=health_pb2.HealthCheckRequest.SerializeToString,
        response_deserializer=health_pb2.HealthCheckResponse.FromString,
    )
    answer = check(health_pb2.HealthCheckRequest())
    assert answer.status == health_pb2.HealthCheckResponse.SERVING


def test_an_unknown_native_method_is_unimplemented(channel: grpc.Channel) -> None:
    call: grpc.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary(
        "/promptreel.v2.Nowhere/Nothing"
    )
    with pytest.raises(grpc.RpcError) as caught:
        call(b"")
    assert isinstance(caught.value, grpc.Call)
    assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED


def test_grpc_web_passes_with_its_trailers_in_the_body(front: Front) -> None:
    message = pb.GetPromptRunRequest(run_id="run_web").SerializeToString()
    answer = httpx.post(
        front.url + PATH,
        content=b"\0" + struct.pack(">I", len(message)) + message,
        headers={
            "content-type": "application/grpc-web+proto",
            "x-grpc-web": "1",
            "origin": "http://localhost:5173",
        },
    )
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("application/grpc-web")
    assert answer.headers["access-control-allow-origin"] == "http://localhost:5173"
    (length,) = struct.unpack(">I", answer.content[1:5])
    assert PromptRun.FromString(answer.content[5 : 5 + length]).run_id == "run_web"
    assert b"grpc-status:0" in answer.content[5 + length :]


@pytest.mark.parametrize(
    ("origin", "allowed"), [("http://localhost:5173", True), ("https://evil.example", False)]
)
def test_only_a_page_of_this_machine_passes_the_preflight(
    front: Front, origin: str, allowed: bool
) -> None:
    headers = {"origin": origin, "access-control-request-method": "POST"}
    answer = httpx.options(front.url + PATH, headers=headers)
    assert ("access-control-allow-origin" in answer.headers) is allowed
