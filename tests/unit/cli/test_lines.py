"""A run as plain lines."""

from promptreel_client.cli.lines import Lines
from promptreel_client.model.runs import RunUpdate
from promptreel_client.model.words import RunStatus
from tests.unit.cli.updates import end, event, snapshot


def written(*updates: RunUpdate) -> list[str]:
    lines = Lines()
    return [line for update in updates for line in lines.take(update)]


def test_a_status_is_told_once_however_often_it_is_repeated() -> None:
    lines = written(
        snapshot(status=RunStatus.PENDING),
        snapshot(status=RunStatus.PROCESSING),
        snapshot(status=RunStatus.PROCESSING, completed_segments=2),
        end(RunStatus.COMPLETED),
    )

    assert lines == ["run pending", "run processing", "run completed"]


def test_a_failure_is_told_at_once_with_where_and_why() -> None:
    lines = written(
        event("media.processing.started", status="processing", title="clip"),
        event(
            "segment.failed",
            segment="b",
            start_time=5.5,
            end_time=9.0,
            error_message="The model did not answer in time.",
        ),
    )

    assert lines[-1] == "clip: 00:05.5 – 00:09.0 failed: The model did not answer in time."


def test_a_failed_operation_is_told_with_its_code() -> None:
    failed = {"code": "blocked", "message": "The model refused: SAFETY."}
    lines = written(
        event(
            "segment.failed",
            segment="b",
            start_time=5.5,
            end_time=9.0,
            error_message=None,
            failures={"field_extraction": failed},
        ),
    )

    assert lines[-1].endswith("failed: blocked in field extraction, The model refused: SAFETY.")


def test_counts_are_told_now_and_then_and_when_they_are_complete() -> None:
    lines = written(
        event("prompt_run.progress", phase="extracting", total_segments=4),
        event("segment.completed", segment="a", at=0.5),
        event("segment.completed", segment="b", at=2.5),
        event("segment.completed", segment="c", at=2.6),
        event("segment.completed", segment="d", at=2.7),
    )

    assert lines == [
        "video_1: 4 segments",
        "video_1: 1 of 4 segments",
        "video_1: 2 of 4 segments",
        "video_1: 4 of 4 segments",
    ]


def test_a_media_item_that_fails_says_why() -> None:
    lines = written(
        event("media.processing.failed", status="failed", error_message="It can't be decoded.")
    )

    assert lines == ["video_1: failed: It can't be decoded."]


def test_cutting_is_told_in_seconds() -> None:
    lines = written(
        event("prompt_run.progress", phase="cutting", seconds_done=10.2, seconds_total=46.4)
    )

    assert lines == ["video_1: cutting 10 of 46 s"]


def test_a_synthesis_and_a_retry_are_told() -> None:
    lines = written(
        event("video_result.completed", status="completed"),
        event("segment.retry.failed", segment="b"),
    )

    assert lines == ["video_1: synthesis completed", "video_1: retry of b failed"]
