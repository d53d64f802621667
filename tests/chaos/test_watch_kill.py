"""Watchers of a server that is killed with -9 again and again see what an undisturbed one sees."""

import json
import random
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from promptreel_client import Client
from tests import footage
from tests.chaos.mortal import Mortal

KILLS = 5
SECONDS = 60
"""Segments of one second."""

Seen = list[tuple[int, str, str]]
"""Sequence, id and type of each event."""

SCHEMA = {"type": "object", "properties": {"summary": {"type": "string"}}, "required": ["summary"]}


@pytest.fixture
def mortal(tmp_path: Path) -> Iterator[Mortal]:
    made = Mortal(
        data=tmp_path,
        scripts={"late": {"latency_seconds": 2.0}},
        dice=random.Random(6),
        kills=KILLS,
        gateway=True,
        longest_life=2.0,
    )
    made.begin()
    try:
        yield made
    finally:
        made.end()


def _execute(client: Client) -> str:
    clip = footage.shots(SECONDS, size=(96, 64), sound=False, rate="5")
    job = client.videos.upload(file=clip.path, title="clip")
    prompt = client.prompts.create(
        name="watched", prompt_text="Say what happens here.", json_schema=SCHEMA
    )
    return client.prompt_runs.execute(
        prompt_id=prompt.prompt_id,
        target={"type": "videos", "video_ids": job.video_ids},
        video_segmentation_type="fixed",
        video_segment_duration=1,
        processing_model="canned:late",
        enable_transcription=False,
        enable_image_embedding=False,
    ).run_id


def _native(client: Client, run_id: str) -> Seen:
    """What the client tells, which comes back by itself."""
    return [
        (update.sequence, update.event.event_id, str(update.event.event_type))
        for update in client.prompt_runs.watch(run_id, after_sequence=0)
        if update.event is not None
    ]


def _over_rest(mortal: Mortal, path: str, last_kind: str) -> Seen:
    """What a reader of server-sent events sees, which comes back with `Last-Event-ID`."""
    seen: Seen = []
    last = "0"
    until = time.monotonic() + 90
    while time.monotonic() < until:
        try:
            for sequence, kind, data in _frames(mortal, path, last):
                last = sequence
                if "event_id" in data:
                    seen.append((int(sequence), data["event_id"], kind))
                if kind == last_kind:
                    return seen
        except (httpx.TransportError, AssertionError):
            time.sleep(0.05)
    raise AssertionError("the stream never came to its end")


def _frames(mortal: Mortal, path: str, last: str) -> Iterator[tuple[str, str, dict[str, Any]]]:
    now = mortal.now
    assert now is not None
    headers = {"x-api-key": now.key, "last-event-id": last}
    with httpx.stream("GET", f"{now.rest}{path}", headers=headers, timeout=20) as answer:
        assert answer.status_code == 200
        fields: dict[str, str] = {}
        for line in answer.iter_lines():
            if line and not line.startswith(":"):
                name, _, value = line.partition(": ")
                fields[name] = value
            elif "data" in fields:
                yield fields["id"], fields["event"], json.loads(fields["data"])
                fields = {}


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_servers_that_die_take_nothing_from_who_watches(mortal: Mortal) -> None:
    """By the client and by both streams of server-sent events through the real Envoy."""
    assert mortal.now is not None
    with Client(address=mortal.now.grpc, api_key=mortal.now.key, timeout=20) as client:
        run_id = _execute(client)
        seen: dict[str, Seen] = {}
        watch, stream = (
            f"/api/v2/prompt-runs/{run_id}/watch",
            f"/api/v2/processing/events/stream?run_id={run_id}",
        )
        ways = {
            "native": lambda: _native(client, run_id),
            "watch": lambda: _over_rest(mortal, watch, "end"),
            "stream": lambda: _over_rest(mortal, stream, "prompt_run.completed"),
        }
        threads = [
            threading.Thread(target=lambda name=name, way=way: seen.update({name: way()}))
            for name, way in ways.items()
        ]
        for thread in threads:
            thread.start()
        with mortal.dying(KILLS):
            pass
        for thread in threads:
            thread.join(120)
        undisturbed = _native(client, run_id)

    assert len(mortal.killed_at) == KILLS
    assert seen["native"] == undisturbed
    assert seen["watch"] == undisturbed
    transitions = [one for one in seen["stream"] if one[2] != "prompt_run.progress"]
    assert transitions == [one for one in undisturbed if one[2] != "prompt_run.progress"]
    completed = [kind for _, _, kind in undisturbed].count("segment.completed")
    assert completed == SECONDS
