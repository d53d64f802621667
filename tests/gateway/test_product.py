"""The real server through the real gateway: a run by REST, its events, and by Node."""

import json
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from tests.footage import shots
from tests.gateway.node import run_node
from tests.gateway.refusals import refusal_of
from tests.owners import Owners
from tests.served import Served

SETTINGS = {
    "prompt_id": "prompt_default_scene_summary",
    "target": {"type": "playground"},
    "video_segmentation_type": "fixed",
    "video_segment_duration": 2,
    "processing_model": "canned",
    "enable_transcription": False,
    "enable_image_embedding": False,
}


@dataclass(frozen=True, kw_only=True)
class Product:
    """The shared server, as an owner of one clip of seven seconds sees it."""

    grpc_address: str
    rest_address: str
    key: str

    def client(self) -> httpx.Client:
        """A REST client with the key."""
        headers = {"x-api-key": self.key}
        return httpx.Client(base_url=self.rest_address, headers=headers, timeout=60)


@pytest.fixture(scope="module")
def product(serving: Served, owners: Owners) -> Product:
    product = Product(grpc_address=serving.grpc, rest_address=serving.rest, key=owners.key())
    with product.client() as rest, shots(3, 4).path.open("rb") as clip:
        answer = rest.post("/api/v2/videos/upload", files={"file": clip}, data={"title": "Clip"})
    assert answer.json()["status"] == "completed", answer.text
    return product


def execute(rest: httpx.Client) -> str:
    answer = rest.post("/api/v2/prompt-runs/execute", json=SETTINGS)
    assert answer.status_code == 200, answer.text
    assert answer.json()["status"] == "pending"
    return str(answer.json()["run_id"])


def events_of(
    rest: httpx.Client, path: str, *, after: str | None = None, most: int | None = None
) -> list[tuple[str, str, Any]]:
    """The (id, event, data) of a stream up to its end, or its first `most`."""
    headers = {} if after is None else {"last-event-id": after}
    seen: list[tuple[str, str, Any]] = []
    with rest.stream("GET", path, headers=headers) as answer:
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith("text/event-stream")
        lines: dict[str, str] = {}
        for line in answer.iter_lines():
            if line and not line.startswith(":"):
                name, _, value = line.partition(":")
                lines[name] = value.strip()
            elif lines.get("data"):
                seen.append((lines.get("id", ""), lines["event"], json.loads(lines["data"])))
                lines = {}
                if len(seen) == most:
                    break
    return seen


@pytest.mark.parametrize("through", ["server", "gateway"])
def test_node_executes_a_run_and_watches_it_to_its_end(product: Product, through: str) -> None:
    address = product.rest_address.removeprefix("http://")
    executed, *updates = run_node(
        product.grpc_address if through == "server" else address, product.key, SETTINGS
    )
    assert executed["run"]["status"] == "pending"
    assert updates[0]["update"] == "snapshot"
    assert "segment.completed" in {
        update["event"]["event_type"] for update in updates if update["update"] == "event"
    }
    assert updates[-1]["end"] == {"status": "completed", "reason": "run_ended"}


def test_the_stream_of_a_run_ends_with_it_and_resumes_without_loss(product: Product) -> None:
    with product.client() as rest:
        path = f"/api/v2/processing/events/stream?run_id={execute(rest)}"
        whole = events_of(rest, path, after="0")
        assert whole[-1][1] == "prompt_run.completed"
        first = events_of(rest, path, after="0", most=3)
        rest_of_it = events_of(rest, path, after=first[-1][0])
    assert first + rest_of_it == whole


def test_the_watch_of_a_run_ends_with_its_end(product: Product) -> None:
    with product.client() as rest:
        updates = events_of(rest, f"/api/v2/prompt-runs/{execute(rest)}/watch", after="0")
    assert updates[0][1] == "prompt_run.snapshot"
    assert updates[-1][1] == "end"
    assert updates[-1][2]["status"] == "completed"


def test_the_server_s_refusals_are_envelopes(product: Product) -> None:
    with httpx.Client(base_url=product.rest_address) as stranger:
        answer = stranger.get("/api/v2/prompt-runs")
        assert answer.status_code == 401
        assert refusal_of(answer)["code"] == "unauthenticated"
    with product.client() as rest:
        answer = rest.get("/api/v2/prompt-runs/run_none", headers={"x-request-id": "mine/1"})
        assert answer.status_code == 404
        assert refusal_of(answer)["request_id"] == "mine/1"


def test_a_write_is_done_once_for_its_idempotency_key(product: Product) -> None:
    headers = {"idempotency-key": "once"}
    with product.client() as rest:
        first = rest.post("/api/v2/indexes", json={"name": "Harbour"}, headers=headers)
        again = rest.post("/api/v2/indexes", json={"name": "Harbour"}, headers=headers)
        other = rest.post("/api/v2/indexes", json={"name": "Quay"}, headers=headers)
    assert "idempotent-replayed" not in first.headers
    assert again.headers["idempotent-replayed"] == "true"
    assert again.json() == first.json()
    assert other.status_code == 422
    assert refusal_of(other)["code"] == "idempotency_key_reused"


def test_the_cursor_of_a_bare_array_is_in_a_header(product: Product) -> None:
    with product.client() as rest:
        runs = [execute(rest) for _ in range(3)]
        page = rest.get("/api/v2/prompt-runs", params={"limit": 2})
        cursor = page.headers["x-next-cursor"]
        following = rest.get("/api/v2/prompt-runs", params={"limit": 2, "cursor": cursor})
    listed = [run["run_id"] for run in (*page.json(), *following.json())]
    assert listed[:3] == runs[::-1]


def test_the_openapi_document_needs_no_key_and_lists_every_route(product: Product) -> None:
    document = httpx.get(f"{product.rest_address}/openapi.json").json()
    assert document["openapi"].startswith("3.1")
    assert "post" in document["paths"]["/api/v2/prompt-runs/execute"]
