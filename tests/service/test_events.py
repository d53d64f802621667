from collections.abc import Iterator
from typing import Any

import pytest

from promptreel.v2 import event_pb2, event_pb2_grpc
from promptreel_server.domain.event import EventType
from tests.service.caller import Caller, refusal
from tests.service.runner import SEGMENTS, Runner

TERMINAL = {
    "prompt_run.completed",
    "prompt_run.failed",
    "prompt_run.cancelled",
    "prompt_run.partial_completed",
}


def _watch(runner: Runner, **asked: Any) -> Iterator[event_pb2.EventUpdate]:
    stub = event_pb2_grpc.EventServiceStub(runner.caller.channel)
    updates: Iterator[event_pb2.EventUpdate] = stub.WatchEvents(
        event_pb2.WatchEventsRequest(**asked), metadata=runner.caller.said(), timeout=40
    )
    return updates


def _of_run(runner: Runner, run_id: str, **asked: Any) -> list[event_pb2.EventUpdate]:
    updates = _watch(runner, run_id=run_id, **asked)
    return [update for update in updates if update.HasField("event")]


def _until(runner: Runner, last: str, **asked: Any) -> list[event_pb2.Event]:
    """The events of a watch without an end, up to the first one of a type."""
    watching = _watch(runner, **asked)
    found = []
    for update in watching:
        if update.HasField("event"):
            found.append(update.event)
            if update.event.event_type == last:
                break
    watching.cancel()  # type: ignore[attr-defined]
    return found


def test_a_watch_over_a_run_tells_it_whole_and_ends_after_its_end(runner: Runner) -> None:
    run = runner.execute(runner.video(), processing_model="canned:slow")

    updates = _of_run(runner, run.run_id)

    types = [update.event.event_type for update in updates]
    assert types[0] == "prompt_run.started"
    assert types[-1] in TERMINAL
    assert sum(name in TERMINAL for name in types) == 1
    assert types.count("segment.completed") == SEGMENTS
    assert {update.event.run_id for update in updates} == {run.run_id}
    assert {update.event.user_id for update in updates} == {runner.caller.owner}
    assert len({update.event.event_id for update in updates}) == len(updates)
    assert set(types) <= {event_type.value for event_type in EventType}


@pytest.mark.parametrize("seen", [1, 5])
def test_a_watch_that_comes_back_misses_and_repeats_nothing(runner: Runner, seen: int) -> None:
    run = runner.execute(runner.video(), processing_model="canned:slow")
    first: list[event_pb2.EventUpdate] = []
    watching = _watch(runner, run_id=run.run_id)
    for update in watching:
        if update.HasField("event"):
            first.append(update)
        if len(first) == seen:
            break
    watching.cancel()  # type: ignore[attr-defined]

    rest = _of_run(runner, run.run_id, after_sequence=first[-1].sequence)

    assert first + rest == _of_run(runner, run.run_id, after_sequence=0)


def test_types_and_media_filter_what_is_told(runner: Runner) -> None:
    one, two = runner.video(), runner.video(2, 2)
    run = runner.finished(one, two)

    failed_or_done = ["segment.completed", "segment.failed"]
    by_type = _of_run(runner, run.run_id, event_types=failed_or_done)
    by_media = _of_run(runner, run.run_id, video_ids=[two])
    by_both = _of_run(runner, run.run_id, video_ids=[two], event_types=["segment.started"])
    by_other_run = _of_run(runner, runner.finished(one).run_id, video_ids=[two])

    assert [update.event.event_type for update in by_type] == ["segment.completed"] * 8
    assert {update.event.video_id for update in by_media} == {two}
    assert len(by_both) == 2
    assert by_other_run == []


def test_an_index_filters_too(runner: Runner) -> None:
    index_id = runner.caller.index()
    inside, outside = runner.video(index_id=index_id), runner.video()
    runner.finished(outside)
    runner.finished(target={"type": "index", "index_id": index_id})

    found = _until(runner, "prompt_run.completed", index_id=index_id, after_sequence=0)

    assert {event.index_id for event in found} == {index_id}
    assert {event.video_id for event in found if event.HasField("video_id")} == {inside}
    assert found[0].event_type in {"import_job.started", "media.created"}


def test_an_upload_is_told(runner: Runner) -> None:
    video_id = runner.video()

    found = _until(runner, "import_job.completed", after_sequence=0)

    assert [event.event_type for event in found] == ["media.created", "import_job.completed"]
    assert found[0].video_id == video_id


def test_retries_are_told(runner: Runner) -> None:
    video_id = runner.video()
    run = runner.finished(video_id, processing_model="canned:flaky")
    at = _of_run(runner, run.run_id)[-1].sequence
    segment_id = runner.manifest(run.run_id).videos[0].segments[0].segment_id
    runner.retry_ended(runner.retry(run.run_id, video_id, segment_id))

    found = _until(runner, "segment.retry.completed", after_sequence=at)

    types = [event.event_type for event in found]
    assert types[0] == "segment.retry.started"
    assert "segment.completed" in types
    assert "video_result.completed" in types
    assert {event.segment_id for event in found if event.segment_id} == {segment_id}


def test_what_happened_before_is_not_told_unless_asked_for(runner: Runner) -> None:
    runner.video()
    watching = _watch(runner)
    first = next(watching)
    watching.cancel()  # type: ignore[attr-defined]

    assert first.HasField("heartbeat")
    assert first.sequence > 0


def test_nobody_hears_of_somebody_else(runner: Runner, other: Caller) -> None:
    run = runner.finished(runner.video())
    stranger = Runner(caller=other)

    first = next(_watch(stranger, after_sequence=0))

    assert first.HasField("heartbeat")
    for asked in (
        {"run_id": run.run_id},
        {"video_ids": ["vid_nobody"]},
        {"index_id": runner.caller.index()},
    ):
        refused = refusal(lambda asked=asked: list(_watch(stranger, **asked)))  # type: ignore[misc]
        assert refused.http_status == 404


@pytest.mark.parametrize(
    ("asked", "field"),
    [
        ({"event_types": ["segment.exploded"]}, "event_types"),
        ({"video_ids": ["vid_x"] * 101}, "video_ids"),
        ({"after_sequence": -1}, "after_sequence"),
    ],
)
def test_what_can_not_be_asked_is_refused(
    runner: Runner, asked: dict[str, Any], field: str
) -> None:
    refused = refusal(lambda: list(_watch(runner, **asked)))

    assert refused.http_status == 400
    assert refused.violations == (field,)
