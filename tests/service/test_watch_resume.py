"""A watcher that is killed and comes back sees exactly what an undisturbed one sees."""

import json
import random
from collections.abc import Iterable
from itertools import islice
from typing import Any

import grpc
import pytest

from promptreel.v2 import event_pb2, event_pb2_grpc, prompt_run_pb2, rest_pb2
from tests.service.caller import refusal
from tests.service.runner import Runner

KILLS = 50
SECONDS = 120
"""Segments of one second: some hundred transitions."""

Seen = list[tuple[int, str, str]]


def _seen(updates: Iterable[prompt_run_pb2.PromptRunUpdate]) -> Seen:
    return [
        (update.sequence, update.event.event_id, update.event.event_type)
        for message in updates
        for update in message.several.updates or (message,)
        if update.HasField("event")
    ]


def _watch(runner: Runner, run_id: str, after: int, at_once: int = 0) -> Any:
    request = prompt_run_pb2.WatchPromptRunRequest(
        run_id=run_id, after_sequence=after, updates_at_once=at_once
    )
    return runner.caller.runs.WatchPromptRun(request, metadata=runner.caller.said(), timeout=60)


def _run(runner: Runner) -> str:
    return runner.execute(
        runner.video(*[4] * (SECONDS // 4)),
        video_segment_duration=1,
        processing_model="canned:slow",
    ).run_id


@pytest.mark.parametrize("at_once", [0, 7])
def test_fifty_kills_at_random_hide_and_repeat_nothing(runner: Runner, at_once: int) -> None:
    dice = random.Random(at_once)
    run_id = _run(runner)
    seen: Seen = []
    kills, ended = 0, False
    while not ended:
        watching = _watch(runner, run_id, seen[-1][0] if seen else 0, at_once)
        most = dice.randint(1, 5) if kills < KILLS else 10_000
        taken = list(islice(watching, most))
        watching.cancel()
        kills += 1
        seen += _seen(taken)
        ended = bool(taken) and taken[-1].HasField("end")
    assert kills > KILLS or at_once
    assert seen == _seen(_watch(runner, run_id, 0))
    assert [sequence for sequence, _, _ in seen] == sorted({sequence for sequence, _, _ in seen})
    assert sum(kind == "segment.completed" for _, _, kind in seen) == SECONDS


def _frames(text: str) -> list[tuple[int, str, str]]:
    """Read what came whole of a stream of server-sent events; what was cut off is nothing."""
    frames = []
    for block in text.split("\n\n")[:-1]:
        fields = dict(line.split(": ", 1) for line in block.split("\n") if line[0] != ":")
        if fields:
            frames.append((int(fields["id"]), fields["event"], fields["data"]))
    return frames


def _events_of(frames: list[tuple[int, str, str]]) -> Seen:
    return [
        (sequence, json.loads(data)["event_id"], kind)
        for sequence, kind, data in frames
        if kind not in ("prompt_run.snapshot", "end")
    ]


@pytest.mark.parametrize("way", ["watch", "stream"])
def test_fifty_kills_at_any_byte_are_mended_by_last_event_id(runner: Runner, way: str) -> None:
    dice = random.Random(way)
    run_id = _run(runner)
    seen: Seen = []
    last: str | None = None
    kills, ended = 0, False
    while not ended:
        stream = _sse(runner, way, run_id, last)
        pieces = dice.randint(1, 4) if kills < KILLS else 10_000
        data = b"".join(body.data for body in islice(stream, pieces))
        stream.cancel()
        if kills < KILLS:
            data = data[: dice.randint(1, len(data))]
        kills += 1
        frames = _frames(data.decode(errors="ignore"))
        seen += _events_of(frames)
        last = str(frames[-1][0]) if frames else last
        ended = any(kind == "end" or "_run.completed" in kind for _, kind, _ in frames)
    whole = b"".join(body.data for body in _sse(runner, way, run_id, "0")).decode()
    assert kills > 10
    assert seen == _events_of(_frames(whole))
    assert whole.startswith(": open\n\n")


@pytest.mark.parametrize("header", ["-1", "one", str(2**63), "9" * 5000])
def test_a_last_event_id_that_is_none_is_refused(runner: Runner, header: str) -> None:
    refused = refusal(lambda: list(_sse(runner, "stream", "run_any", header)))

    assert (refused.http_status, refused.violations) == (400, ("Last-Event-ID",))


def _sse(runner: Runner, way: str, run_id: str, last: str | None) -> Any:
    caller = runner.caller
    said = caller.said(last_event_id=last) if last is not None else caller.said()
    if way == "watch":
        request = rest_pb2.WatchPromptRunEventsRequest(run_id=run_id, after_sequence=0)
        return caller.rest.WatchPromptRunEvents(request, metadata=said, timeout=60)
    events = rest_pb2.StreamEventsRequest(run_id=run_id)
    return caller.rest.StreamEvents(events, metadata=said, timeout=60)


def test_a_feed_taken_up_again_and_again_has_no_gap(runner: Runner) -> None:
    """Without a filter, every sequence of the owner comes, one after the other."""
    dice = random.Random(1)
    run_id = _run(runner)
    sequences: list[int] = []
    stub = event_pb2_grpc.EventServiceStub(runner.caller.channel)
    kind = ""
    while kind != "prompt_run.completed":
        request = event_pb2.WatchEventsRequest(after_sequence=sequences[-1] if sequences else 0)
        watching = stub.WatchEvents(request, metadata=runner.caller.said(), timeout=60)
        for update in islice(watching, dice.randint(1, 40)):
            if update.HasField("event"):
                sequences.append(update.sequence)
                kind = update.event.event_type
        watching.cancel()
    assert sequences == list(range(1, sequences[-1] + 1))
    assert run_id


def test_a_deadline_ends_a_watch_in_time(runner: Runner) -> None:
    run_id = _run(runner)
    request = prompt_run_pb2.WatchPromptRunRequest(run_id=run_id)
    with pytest.raises(grpc.RpcError) as caught:
        list(runner.caller.runs.WatchPromptRun(request, metadata=runner.caller.said(), timeout=0.2))
    assert caught.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
