"""What the server refuses reaches a REST caller as the one envelope, with its status."""

import grpc
import httpx
import pytest

from promptreel.v2.run_pb2 import PromptRun
from tests.gateway.refusals import refusal_of
from tests.gateway.stand_in import Context, Refusal, StandIn

CODES = grpc.StatusCode


@pytest.mark.parametrize(
    ("code", "status", "reason"),
    [
        (CODES.INVALID_ARGUMENT, 400, "invalid_cursor"),
        (CODES.UNAUTHENTICATED, 401, "unauthenticated"),
        (CODES.PERMISSION_DENIED, 403, "scope_missing"),
        (CODES.NOT_FOUND, 404, "not_found"),
        (CODES.FAILED_PRECONDITION, 409, "segment_not_failed"),
        (CODES.ABORTED, 409, "idempotency_in_progress"),
        (CODES.RESOURCE_EXHAUSTED, 413, "too_large"),
        (CODES.FAILED_PRECONDITION, 422, "idempotency_key_reused"),
        (CODES.RESOURCE_EXHAUSTED, 429, "rate_limited"),
        (CODES.INTERNAL, 500, "internal"),
        (CODES.UNAVAILABLE, 503, "unavailable"),
    ],
)
def test_each_error_of_the_tree_keeps_its_status_and_its_envelope(
    rest: httpx.Client, stand_in: StandIn, code: CODES, status: int, reason: str
) -> None:
    stand_in.refuse("run_refused", Refusal(code=code, http_status=status, reason=reason))
    answer = rest.post("/api/v2/prompt-runs/run_refused/cancel")
    assert answer.status_code == status
    assert refusal_of(answer)["code"] == reason


def test_details_of_six_kilobytes_arrive_whole(rest: httpx.Client, stand_in: StandIn) -> None:
    known = "x" * 6000
    refusal = Refusal(
        code=CODES.INVALID_ARGUMENT,
        http_status=400,
        reason="unknown_model",
        details=f'{{"known": "{known}"}}',
    )
    stand_in.refuse("run_detailed", refusal)
    answer = rest.get("/api/v2/prompt-runs/run_detailed")
    assert refusal_of(answer)["details"] == {"known": known}


def test_a_delay_that_the_server_names_becomes_retry_after(
    rest: httpx.Client, stand_in: StandIn
) -> None:
    refusal = Refusal(
        code=CODES.RESOURCE_EXHAUSTED, http_status=429, reason="rate_limited", retry_after=17
    )
    stand_in.refuse("run_hurried", refusal)
    assert rest.get("/api/v2/prompt-runs/run_hurried").headers["retry-after"] == "17"


def test_a_refused_stream_is_an_envelope_too(rest: httpx.Client, stand_in: StandIn) -> None:
    refusal = Refusal(code=CODES.NOT_FOUND, http_status=404, reason="not_found")
    stand_in.refuse("run_unseen", refusal)
    answer = rest.get("/api/v2/processing/events/stream", params={"run_id": "run_unseen"})
    assert answer.status_code == 404
    assert refusal_of(answer)["code"] == "not_found"


@pytest.mark.parametrize(
    ("code", "status", "reason"),
    [
        (CODES.CANCELLED, 499, "cancelled"),
        (CODES.UNKNOWN, 500, "internal"),
        (CODES.INVALID_ARGUMENT, 400, "invalid_request"),
        (CODES.DEADLINE_EXCEEDED, 503, "unavailable"),
        (CODES.NOT_FOUND, 404, "not_found"),
        (CODES.ALREADY_EXISTS, 500, "internal"),
        (CODES.PERMISSION_DENIED, 403, "scope_missing"),
        (CODES.RESOURCE_EXHAUSTED, 429, "rate_limited"),
        (CODES.FAILED_PRECONDITION, 409, "conflict"),
        (CODES.ABORTED, 409, "conflict"),
        (CODES.OUT_OF_RANGE, 500, "internal"),
        (CODES.UNIMPLEMENTED, 404, "not_found"),
        (CODES.INTERNAL, 500, "internal"),
        (CODES.UNAVAILABLE, 503, "unavailable"),
        (CODES.DATA_LOSS, 500, "internal"),
        (CODES.UNAUTHENTICATED, 401, "unauthenticated"),
    ],
)
def test_a_grpc_error_without_an_envelope_gets_one_that_keeps_its_text_to_itself(
    rest: httpx.Client, stand_in: StandIn, code: CODES, status: int, reason: str
) -> None:
    async def abort(context: Context) -> PromptRun:
        await context.abort(code, "secret text")
        raise AssertionError("abort raises")

    stand_in.scripts["run_bare"] = abort
    answer = rest.post("/api/v2/prompt-runs/run_bare/cancel")
    assert answer.status_code == status
    assert refusal_of(answer)["code"] == reason
    assert "secret" not in answer.text
    assert ("retry-after" in answer.headers) == (status in (429, 503))


def test_an_error_after_the_initial_metadata_still_gets_an_envelope(
    rest: httpx.Client, stand_in: StandIn
) -> None:
    async def abort_late(context: Context) -> PromptRun:
        await context.send_initial_metadata((("x-next-cursor", "abc"),))
        await context.abort(CODES.NOT_FOUND, "secret text")
        raise AssertionError("abort raises")

    stand_in.scripts["run_late"] = abort_late
    answer = rest.get("/api/v2/prompt-runs/run_late")
    assert answer.status_code == 404
    assert refusal_of(answer)["code"] == "not_found"
    assert "secret" not in answer.text


def test_a_crash_of_the_server_s_code_shows_nothing_of_itself(
    rest: httpx.Client, stand_in: StandIn
) -> None:
    async def crash(context: Context) -> PromptRun:
        raise RuntimeError("secret text")

    stand_in.scripts["run_crash"] = crash
    answer = rest.get("/api/v2/prompt-runs/run_crash")
    assert answer.status_code == 500
    assert refusal_of(answer)["code"] == "internal"
    assert "secret" not in answer.text
    assert "Traceback" not in answer.text


def test_an_rpc_that_the_server_lacks_is_not_found(rest: httpx.Client) -> None:
    answer = rest.get("/api/v2/indexes")
    assert answer.status_code == 404
    assert refusal_of(answer)["code"] == "not_found"


def test_many_internal_errors_do_not_shut_the_server_out(
    rest: httpx.Client, stand_in: StandIn
) -> None:
    refusal = Refusal(code=CODES.INTERNAL, http_status=500, reason="internal")
    stand_in.refuse("run_broken", refusal)
    for _ in range(20):
        assert rest.get("/api/v2/prompt-runs/run_broken").status_code == 500
    assert rest.get("/api/v2/prompt-runs/run_fine").status_code == 200
