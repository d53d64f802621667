"""A run as live bars: one a media item, with counts, failures, pace, tokens and time left."""

from collections.abc import Iterable
from threading import Lock
from types import TracebackType

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.markup import escape
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from promptreel_client.cli import tables
from promptreel_client.cli.lines import counts, phase
from promptreel_client.cli.progress import TERMINAL, ItemProgress, RunProgress
from promptreel_client.model.runs import RunUpdate

_AROUND = 6
"""Lines of the terminal that are left for other things than media items."""

_ORDER = {"processing": 0, "failed": 1, "partial": 2, "pending": 3}


class Bars:
    """Draws a run on a terminal while it goes, and leaves the last picture there."""

    def __init__(self, console: Console) -> None:
        self.progress = RunProgress()
        self._console = console
        self._lock = Lock()  # the picture is drawn by a thread of its own
        self._live = Live(get_renderable=self._draw, console=console, refresh_per_second=8)

    def take(self, update: RunUpdate) -> None:
        """Fold one update in; it shows within an eighth of a second."""
        with self._lock:
            self.progress.take(update)

    def __enter__(self) -> "Bars":
        self._live.__enter__()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._live.__exit__(kind, error, trace)

    def _draw(self) -> RenderableType:
        with self._lock:
            return picture(self.progress, rows=max(1, self._console.size.height - _AROUND))


def picture(progress: RunProgress, *, rows: int) -> Group:
    """Draw a run as it stands, with at most so many media items."""
    items = sorted(progress.items.values(), key=_urgency)
    shown, hidden = items[:rows], items[rows:]
    grid = Table.grid(padding=(0, 1))
    grid.add_column(no_wrap=True, overflow="ellipsis", max_width=36)
    grid.add_column(width=30)
    grid.add_column(no_wrap=True, overflow="ellipsis")
    for item in shown:
        grid.add_row(escape(item.title), _bar(item), _state(item))
    parts: list[RenderableType] = [_heading(progress), grid]
    if hidden:
        parts.append(Text(_rest(hidden), style="dim"))
    parts.append(_pulse(progress))
    return Group(*parts)


def summary(progress: RunProgress) -> str:
    """Say in one line what a run came to."""
    failed = f", {progress.failed} failed" if progress.failed else ""
    tokens = f", {progress.tokens:,} tokens" if progress.tokens else ""
    return (
        f"{progress.completed} of {progress.total_segments} segments of {progress.total_items}"
        f" media items completed{failed}{tokens}"
    )


def _heading(progress: RunProgress) -> Text:
    run = progress.run
    heading = Text()
    if run is not None:
        heading.append(run.run_id, style="bold")
        heading.append(f"  {run.prompt_name}  {run.processing_model}  ")
    return heading.append_text(tables.status(progress.status))


def _urgency(item: ItemProgress) -> tuple[int, int]:
    share = item.done / item.total_segments if item.total_segments else 0.0
    return _ORDER.get(item.status, 4), -round(share * 1000)


def _bar(item: ItemProgress) -> ProgressBar:
    if item.total_segments is not None:
        finished = "red" if item.failed else "green"
        return ProgressBar(
            total=max(item.total_segments, 1),
            completed=item.done if item.total_segments else 1,
            finished_style=finished,
        )
    if item.seconds_total:
        return ProgressBar(total=item.seconds_total, completed=item.seconds_done, style="dim")
    return ProgressBar(total=1, completed=1 if item.status in TERMINAL else 0)


def _state(item: ItemProgress) -> Text:
    state = Text()
    if item.status in TERMINAL:
        state.append_text(tables.status(item.status))
        state.append(f"  {counts(item)}")
    else:
        state.append(phase(item) if item.status == "processing" else item.status)
    if item.error_message:
        state.append(f"  {item.error_message}", style="red")
    return state


def _rest(hidden: Iterable[ItemProgress]) -> str:
    by_status: dict[str, int] = {}
    for item in hidden:
        by_status[item.status] = by_status.get(item.status, 0) + 1
    return "and " + ", ".join(f"{count} {word}" for word, count in sorted(by_status.items()))


def _pulse(progress: RunProgress) -> Text:
    parts = [f"{progress.completed + progress.failed} of {progress.total_segments} segments"]
    if progress.failed:
        parts.append(f"{progress.failed} failed")
    if (pace := progress.pace.per_second) is not None:
        parts.append(f"{pace:.1f} a second" if pace >= 1 else f"{pace * 60:.0f} a minute")
    if progress.tokens:
        parts.append(f"{progress.tokens:,} tokens")
    if progress.status not in TERMINAL and (left := progress.seconds_left) is not None:
        parts.append(f"about {_duration(left)} left")
    return Text(" · ".join(parts), style="dim")


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
