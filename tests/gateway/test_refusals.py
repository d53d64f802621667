"""What Envoy refuses itself has the same envelope, and a message that says what to do."""

import json
import socket

import grpc
import httpx
import pytest

from promptreel.v2.run_pb2 import PromptRun
from tests.gateway.conftest import Front
from tests.gateway.refusals import refusal_of
from tests.gateway.stand_in import Context, Script, StandIn


def violations_of(answer: httpx.Response) -> list[dict[str, str]]:
    assert answer.status_code == 400
    error = refusal_of(answer)
    assert error["code"] == "invalid_request"
    details = error["details"]
    assert isinstance(details, dict)
    violations = details.get("field_violations", [])
    assert isinstance(violations, list)
    return violations


@pytest.mark.parametrize("path", ["/nope", "/api/v2/nope", "/", "/api/v2"])
def test_an_unknown_path_is_not_found(rest: httpx.Client, path: str) -> None:
    answer = rest.get(path)
    assert answer.status_code == 404
    assert refusal_of(answer)["code"] == "not_found"


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("DELETE", "/api/v2/prompt-runs", "GET"),
        ("PUT", "/api/v2/prompt-runs/run_1", "GET"),
        ("GET", "/api/v2/prompt-runs/run_1/cancel", "POST"),
        ("PATCH", "/api/v2/prompts/prompt_1", "GET, PUT, DELETE"),
        ("POST", "/openapi.json", "GET"),
        ("OPTIONS", "/api/v2/indexes", "POST, GET"),
        ("PUT", "/api/v2/prompt-runs/execute", "POST"),
        ("TRACE", "/healthz", "GET, HEAD"),
    ],
)
def test_a_known_path_with_another_method_says_which_it_knows(
    rest: httpx.Client, method: str, path: str, allowed: str
) -> None:
    answer = rest.request(method, path)
    assert answer.status_code == 405
    assert answer.headers["allow"] == allowed
    assert refusal_of(answer)["code"] == "method_not_allowed"


def test_a_query_parameter_that_comes_twice_is_named(rest: httpx.Client) -> None:
    answer = rest.get("/api/v2/prompt-runs?limit=1&limit=2")
    assert violations_of(answer) == [{"field": "limit", "description": "comes more than once"}]


def test_a_list_in_place_of_one_value_is_called_so(rest: httpx.Client) -> None:
    answer = rest.post("/api/v2/prompt-runs/execute", json={"prompt_id": ["a", "b"]})
    assert violations_of(answer) == []
    assert "a list where one value is meant" in str(refusal_of(answer)["message"])


def test_an_unknown_query_parameter_is_named(rest: httpx.Client) -> None:
    answer = rest.get("/api/v2/prompt-runs", params={"colour": "red"})
    assert [violation["field"] for violation in violations_of(answer)] == ["colour"]


def test_a_query_parameter_of_another_type_is_named(rest: httpx.Client) -> None:
    answer = rest.get("/api/v2/prompt-runs", params={"limit": "many"})
    assert violations_of(answer) == [{"field": "limit", "description": "must be a whole number"}]


@pytest.mark.parametrize(
    ("body", "field", "description"),
    [
        (
            {"video_segmentation_type": "bogus"},
            "video_segmentation_type",
            "must be one of smart, fixed, content_aware, image",
        ),
        (
            {"video_segmentation_type": "SMART"},
            "video_segmentation_type",
            "must be one of smart, fixed, content_aware, image",
        ),
        (
            {"target": {"type": "everything"}},
            "target.type",
            "must be one of index, videos, playground",
        ),
        ({"target": {"index_id": 5}}, "target.index_id", "must be a string"),
        ({"target": {"video_ids": ["a", 5]}}, "target.video_ids", "must be a string"),
        ({"video_segment_duration": 1.5}, "video_segment_duration", "must be a whole number"),
        ({"enable_transcription": "maybe"}, "enable_transcription", "must be true or false"),
    ],
)
def test_a_field_with_a_bad_value_is_named_with_what_it_takes(
    rest: httpx.Client, body: dict[str, object], field: str, description: str
) -> None:
    answer = rest.post("/api/v2/prompt-runs/execute", json=body)
    assert violations_of(answer) == [{"field": field, "description": description}]
    assert field in str(refusal_of(answer)["message"])


def test_a_field_of_an_estimate_is_named_as_in_its_body(rest: httpx.Client) -> None:
    answer = rest.post("/api/v2/prompt-runs/estimate", json={"target": {"type": "everything"}})
    assert [violation["field"] for violation in violations_of(answer)] == ["target.type"]


def test_a_body_that_contradicts_the_path_is_refused(rest: httpx.Client) -> None:
    answer = rest.post("/api/v2/prompt-runs/run_1/cancel", json={"run_id": "run_2"})
    assert [violation["field"] for violation in violations_of(answer)] == ["run_id"]


def test_a_query_that_contradicts_the_path_is_refused(rest: httpx.Client) -> None:
    answer = rest.get("/api/v2/prompt-runs/run_1/results", params={"run_id": "run_2"})
    assert [violation["field"] for violation in violations_of(answer)] == ["run_id"]
    fine = {"video_id": "vid_1", "limit": "5"}
    assert rest.get("/api/v2/prompt-runs/run_1/results", params=fine).status_code == 200


@pytest.mark.parametrize(
    "body",
    [
        b"{bad",
        b"[1]",
        b'"text"',
        b"{} trailing",
        b"\xff\xfe",
        b'{"prompt_id": "' + b"\\" * 3 + b'"}',
        b"title=x&file=y",
        b"[" * 5000,
        b'{"video_segmentation_type": "' + b"x" * 100_000 + b'"}',
        json.dumps({'a": "b': {"target": 7}}).encode() + b"]",
    ],
    ids=["broken", "list", "text", "trailing", "bytes", "escape", "form", "deep", "long", "quote"],
)
def test_a_body_that_is_not_the_json_asked_for_is_400_and_echoes_none_of_it(
    rest: httpx.Client, body: bytes
) -> None:
    answer = rest.post("/api/v2/prompt-runs/execute", content=body)
    violations_of(answer)
    assert len(answer.content) < 1000


def test_a_hostile_query_name_breaks_no_json(rest: httpx.Client) -> None:
    for name in ('a"b', "a\\", "a\n", "é", "x" * 5000, "%22%7d", "a.b.c"):
        violations_of(rest.get("/api/v2/prompt-runs", params={name: "1"}))


@pytest.mark.parametrize("path", ["/api/v2/prompt-runs/a%2Fb", "/api/v2/prompt-runs/a%5cb"])
def test_an_escaped_slash_is_refused(rest: httpx.Client, path: str) -> None:
    answer = rest.get(path)
    assert answer.status_code == 400
    assert refusal_of(answer)["code"] == "invalid_request"


@pytest.mark.parametrize("streamed", [False, True])
def test_a_body_over_two_mebibytes_is_too_large(rest: httpx.Client, streamed: bool) -> None:
    body = b'{"prompt_id": "' + b"x" * (2 << 20) + b'"}'
    answer = rest.post(
        "/api/v2/prompt-runs/execute", content=iter([body[:9], body[9:]]) if streamed else body
    )
    assert answer.status_code == 413
    assert refusal_of(answer)["code"] == "too_large"


def test_a_body_just_under_two_mebibytes_passes(rest: httpx.Client) -> None:
    body = b'{"prompt_id": "' + b"x" * ((2 << 20) - 100) + b'"}'
    assert rest.post("/api/v2/prompt-runs/execute", content=body).status_code == 200


def test_an_idempotency_key_that_is_not_visible_ascii_is_refused_not_dropped(
    rest: httpx.Client,
) -> None:
    answer = rest.post(
        "/api/v2/prompt-runs/execute", json={}, headers={b"idempotency-key": "é".encode()}
    )
    assert [violation["field"] for violation in violations_of(answer)] == ["Idempotency-Key"]


def test_headers_that_grpc_would_act_on_or_choke_on_stay_outside(
    rest: httpx.Client, stand_in: StandIn
) -> None:
    odd = {
        b"grpc-timeout": b"1n",
        b"grpc-encoding": b"gzip",
        b"some-bin": b"@@@",
        b"o'dd+name": b"fine in HTTP",
        b"latin": "é".encode("latin-1"),
        b"x-api-key": b"sk_1",
        b"authorization": b"Bearer sk_2",
        b"idempotency-key": b"k-1",
        b"last-event-id": b"7",
    }
    assert rest.get("/api/v2/prompt-runs/run_odd", headers=odd).status_code == 200
    seen = stand_in.metadata["run_odd"]
    assert not {"grpc-timeout", "grpc-encoding", "some-bin", "latin", "o'dd+name"} & set(seen)
    assert (seen["x-api-key"], seen["authorization"]) == ("sk_1", "Bearer sk_2")
    assert (seen["idempotency-key"], seen["last-event-id"]) == ("k-1", "7")


@pytest.mark.parametrize(
    "raw",
    [
        b"GARBAGE\r\n\r\n",
        b"GET /a%00b HTTP/1.1\r\nhost: x\r\n\r\n",
        b"GET /nope HTTP/1.1\r\n\r\n",
        b"GET /nope\xff HTTP/1.1\r\nhost: x\r\n\r\n",
        b"POST /nope HTTP/1.1\r\nhost: x\r\ncontent-length: -3\r\n\r\n",
        b"GET /nope HTTP/1.1\r\nhost: x\r\nlong: " + b"x" * 70_000 + b"\r\n\r\n",
        b"CONNECT a:1 HTTP/1.1\r\nhost: a:1\r\n\r\n",
        b"GET /api/v2/prompt-runs HTTP/1.1\r\nhost: x\r\n"
        b"upgrade: websocket\r\nconnection: upgrade\r\n\r\n",
    ],
    ids=["garbage", "nul", "no host", "bytes", "length", "headers", "connect", "upgrade"],
)
def test_what_is_no_http_for_the_api_still_gets_an_envelope(front: Front, raw: bytes) -> None:
    with socket.create_connection(("127.0.0.1", front.port), timeout=10) as connection:
        connection.sendall(raw)
        text = b""
        while not text.rstrip().endswith(b"}}"):
            piece = connection.recv(65536)
            assert piece, f"the answer ended after {text!r}"
            text += piece
    head, _, body = text.partition(b"\r\n\r\n")
    status = int(head.split()[1])
    assert status in ((431,) if b"long: " in raw else (400, 404))
    error = json.loads(body)["error"]
    assert error["message"]
    assert f"x-request-id: {error['request_id']}".encode() in head


def test_the_caller_s_request_id_is_kept(rest: httpx.Client, stand_in: StandIn) -> None:
    mine = "3f6b1f0e-0000-4000-8000-00000000000a"
    answer = rest.get("/api/v2/prompt-runs/run_mine", headers={"x-request-id": mine})
    assert answer.headers["x-request-id"] == mine
    assert stand_in.metadata["run_mine"]["x-request-id"] == mine
    refused = rest.get("/nope", headers={"x-request-id": mine})
    assert refusal_of(refused)["request_id"] == mine


def test_a_request_id_is_made_where_the_caller_sent_none(rest: httpx.Client) -> None:
    first, second = (rest.get("/nope").headers["x-request-id"] for _ in range(2))
    assert first
    assert first != second


@pytest.mark.parametrize("sent", ['a b"c\\', '"""', "x" * 5000, "<script>", "é"])
def test_a_request_id_that_is_unsafe_to_print_is_mended(rest: httpx.Client, sent: str) -> None:
    answer = rest.get("/nope", headers={b"x-request-id": sent.encode()})
    kept = str(refusal_of(answer)["request_id"])
    assert 0 < len(kept) <= 128
    assert all(letter.isalnum() or letter in "._:/+=@-" for letter in kept)


def fail_twice(stand_in: StandIn, call: str) -> Script:
    async def play(context: Context) -> PromptRun:
        if stand_in.calls[call] <= 2:
            await context.abort(grpc.StatusCode.UNAVAILABLE, "not now")
        return PromptRun(run_id="run_flaky")

    return play


def test_what_only_reads_is_tried_again(rest: httpx.Client, stand_in: StandIn) -> None:
    stand_in.scripts["run_flaky"] = fail_twice(stand_in, "GetPromptRun run_flaky")
    assert rest.get("/api/v2/prompt-runs/run_flaky").status_code == 200
    assert stand_in.calls["GetPromptRun run_flaky"] == 3


@pytest.mark.parametrize(
    "forged",
    [
        {},
        {"x-envoy-original-method": "GET"},
        {"x-envoy-retry-on": "unavailable", "x-envoy-retry-grpc-on": "unavailable"},
    ],
    ids=["plain", "method", "retry"],
)
def test_what_writes_is_never_tried_again_whatever_the_caller_sends(
    rest: httpx.Client, stand_in: StandIn, forged: dict[str, str]
) -> None:
    call = "ExecutePromptRun prompt_flaky"
    stand_in.calls[call] = 0
    stand_in.scripts["prompt_flaky"] = fail_twice(stand_in, call)
    body = {"prompt_id": "prompt_flaky"}
    answer = rest.post("/api/v2/prompt-runs/execute", json=body, headers=forged)
    assert answer.status_code == 503
    assert stand_in.calls[call] == 1


@pytest.mark.parametrize("length", [13_000, 20_000, 40_000])
def test_headers_that_are_too_long_are_431(rest: httpx.Client, length: int) -> None:
    """grpc would refuse them as if there were too many calls, which a client tries again."""
    answer = rest.get("/api/v2/prompt-runs/run_mine", headers={"x-long": "x" * length})
    assert answer.status_code == 431
    assert answer.json()["error"]["code"] == "invalid_request"
    assert "retry-after" not in answer.headers


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/api/v2/prompt-runs/run_mine"),
        ("GET", "/healthz"),
        ("GET", "/nope"),
        ("DELETE", "/api/v2/prompt-runs/run_mine"),
        ("POST", "/api/v2/prompt-runs/execute"),
    ],
)
def test_every_answer_is_taken_for_what_it_says_it_is(
    rest: httpx.Client, method: str, path: str
) -> None:
    headers = rest.request(method, path).headers
    assert headers["x-content-type-options"] == "nosniff"
    assert "default-src 'none'" in headers["content-security-policy"]
    assert headers["cache-control"]
