"""A run folded from its updates."""

import pytest

from promptreel_client.cli.progress import RunProgress
from promptreel_client.model.runs import RunUpdate
from promptreel_client.model.words import RunStatus
from tests.unit.cli.updates import RUN, end, event, snapshot


def folded(*updates: RunUpdate) -> RunProgress:
    progress = RunProgress()
    for update in updates:
        progress.take(update)
    return progress


def test_a_snapshot_alone_says_how_the_run_stands() -> None:
    progress = folded(snapshot(status=RunStatus.PROCESSING, total_segments=7, completed_segments=3))

    assert (progress.status, progress.completed, progress.total_segments) == ("processing", 3, 7)
    assert progress.total_items == 2


def test_a_media_item_counts_each_segment_once() -> None:
    progress = folded(
        event("prompt_run.progress", phase="extracting", total_segments=3),
        event("segment.completed", segment="a"),
        event("segment.completed", segment="a"),
        event("segment.failed", segment="b"),
    )

    item = progress.items["video_1"]
    assert (item.completed, item.failed, item.done, item.total_segments) == (1, 1, 2, 3)


def test_a_retry_that_succeeds_turns_a_failure_into_a_completion() -> None:
    progress = folded(
        event("segment.failed", segment="b"), event("segment.retry.completed", segment="b")
    )

    assert (progress.completed, progress.failed) == (1, 0)


def test_a_media_item_that_is_cut_anew_is_counted_anew() -> None:
    why = "Nothing in it can be decoded."
    progress = folded(
        event("prompt_run.progress", phase="extracting", total_segments=1),
        event("segment.failed", segment="stand-in", error_message=why),
        event("media.processing.failed", status="failed", error_message=why),
        event("media.processing.started", status="processing", title="clip"),
        event("prompt_run.progress", phase="extracting", total_segments=2),
        event("segment.completed", segment="a"),
        event("segment.completed", segment="b"),
        event("segment.retry.completed", segment="stand-in"),
    )

    assert (progress.completed, progress.failed) == (2, 0)
    assert progress.items["video_1"].error_message is None


def test_cutting_is_told_in_seconds_of_the_medium() -> None:
    progress = folded(
        event("media.processing.started", status="processing", title="clip"),
        event("prompt_run.progress", phase="cutting", seconds_done=10.5, seconds_total=46.5),
    )

    item = progress.items["video_1"]
    assert (item.title, item.phase, item.seconds_done, item.seconds_total) == (
        "clip",
        "cutting",
        10.5,
        46.5,
    )


def test_what_comes_after_cutting_forgets_the_seconds() -> None:
    progress = folded(
        event("prompt_run.progress", phase="cutting", seconds_done=46.5, seconds_total=46.5),
        event("prompt_run.progress", phase="extracting", total_segments=5),
    )

    assert progress.items["video_1"].seconds_total == 0.0


def test_pace_goes_by_the_time_of_the_events_not_of_their_arrival() -> None:
    progress = folded(
        *(event("segment.completed", segment=str(number), at=number * 2) for number in range(5))
    )

    assert progress.pace.per_second == pytest.approx(0.5)


def test_pace_forgets_what_is_older_than_a_minute() -> None:
    slow_then_fast = [0.0, *(100.0 + number / 10 for number in range(11))]
    progress = folded(
        *(event("segment.completed", segment=str(at), at=at) for at in slow_then_fast)
    )

    assert progress.pace.per_second == pytest.approx(10.0)


def test_time_left_counts_on_media_items_that_are_not_cut_yet() -> None:
    progress = folded(
        snapshot(total_videos=2),
        event("prompt_run.progress", phase="extracting", total_segments=10),
        event("segment.completed", segment="a", at=0.0),
        event("segment.completed", segment="b", at=1.0),
    )

    assert progress.seconds_left == pytest.approx(20 - 2)


def test_time_left_is_unknown_before_two_segments_are_done() -> None:
    assert folded(snapshot(), event("segment.completed", segment="a")).seconds_left is None


def test_tokens_add_up_over_events() -> None:
    progress = folded(
        event("segment.completed", segment="a", tokens=120),
        event("video_result.completed", tokens=30),
    )

    assert progress.tokens == 150


def test_the_end_says_how_the_run_stands() -> None:
    progress = folded(snapshot(), end(RunStatus.COMPLETED_WITH_FAILURES))

    assert progress.run == RUN
    assert progress.status == "completed_with_failures"


def test_an_event_type_of_a_newer_server_is_let_pass() -> None:
    progress = folded(event("media.moved", tokens=0))

    assert progress.items["video_1"].status == "pending"
