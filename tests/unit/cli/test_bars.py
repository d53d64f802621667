"""A run as a picture of bars."""

import io

from rich.console import Console

from promptreel_client.cli.bars import Bars, picture, summary
from promptreel_client.cli.progress import RunProgress
from promptreel_client.model.runs import RunUpdate
from promptreel_client.model.words import RunStatus
from tests.unit.cli.updates import end, event, snapshot


def drawn(*updates: RunUpdate, rows: int = 10) -> str:
    progress = RunProgress()
    for update in updates:
        progress.take(update)
    console = Console(file=io.StringIO(), width=100, force_terminal=False)
    with console.capture() as capture:
        console.print(picture(progress, rows=rows))
    return capture.get()


def test_a_bar_says_counts_failures_pace_tokens_and_time_left() -> None:
    shown = drawn(
        snapshot(status=RunStatus.PROCESSING, total_videos=1, total_segments=10),
        event("media.processing.started", status="processing", title="Demo clip"),
        event("prompt_run.progress", phase="extracting", total_segments=10),
        event("segment.completed", segment="a", at=0.0, tokens=1000),
        event("segment.failed", segment="b", at=0.5, tokens=234),
    )

    assert "run_1  Scenes  local  processing" in shown
    assert "Demo clip" in shown
    assert "2 of 10 segments, 1 failed" in shown
    assert "2.0 a second · 1,234 tokens · about 0:04 left" in shown


def test_more_media_items_than_lines_are_counted_not_drawn() -> None:
    started = [
        event("media.processing.started", video=f"video_{number}", status=status)
        for number, status in enumerate(["completed"] * 5 + ["processing"] * 2)
    ]
    shown = drawn(snapshot(), *started, rows=3)

    assert "video_5" in shown
    assert "video_6" in shown
    assert "and 4 completed" in shown


def test_a_title_is_text_not_markup() -> None:
    shown = drawn(event("media.processing.started", status="processing", title="[red]x[/red]"))

    assert "[red]x[/red]" in shown


def test_the_last_picture_stays_after_the_run_ended() -> None:
    written = io.StringIO()
    with Bars(Console(file=written, width=100, height=20, force_terminal=True)) as bars:
        bars.take(snapshot(status=RunStatus.PROCESSING))
        bars.take(event("media.processing.completed", status="completed", title="Demo clip"))
        bars.take(end(RunStatus.COMPLETED))

    assert "Demo clip" in written.getvalue()
    assert bars.progress.status == "completed"


def test_a_summary_says_what_came_of_the_run_in_one_line() -> None:
    progress = RunProgress()
    progress.take(snapshot(total_segments=3, completed_segments=2))
    progress.take(event("segment.failed", segment="b", tokens=7))

    assert summary(progress) == ("2 of 3 segments of 2 media items completed, 1 failed, 7 tokens")
