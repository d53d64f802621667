import asyncio
from collections.abc import Iterable, Iterator
from datetime import timedelta
from itertools import pairwise

import grpc
import pytest
from sqlalchemy import delete

from promptreel.v2 import (
    enums_pb2,
    event_pb2,
    event_pb2_grpc,
    prompt_run_pb2,
    prompt_run_pb2_grpc,
)
from promptreel_server.store import feed
from promptreel_server.store.schema.tables import events
from tests.service.caller import Caller, refusal
from tests.service.runner import SEGMENTS, Runner, Status

Update = prompt_run_pb2.PromptRunUpdate
Result = prompt_run_pb2.ResultUpdate
Reason = enums_pb2.WatchEndReason.Value


def _watch(runner: Runner, run_id: str, after: int | None = None) -> Iterator[Update]:
    request = prompt_run_pb2.WatchPromptRunRequest(run_id=run_id, after_sequence=after)
    updates: Iterator[Update] = runner.caller.runs.WatchPromptRun(
        request, metadata=runner.caller.said(), timeout=40
    )
    return updates


def _stream(
    runner: Runner, run_id: str, after: int | None = None, video_id: str | None = None
) -> Iterator[Result]:
    request = prompt_run_pb2.StreamResultsRequest(
        run_id=run_id, after_sequence=after, video_id=video_id
    )
    updates: Iterator[Result] = runner.caller.runs.StreamResults(
        request, metadata=runner.caller.said(), timeout=40
    )
    return updates


def _events(updates: Iterable[Update]) -> list[tuple[int, str]]:
    return [
        (update.sequence, update.event.event_id) for update in updates if update.HasField("event")
    ]


def test_a_watch_begins_with_the_run_tells_each_change_and_ends(runner: Runner) -> None:
    run = runner.execute(runner.video(), processing_model="canned:slow")

    updates = list(_watch(runner, run.run_id))

    assert updates[0].snapshot.run_id == run.run_id
    assert updates[-1].end.status == Status.completed
    assert updates[-1].end.reason == Reason.run_ended
    assert updates[-2].snapshot.status == Status.completed
    assert updates[-2].snapshot.completed_segments == SEGMENTS
    sequences = [update.sequence for update in updates]
    assert sequences == sorted(sequences)
    of_events = [sequence for sequence, _ in _events(updates)]
    assert len(set(of_events)) == len(of_events)


def test_transitions_come_in_order_none_missing(runner: Runner) -> None:
    run = runner.execute(runner.video(), processing_model="canned:slow")

    updates = list(_watch(runner, run.run_id, after=0))
    types = [update.event.event_type for update in updates if update.HasField("event")]

    run_types = [name for name in types if name.startswith("prompt_run.")]
    assert run_types[0] == "prompt_run.started"
    assert run_types[-1] == types[-1] == "prompt_run.completed"
    assert types.count("segment.started") == types.count("segment.completed") == SEGMENTS
    assert types.index("media.processing.started") < types.index("segment.started")
    assert types.index("video_result.completed") < types.index("media.processing.completed")
    by_segment: dict[str, list[str]] = {}
    for update in updates:
        if update.event.segment_id:
            by_segment.setdefault(update.event.segment_id, []).append(update.event.event_type)
    assert all(told == ["segment.started", "segment.completed"] for told in by_segment.values())


@pytest.mark.parametrize("seen", [1, 4, 9])
def test_a_watch_that_comes_back_gets_exactly_the_rest(runner: Runner, seen: int) -> None:
    run = runner.execute(runner.video(), processing_model="canned:slow")
    first: list[tuple[int, str]] = []
    watching = _watch(runner, run.run_id, after=0)
    for update in watching:
        first += _events([update])
        if len(first) == seen:
            break
    watching.cancel()  # type: ignore[attr-defined]

    rest = _events(_watch(runner, run.run_id, after=first[-1][0]))
    whole = _events(_watch(runner, run.run_id, after=0))

    assert first + rest == whole


def test_a_watch_over_a_finished_run_tells_it_and_ends(runner: Runner) -> None:
    run = runner.finished(runner.video())

    updates = list(_watch(runner, run.run_id))

    assert [update.WhichOneof("update") for update in updates] == ["snapshot", "end"]
    assert updates[0].snapshot == run


def test_a_quiet_watch_beats(runner: Runner) -> None:
    run = runner.execute(runner.video(), processing_model="canned:sluggish")

    updates = list(_watch(runner, run.run_id))

    assert any(update.HasField("heartbeat") for update in updates)
    assert updates[-1].HasField("end")


def test_a_watch_whose_filter_holds_everything_back_beats_as_well(runner: Runner) -> None:
    """Silence is what its reader hears: gateways and readers give a silent stream up."""
    run = runner.execute(
        runner.video(*[4] * 10), processing_model="canned:slow", video_segment_duration=1
    )
    stub = event_pb2_grpc.EventServiceStub(runner.caller.channel)
    request = event_pb2.WatchEventsRequest(
        run_id=run.run_id, event_types=["prompt_run.completed"], after_sequence=0
    )
    updates = list(stub.WatchEvents(request, metadata=runner.caller.said(), timeout=40))

    beats = [update.heartbeat.at.ToDatetime() for update in updates if update.HasField("heartbeat")]
    assert updates[-1].event.event_type == "prompt_run.completed"
    assert len(beats) > 2
    told = updates[-1].event.created_at.ToDatetime()
    pauses = [later - earlier for earlier, later in pairwise([*beats[1:], told])]
    assert max(pauses) < timedelta(seconds=2)


def test_a_stop_is_seen_by_a_watch(runner: Runner) -> None:
    run = runner.execute(
        runner.video(20, 20), processing_model="canned:slow", video_segment_duration=1
    )
    watching = _watch(runner, run.run_id)
    next(watching)

    runner.cancel(run.run_id)
    updates = list(watching)

    assert updates[-1].end.status == Status.cancelled
    assert updates[-2].snapshot.status == Status.cancelled
    types = [update.event.event_type for update in updates if update.HasField("event")]
    assert types[-1] == "prompt_run.cancelled"


def test_results_stream_once_each_in_the_order_they_were_written(runner: Runner) -> None:
    ids = [runner.video(), runner.video(2, 2)]
    run = runner.execute(*ids, processing_model="canned:slow")

    updates = list(_stream(runner, run.run_id))

    results = [update.result for update in updates if update.HasField("result")]
    found = [result.segment_id for result in results]
    stored = [r.segment_id for video_id in ids for r in runner.results(run.run_id, video_id)]
    assert len(found) == len(set(found)) == SEGMENTS + 2
    assert set(found) == set(stored)
    sequences = [update.sequence for update in updates if update.HasField("result")]
    assert sequences == sorted(set(sequences))
    assert updates[-1].end.status == Status.completed


def test_a_stream_of_results_goes_on_where_it_was_left(runner: Runner) -> None:
    run = runner.execute(runner.video(), processing_model="canned:slow")
    first: list[Result] = []
    streaming = _stream(runner, run.run_id)
    for update in streaming:
        if update.HasField("result"):
            first.append(update)
        if len(first) == 2:
            break
    streaming.cancel()  # type: ignore[attr-defined]

    rest = [u for u in _stream(runner, run.run_id, first[-1].sequence) if u.HasField("result")]
    whole = [u for u in _stream(runner, run.run_id) if u.HasField("result")]

    assert first + rest == whole
    assert len(whole) == SEGMENTS


def test_results_of_one_media_item_stream_alone(runner: Runner) -> None:
    wanted, other = runner.video(), runner.video(2, 2)
    run = runner.finished(wanted, other)

    updates = list(_stream(runner, run.run_id, video_id=wanted))

    videos = [update.result.video_id for update in updates if update.HasField("result")]
    assert videos == [wanted] * SEGMENTS
    stray = runner.video(2, 2)
    assert refusal(lambda: list(_stream(runner, run.run_id, video_id=stray))).http_status == 404


def test_failed_segments_stream_as_results_too(runner: Runner) -> None:
    run = runner.finished(runner.video(), processing_model="canned:flaky")

    results = [u.result for u in _stream(runner, run.run_id) if u.HasField("result")]

    assert sum(result.field_extraction_succeeded for result in results) == 3
    assert sum(result.HasField("field_extraction_error") for result in results) == 3


def test_a_run_of_nobody_or_somebody_else_is_neither_watched_nor_streamed(
    runner: Runner, other: Caller
) -> None:
    run = runner.finished(runner.video())
    stranger = Runner(caller=other)

    for who, run_id in ((runner, "run_nobody"), (stranger, run.run_id)):
        assert refusal(lambda: list(_watch(who, run_id))).http_status == 404  # noqa: B023
        assert refusal(lambda: list(_stream(who, run_id))).http_status == 404  # noqa: B023


def test_a_negative_sequence_is_refused(runner: Runner) -> None:
    run = runner.finished(runner.video())

    for call in (_watch, _stream):
        refused = refusal(lambda call=call: list(call(runner, run.run_id, after=-1)))  # type: ignore[misc]
        assert refused.violations == ("after_sequence",)


def test_a_sequence_yet_to_come_waits_for_what_comes(runner: Runner) -> None:
    run = runner.finished(runner.video())

    updates = list(_watch(runner, run.run_id, after=10_000_000))

    assert [update.WhichOneof("update") for update in updates] == ["snapshot", "end"]


@pytest.mark.parametrize("left", [0, 3])
def test_a_sequence_whose_events_are_gone_is_refused(runner: Runner, left: int) -> None:
    run = runner.finished(runner.video())
    whole = _events(_watch(runner, run.run_id, after=0))
    _forget_events(runner, left)

    refused = refusal(lambda: list(_watch(runner, run.run_id, after=whole[0][0])))

    assert refused.http_status == 400
    assert refused.violations == ("after_sequence",)
    newest = runner.read(lambda c: feed.last_sequence(c, runner.caller.owner))
    assert len(list(_watch(runner, run.run_id, after=newest))) == 2


def _forget_events(runner: Runner, left: int) -> None:
    live, owner = runner.caller.live, runner.caller.owner
    newest = runner.read(lambda c: feed.last_sequence(c, owner))
    gone = delete(events).where(events.c.owner_id == owner, events.c.sequence <= newest - left)
    live.thread.run(live.database.write(lambda tx: tx.execute(gone).rowcount))


async def test_many_watches_over_one_run_all_see_its_end(runner: Runner) -> None:
    run_id = await asyncio.to_thread(
        lambda: runner.execute(runner.video(), processing_model="canned:slow").run_id
    )
    request = prompt_run_pb2.WatchPromptRunRequest(run_id=run_id, after_sequence=0)
    async with grpc.aio.insecure_channel(runner.caller.live.address) as channel:
        stub = prompt_run_pb2_grpc.PromptRunServiceStub(channel)

        async def watch() -> list[tuple[int, str]]:
            watching = stub.WatchPromptRun(request, metadata=runner.caller.said())
            return _events([update async for update in watching])

        seen = await asyncio.gather(*(watch() for _ in range(20)))

    assert all(one == seen[0] for one in seen)
    assert len(seen[0]) > 2 * SEGMENTS


@pytest.mark.parametrize("model", ["canned:weary", "canned:hopeless"])
def test_a_watch_of_a_run_that_is_over_stays_for_its_retries(runner: Runner, model: str) -> None:
    run = runner.finished(runner.video(), processing_model=model)
    before = list(_watch(runner, run.run_id))[-1].sequence
    asked = runner.retry_all(run.run_id)

    updates = list(_watch(runner, run.run_id, before))

    ends = [u for u in updates if u.event.event_type.startswith("segment.retry.")]
    over = [u for u in ends if not u.event.event_type.endswith("started")]
    assert len(over) == len(asked.retries) > 0
    assert updates[-1].end.reason == Reason.run_ended
    assert updates[-1].end.status == runner.get(run.run_id).status
    assert updates[-1].end.status == (Status.completed if "weary" in model else Status.failed)
