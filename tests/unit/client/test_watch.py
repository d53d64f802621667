"""Watches show what happens in order, and come back by themselves after a cut."""

import asyncio
import threading
import time
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import grpc
import pytest
from google.protobuf.duration_pb2 import Duration

from promptreel.v2 import enums_pb2, event_pb2, result_pb2, run_pb2
from promptreel.v2 import prompt_run_pb2 as pb
from promptreel_client import AsyncClient, Client, errors
from promptreel_client.following import PATIENCE, Following, run_updates
from tests.unit.client.callers import Caller, MakeCaller
from tests.unit.client.scripted import Script, Scripted, answering, refusing, streaming

AWAY = refusing(grpc.StatusCode.UNAVAILABLE, message="Socket closed")
RUN = run_pb2.PromptRun(run_id="run_1")


def event(sequence: int) -> pb.PromptRunUpdate:
    happened = event_pb2.Event(event_id=f"evt_{sequence}", event_type="segment.completed")
    return pb.PromptRunUpdate(sequence=sequence, event=happened)


def snapshot(sequence: int, completed: int = 0) -> pb.PromptRunUpdate:
    run = run_pb2.PromptRun(run_id="run_1", completed_segments=completed)
    return pb.PromptRunUpdate(sequence=sequence, snapshot=run)


def heartbeat(sequence: int) -> pb.PromptRunUpdate:
    return pb.PromptRunUpdate(sequence=sequence, heartbeat=event_pb2.Heartbeat())


def end(sequence: int, reason: str = "run_ended") -> pb.PromptRunUpdate:
    number = enums_pb2.WatchEndReason.Value.Value(reason)
    over = pb.WatchEnd(status=enums_pb2.RunStatus.completed, reason=number)
    return pb.PromptRunUpdate(sequence=sequence, end=over)


def cut_after(*messages: Any, script: Script = AWAY) -> Script:
    """Answer some messages, then fail."""

    def stream(request: Any, context: grpc.ServicerContext) -> Iterator[Any]:
        yield from messages
        script(request, context)

    return stream


def held(*messages: Any, left: threading.Event | None = None) -> Script:
    """Answer some messages, then nothing until the caller leaves."""

    def stream(request: Any, context: grpc.ServicerContext) -> Iterator[Any]:
        gone = threading.Event() if left is None else left
        context.add_callback(gone.set)
        yield from messages
        gone.wait(10)

    return stream


def shown(updates: list[Any]) -> list[str]:
    """Write each update as a word."""
    words = []
    for update in updates:
        if update.event is not None:
            words.append(f"event {update.sequence}")
        else:
            words.append("snapshot" if update.end is None else f"end {update.end.reason}")
    return words


def watch(client: Any) -> Any:
    return client.prompt_runs.watch("run_1")


def test_a_watch_shows_the_run_then_its_events_then_the_end(
    server: Scripted, caller: Caller
) -> None:
    stream = streaming(snapshot(0), event(1), heartbeat(1), event(2), snapshot(2, 5), end(2))
    server.on("WatchPromptRun", stream)
    updates = caller.collect(watch)
    assert shown(updates) == ["snapshot", "event 1", "event 2", "snapshot", "end run_ended"]
    assert updates[3].snapshot.completed_segments == 5
    assert updates[-1].end.status == "completed"


def test_a_watch_asks_for_all_events_and_can_ask_for_those_to_come(
    server: Scripted, caller: Caller
) -> None:
    server.on("WatchPromptRun", streaming(end(0)))
    caller.collect(watch)
    caller.collect(lambda client: client.prompt_runs.watch("run_1", after_sequence=None))
    first, second = (seen.request for seen in server.seen)
    assert first.HasField("after_sequence")
    assert not second.HasField("after_sequence")


def test_a_watch_that_is_cut_goes_on_after_the_last_sequence(
    server: Scripted, caller: Caller
) -> None:
    server.on(
        "WatchPromptRun",
        cut_after(snapshot(0), event(1), event(2)),
        cut_after(snapshot(2), event(3), heartbeat(4)),
        streaming(snapshot(4), event(5), end(5)),
    )
    words = shown(caller.collect(watch))
    assert [word for word in words if "event" in word] == [f"event {n}" for n in (1, 2, 3, 5)]
    assert [seen.request.after_sequence for seen in server.seen] == [0, 2, 4]
    assert len(caller.pauses) == 2


def test_updates_that_come_at_once_are_told_one_by_one(server: Scripted, caller: Caller) -> None:
    at_once = pb.PromptRunUpdate(
        sequence=2, several=pb.PromptRunUpdates(updates=[event(1), snapshot(1), event(2)])
    )
    server.on("WatchPromptRun", streaming(snapshot(0), at_once, end(2)))
    words = ["snapshot", "event 1", "snapshot", "event 2", "end run_ended"]
    assert shown(caller.collect(watch)) == words
    assert server.seen[0].request.updates_at_once > 1


def test_a_watch_left_amid_updates_that_came_at_once_goes_on_after_the_last_one_told() -> None:
    following = Following(run_updates(pb.WatchPromptRunRequest()), None)
    at_once = pb.PromptRunUpdate(
        sequence=3, several=pb.PromptRunUpdates(updates=[event(1), event(2), event(3)])
    )
    told = following.values(at_once)
    next(told)
    assert following.sequence == 1
    next(told)
    assert following.sequence == 2


@pytest.mark.parametrize("cause", ["no word", "too_slow", "draining", "reset", "cancelled"])
def test_whatever_cuts_a_stream_short_the_watch_comes_back(
    server: Scripted, caller: Caller, cause: str
) -> None:
    broken = {
        "no word": streaming(snapshot(0), event(1)),
        "too_slow": streaming(event(1), end(1, "too_slow")),
        "draining": streaming(event(1), end(1, "draining")),
        "reset": cut_after(event(1), script=refusing(grpc.StatusCode.INTERNAL, message="RST")),
        "cancelled": cut_after(event(1), script=refusing(grpc.StatusCode.CANCELLED, message="c")),
    }
    server.on("WatchPromptRun", broken[cause], streaming(event(2), end(2)))
    words = [word for word in shown(caller.collect(watch)) if word != "snapshot"]
    assert words == ["event 1", "event 2", "end run_ended"]


def test_a_watch_that_is_refused_says_why_at_once(server: Scripted, caller: Caller) -> None:
    server.on("WatchPromptRun", refusing(grpc.StatusCode.NOT_FOUND, "NOT_FOUND", "No such run."))
    with pytest.raises(errors.NotFoundError, match="No such run"):
        caller.collect(watch)
    assert len(server.seen) == 1


def test_what_the_server_itself_broke_is_not_watched_again(
    server: Scripted, caller: Caller
) -> None:
    broken = refusing(grpc.StatusCode.INTERNAL, "INTERNAL", "The server failed.")
    server.on("WatchPromptRun", cut_after(event(1), script=broken))
    with pytest.raises(errors.InternalError, match="The server failed"):
        caller.collect(watch)


def test_a_server_that_was_never_there_is_given_up_soon(make_caller: MakeCaller) -> None:
    caller = make_caller("127.0.0.1:1")
    with pytest.raises(errors.UnavailableError):
        caller.collect(watch)
    assert len(caller.pauses) == 3


def test_a_server_that_was_there_is_waited_for_longer(server: Scripted, caller: Caller) -> None:
    server.on("WatchPromptRun", cut_after(event(1)), *[AWAY] * 9, streaming(end(1)))
    assert shown(caller.collect(watch)) == ["event 1", "end run_ended"]
    assert len(caller.pauses) == 10


def test_a_server_that_stays_away_is_given_up_after_some_minutes() -> None:
    now = [0.0]
    following = Following(run_updates(pb.WatchPromptRunRequest()), None, clock=lambda: now[0])
    following.take(event(1))
    lost = errors.UnavailableError("Gone.")
    now[0] = PATIENCE - 1
    following.delay_after(lost)
    now[0] = PATIENCE + 1
    with pytest.raises(errors.UnavailableError, match="Gone"):
        following.delay_after(lost)


def test_a_sequence_never_goes_back() -> None:
    following = Following(run_updates(pb.WatchPromptRunRequest()), None)
    for sequence in (5, 3):
        following.take(heartbeat(sequence))
    assert following.request().after_sequence == 5


def test_leaving_a_watch_ends_it_on_the_server(server: Scripted, caller: Caller) -> None:
    left = threading.Event()
    server.on("WatchPromptRun", held(snapshot(0), event(1), left=left))
    assert shown(caller.collect(watch, most=2)) == ["snapshot", "event 1"]
    assert left.wait(5)


def test_a_watch_can_be_closed_from_another_thread(server: Scripted) -> None:
    server.on("WatchPromptRun", held(event(1)))
    with Client(server.address, api_key="sk") as client:
        updates = client.prompt_runs.watch("run_1")
        assert next(updates).sequence == 1
        threading.Timer(0.1, updates.close).start()
        assert list(updates) == []


async def test_a_watch_can_be_closed_from_another_task(server: Scripted) -> None:
    server.on("WatchPromptRun", held(event(1)))
    async with AsyncClient(server.address, api_key="sk") as client:
        updates = client.prompt_runs.watch("run_1")
        assert (await anext(updates)).sequence == 1

        async def close() -> None:
            await asyncio.sleep(0.1)
            await updates.close()

        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(close())
            assert [update async for update in updates] == []


async def test_cancelling_the_task_that_watches_is_passed_on(server: Scripted) -> None:
    server.on("WatchPromptRun", held(event(1)))
    async with AsyncClient(server.address, api_key="sk") as client:
        updates = client.prompt_runs.watch("run_1")
        await anext(updates)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.1):
                await anext(updates)


@pytest.fixture
def narrow() -> Iterator[Scripted]:
    """A server that takes one call at a time on each connection."""
    server = Scripted(options=(("grpc.max_concurrent_streams", 1),))
    yield server
    server.stop()


def test_a_watch_holds_no_call_up(narrow: Scripted) -> None:
    narrow.on("WatchPromptRun", held(event(1)))
    narrow.on("GetPromptRun", answering(RUN))
    with (
        Client(narrow.address, api_key="sk", timeout=5) as client,
        client.prompt_runs.watch("run_1") as updates,
    ):
        next(updates)
        assert client.prompt_runs.retrieve("run_1").run_id == "run_1"


async def test_a_watch_holds_no_awaited_call_up(narrow: Scripted) -> None:
    narrow.on("WatchPromptRun", held(event(1)))
    narrow.on("GetPromptRun", answering(RUN))
    async with (
        AsyncClient(narrow.address, api_key="sk", timeout=5) as client,
        client.prompt_runs.watch("run_1") as updates,
    ):
        await anext(updates)
        assert (await client.prompt_runs.retrieve("run_1")).run_id == "run_1"


def test_waiting_shows_progress_and_answers_the_run(server: Scripted, caller: Caller) -> None:
    server.on("WatchPromptRun", streaming(snapshot(3, 1), event(4), snapshot(4, 2), end(4)))
    server.on("GetPromptRun", answering(RUN))
    counts: list[int] = []
    run = caller.call(
        lambda client: client.prompt_runs.wait(
            "run_1", on_progress=lambda run: counts.append(run.completed_segments)
        )
    )
    assert run.run_id == "run_1"
    assert counts == [1, 2]


def test_waiting_too_long_ends_with_a_deadline_error(server: Scripted, caller: Caller) -> None:
    server.on("WatchPromptRun", held(snapshot(0)))
    began = time.monotonic()
    with pytest.raises(errors.DeadlineError, match="goes on"):
        caller.call(lambda client: client.prompt_runs.wait("run_1", timeout=0.3))
    assert time.monotonic() - began < 5


def result(sequence: int) -> pb.ResultUpdate:
    yielded = result_pb2.SegmentRunResult(segment_id=f"seg_{sequence}")
    return pb.ResultUpdate(sequence=sequence, result=yielded)


def test_results_are_streamed_once_each_over_a_cut(server: Scripted, caller: Caller) -> None:
    over = pb.ResultUpdate(sequence=9, end=end(9).end)
    server.on(
        "StreamResults",
        cut_after(result(1), result(4)),
        streaming(pb.ResultUpdate(sequence=6, heartbeat=event_pb2.Heartbeat()), result(7), over),
    )
    results = caller.collect(lambda client: client.prompt_runs.stream_results("run_1"))
    assert [result.segment_id for result in results] == ["seg_1", "seg_4", "seg_7"]
    assert not server.seen[0].request.HasField("after_sequence")
    assert server.seen[1].request.after_sequence == 4


def test_a_stream_of_results_says_where_it_stands(server: Scripted) -> None:
    server.on("StreamResults", held(result(1), result(4)))
    with (
        Client(server.address, api_key="sk") as client,
        client.prompt_runs.stream_results("run_1") as results,
    ):
        assert results.sequence is None
        sequences = [results.sequence for _ in zip(range(2), results, strict=False)]
    assert sequences == [1, 4]


def happened(sequence: int) -> event_pb2.EventUpdate:
    return event_pb2.EventUpdate(
        sequence=sequence, event=event_pb2.Event(event_id=f"evt_{sequence}")
    )


def failed(sequence: int, code: str, seconds: int | None) -> event_pb2.EventUpdate:
    delay = None if seconds is None else Duration(seconds=seconds)
    error = event_pb2.StreamError(code=code, message="Why.", retry_after=delay)
    return event_pb2.EventUpdate(sequence=sequence, error=error)


def test_events_end_when_their_stream_does(server: Scripted, caller: Caller) -> None:
    server.on("WatchEvents", streaming(happened(1), happened(3)))
    updates = caller.collect(lambda client: client.events.watch(run_id="run_1"))
    assert [(update.sequence, update.event.event_id) for update in updates] == [
        (1, "evt_1"),
        (3, "evt_3"),
    ]


def test_events_come_back_when_the_stream_says_so(server: Scripted, caller: Caller) -> None:
    server.on(
        "WatchEvents",
        streaming(happened(1), failed(2, "unavailable", 3)),
        streaming(happened(4)),
    )
    updates = caller.collect(lambda client: client.events.watch())
    assert [update.sequence for update in updates] == [1, 4]
    assert server.seen[1].request.after_sequence == 2
    assert caller.pauses == [3.0]


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("not_found", errors.NotFoundError),
        ("unauthenticated", errors.AuthenticationError),
        ("unavailable", errors.PromptreelError),
    ],
)
def test_events_that_can_not_come_back_say_why(
    server: Scripted, caller: Caller, code: str, kind: type[errors.PromptreelError]
) -> None:
    server.on("WatchEvents", streaming(happened(1), failed(1, code, None)))
    with pytest.raises(kind, match="Why") as caught:
        caller.collect(lambda client: client.events.watch())
    assert caught.value.code == code
    assert len(server.seen) == 1


def test_filters_of_events_reach_the_server(server: Scripted, caller: Caller) -> None:
    server.on("WatchEvents", streaming())
    caller.collect(
        lambda client: client.events.watch(
            video_ids=["vid_1"], event_types=["segment.completed"], after_sequence=0
        )
    )
    request = server.seen[0].request
    assert list(request.video_ids) == ["vid_1"]
    assert list(request.event_types) == ["segment.completed"]
    assert request.HasField("after_sequence")


def test_fifty_cuts_leave_no_event_out_and_repeat_none(server: Scripted, caller: Caller) -> None:
    def stream(request: Any, context: grpc.ServicerContext) -> Iterator[Any]:
        start = request.after_sequence
        yield snapshot(start)
        for sequence in range(start + 1, min(start + 8, 400) + 1):
            yield event(sequence)
        if start + 8 >= 400:
            yield end(400)
            return
        AWAY(request, context)

    server.on("WatchPromptRun", stream)
    updates = caller.collect(watch)
    sequences = [update.sequence for update in updates if update.event is not None]
    assert sequences[0] == 1
    assert sequences[-1] == 400
    assert all(later == earlier + 1 for earlier, later in pairwise(sequences))
    assert len(server.seen) == 50
