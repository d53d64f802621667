"""A run as plain lines: transitions and failures at once, counts now and then."""

from collections.abc import Iterator
from datetime import datetime

from promptreel_client.cli.progress import ItemProgress, RunProgress
from promptreel_client.cli.tables import span
from promptreel_client.model.events import Event
from promptreel_client.model.runs import RunUpdate

_BETWEEN_COUNTS = 2.0
"""Seconds between two lines of counts about one media item."""


class Lines:
    """Turns updates into the lines that are worth a reader's time."""

    def __init__(self) -> None:
        self.progress = RunProgress()
        self._status = ""
        self._counted: dict[str, datetime] = {}

    def take(self, update: RunUpdate) -> Iterator[str]:
        """Fold one update in and answer the lines it is worth."""
        self.progress.take(update)
        if update.event is not None:
            yield from self._event(update.event)
        elif self.progress.status != self._status:
            self._status = self.progress.status
            yield f"run {self._status}"

    def _event(self, event: Event) -> Iterator[str]:
        item = self.progress.items.get(event.video_id or "")
        if item is None:
            return
        match event.event_type.split("."):
            case ["media", "processing", _]:
                yield f"{item.title}: {item.status}{_reason(item.error_message)}"
            case ["prompt_run", "progress"] if "total_segments" in event.payload:
                yield f"{item.title}: {item.total_segments} segments"
            case ["prompt_run", "progress"] if self._due(item, event):
                yield f"{item.title}: {phase(item)}"
            case ["segment", "failed"]:
                yield f"{item.title}: {_where(event)} failed{_reason(_error(event))}"
            case ["segment", "completed"] if self._due(item, event):
                yield f"{item.title}: {counts(item)}"
            case ["segment", "retry", word]:
                yield f"{item.title}: retry of {event.segment_id} {word}"
            case ["video_result", word]:
                yield f"{item.title}: synthesis {word}{_reason(_error(event))}"

    def _due(self, item: ItemProgress, event: Event) -> bool:
        """Tell whether a line of counts is due; the first and the last one always are."""
        last = self._counted.get(item.video_id)
        complete = item.total_segments is not None and item.done == item.total_segments
        due = last is None or (event.created_at - last).total_seconds() >= _BETWEEN_COUNTS
        if due or complete:
            self._counted[item.video_id] = event.created_at
        return due or complete


def phase(item: ItemProgress) -> str:
    """Say what is being done with a media item."""
    if item.seconds_total:
        return f"{item.phase} {item.seconds_done:.0f} of {item.seconds_total:.0f} s"
    return counts(item) if item.total_segments is not None else item.phase


def counts(item: ItemProgress) -> str:
    """Say how many segments of a media item are done, and how many of them failed."""
    total = "?" if item.total_segments is None else item.total_segments
    failed = f", {item.failed} failed" if item.failed else ""
    return f"{item.done} of {total} segments{failed}"


def _where(event: Event) -> str:
    payload = event.payload
    if "start_time" not in payload or "end_time" not in payload:
        return str(event.segment_id)
    return span(payload["start_time"], payload["end_time"])


def _error(event: Event) -> str | None:
    """Why it failed: before any operation, or operation by operation."""
    failures = event.payload.get("failures") or {}
    told = [
        f"{failure['code']} in {operation.replace('_', ' ')}, {failure['message']}"
        for operation, failure in failures.items()
    ]
    return event.payload.get("error_message") or "; ".join(told) or None


def _reason(message: str | None) -> str:
    return f": {message}" if message else ""
