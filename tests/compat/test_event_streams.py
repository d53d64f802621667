"""Server-sent events through the gateway: framing, resumption, errors."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from tests.compat.conftest import Stage

STREAM = "/processing/events/stream"


@dataclass(frozen=True, kw_only=True)
class Frame:
    """One server-sent event."""

    id: int
    event: str
    data: dict[str, Any]


def _frames(response: httpx.Response) -> Iterator[Frame]:
    fields: dict[str, str] = {}
    for line in response.iter_lines():
        if line.startswith(":"):
            continue
        if line:
            name, _, value = line.partition(": ")
            fields[name] = value
        elif fields:
            yield Frame(
                id=int(fields["id"]), event=fields["event"], data=json.loads(fields["data"])
            )
            fields = {}


def _read(
    raw: httpx.Client, path: str, params: dict[str, str], *, last: int | None = None, most: int = 0
) -> list[Frame]:
    headers = {} if last is None else {"Last-Event-ID": str(last)}
    found = []
    with raw.stream("GET", path, params=params, headers=headers) as response:
        assert response.status_code == 200
        assert response.headers["content-type"] == "text/event-stream"
        for frame in _frames(response):
            found.append(frame)
            if len(found) == most:
                break
    return found


def test_the_stream_of_a_run_ends_after_its_terminal_event(stage: Stage, raw: httpx.Client) -> None:
    run = stage.execute(processing_model="canned:slow")

    frames = _read(raw, STREAM, {"run_id": run.run_id})

    assert frames[0].event == "prompt_run.started"
    assert frames[-1].event == "prompt_run.completed"
    assert all(frame.data["event_type"] == frame.event for frame in frames)
    assert all(frame.data["run_id"] == run.run_id for frame in frames)
    assert [frame.id for frame in frames] == sorted({frame.id for frame in frames})


@pytest.mark.parametrize("seen", [1, 6])
def test_last_event_id_resumes_with_nothing_lost_or_repeated(
    stage: Stage, raw: httpx.Client, seen: int
) -> None:
    run = stage.execute(processing_model="canned:slow")
    asked = {"run_id": run.run_id}

    first = _read(raw, STREAM, asked, most=seen)
    rest = _read(raw, STREAM, asked, last=first[-1].id)

    assert first + rest == _read(raw, STREAM, asked)


def test_filters_may_be_written_with_commas(stage: Stage, raw: httpx.Client) -> None:
    run = stage.finished()
    types = "segment.completed,prompt_run.completed"

    frames = _read(
        raw,
        STREAM,
        {"run_id": run.run_id, "event_types": types, "video_ids": f"{stage.video_id},"},
    )

    assert {frame.event for frame in frames} == {"segment.completed"}


def test_a_watch_over_a_run_has_snapshots_and_an_end(stage: Stage, raw: httpx.Client) -> None:
    run = stage.execute(processing_model="canned:slow")

    frames = _read(raw, f"/prompt-runs/{run.run_id}/watch", {})

    assert frames[0].event == "prompt_run.snapshot"
    assert frames[0].data["run_id"] == run.run_id
    assert frames[-1].event == "end"
    assert frames[-1].data["status"] == "completed"


@pytest.mark.parametrize(
    ("params", "header", "status"),
    [
        ({"run_id": "run_nobody"}, None, 404),
        ({"event_types": "segment.exploded"}, None, 400),
        ({"nonsense": "1"}, None, 400),
        ({}, "not-a-number", 400),
        ({"after_sequence": "-1"}, None, 400),
    ],
)
def test_what_is_wrong_from_the_start_is_an_envelope(
    raw: httpx.Client, params: dict[str, str], header: str | None, status: int
) -> None:
    headers = {} if header is None else {"Last-Event-ID": header}

    answer = raw.get(STREAM, params=params, headers=headers)

    assert answer.status_code == status
    assert answer.headers["content-type"].startswith("application/json")
    assert answer.json()["error"]["request_id"] == answer.headers["x-request-id"]
