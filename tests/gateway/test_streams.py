"""Streams pass unbuffered in both directions, long, quiet and many."""

import time

import grpc
import httpx
import pytest

from promptreel.v2 import prompt_run_pb2 as pb
from promptreel.v2 import prompt_run_pb2_grpc
from promptreel.v2.run_pb2 import PromptRun
from tests.gateway.conftest import Front
from tests.gateway.patience import eventually
from tests.gateway.stand_in import Context, StandIn


def test_events_arrive_one_by_one_with_their_ids_and_comments(rest: httpx.Client) -> None:
    times: list[float] = []
    text = ""
    with rest.stream("GET", "/api/v2/processing/events/stream") as answer:
        assert answer.headers["content-type"] == "text/event-stream"
        assert answer.headers["x-request-id"]
        for piece in answer.iter_text():
            times.append(time.monotonic())
            text += piece
    assert times[-1] - times[0] > 0.4
    assert "id: 1\nevent: segment.completed\ndata: {}\n\n" in text
    assert ": heartbeat\n\n" in text


def test_the_last_event_id_reaches_the_server(rest: httpx.Client, stand_in: StandIn) -> None:
    headers = {"last-event-id": "42"}
    rest.get("/api/v2/processing/events/stream", params={"run_id": "run_sse"}, headers=headers)
    assert stand_in.metadata["run_sse"]["last-event-id"] == "42"


@pytest.mark.slow
def test_a_stream_silent_for_sixteen_seconds_goes_on(front: Front) -> None:
    params = {"run_id": "run_quiet"}
    with httpx.stream(
        "GET", f"{front.url}/api/v2/processing/events/stream", params=params, timeout=30
    ) as answer:
        text = "".join(answer.iter_text())
    assert text.count("id: ") == 2
    assert text.endswith(": heartbeat\n\n")


def test_an_upload_far_over_the_body_limit_streams_through_in_pieces(rest: httpx.Client) -> None:
    size = 24 << 20
    files = {"file": ("clip.mp4", b"\0" * size, "video/mp4")}
    answer = rest.post("/api/v2/videos/upload", files=files, data={"title": "A clip"})
    assert answer.status_code == 200
    told = answer.json()
    assert told["total"] > size
    assert told["longest"] <= 4 << 20
    assert told["content_type"].startswith("multipart/form-data; boundary=")


def test_an_answer_of_several_mebibytes_arrives_whole(
    rest: httpx.Client, stand_in: StandIn
) -> None:
    async def tell_much(context: Context) -> PromptRun:
        return PromptRun(run_id="run_large", error_message="x" * (8 << 20))

    stand_in.scripts["run_large"] = tell_much
    answer = rest.get("/api/v2/prompt-runs/run_large")
    assert answer.status_code == 200
    assert len(answer.json()["error_message"]) == 8 << 20


def test_success_headers_come_from_initial_metadata(rest: httpx.Client) -> None:
    answer = rest.get("/api/v2/prompt-runs")
    assert answer.json() == [{"run_id": "run_1"}]
    assert answer.headers["x-next-cursor"] == "abc"
    assert answer.headers["idempotent-replayed"] == "true"
    assert not [name for name in answer.headers if name.startswith("grpc-")]


def test_more_open_watches_than_a_breaker_allows_calls_starve_no_call(
    front: Front, rest: httpx.Client, stand_in: StandIn
) -> None:
    options = [("grpc.use_local_subchannel_pool", 1)]
    channels = [grpc.insecure_channel(f"127.0.0.1:{front.port}", options=options) for _ in range(2)]
    request = pb.WatchPromptRunRequest(run_id="run_endless")
    watches = [
        prompt_run_pb2_grpc.PromptRunServiceStub(channel).WatchPromptRun(request)
        for channel in channels
        for _ in range(600)
    ]
    try:
        firsts = [next(watch) for watch in watches]
        assert all(first.HasField("snapshot") for first in firsts)
        assert stand_in.open_watches >= 1200
        assert rest.get("/api/v2/prompt-runs/run_1").status_code == 200
    finally:
        for channel in channels:
            channel.close()
    eventually(lambda: stand_in.open_watches == 0)


def test_a_reader_that_goes_away_ends_its_stream_in_the_server(
    front: Front, stand_in: StandIn
) -> None:
    url = f"{front.url}/api/v2/prompt-runs/run_endless/watch"
    with httpx.stream("GET", url) as answer:
        pieces = answer.iter_text()
        assert next(pieces) == ": heartbeat\n\n"
        assert stand_in.open_watches == 1
    eventually(lambda: stand_in.open_watches == 0)
