"""What a watcher knows of a run: the sum of the updates seen so far, media item by media item."""

from collections import deque
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from promptreel_client.model.events import Event
from promptreel_client.model.runs import PromptRun, RunUpdate

_WINDOW = 60.0
"""Seconds over which the pace is measured: long enough to be calm, short enough to notice."""

TERMINAL = frozenset({"completed", "completed_with_failures", "partial", "failed", "cancelled"})


class Pace:
    """How fast segments are done, on the clock of whoever wrote the events."""

    def __init__(self) -> None:
        self._times: deque[float] = deque()

    def note(self, at: datetime) -> None:
        """Take note of a segment that was done then."""
        moment = at.timestamp()
        self._times.append(moment)
        while self._times[0] < moment - _WINDOW:
            self._times.popleft()

    @property
    def per_second(self) -> float | None:
        """Segments a second over the last minute. None: too few were done to tell."""
        if len(self._times) < 2 or self._times[-1] <= self._times[0]:
            return None
        return (len(self._times) - 1) / (self._times[-1] - self._times[0])


class ItemProgress:
    """How one media item of the run stands."""

    def __init__(self, video_id: str) -> None:
        self.video_id = video_id
        self.title = video_id
        self.status = "pending"
        self.phase = ""
        self.seconds_done = 0.0
        self.seconds_total = 0.0
        self.total_segments: int | None = None
        """None: not cut yet."""
        self.error_message: str | None = None
        self._completed: set[str] = set()
        self._failed: set[str] = set()

    @property
    def completed(self) -> int:
        """Segments of which every enabled operation succeeded."""
        return len(self._completed)

    @property
    def failed(self) -> int:
        """Segments that stand failed, or were left undone because of the stop."""
        return len(self._failed)

    @property
    def done(self) -> int:
        """Segments that nothing is done for any more."""
        return self.completed + self.failed

    def segment(self, segment_id: str, *, failed: bool) -> bool:
        """Take note of what a segment came to; tells whether it is new that it is done."""
        new = segment_id not in self._completed and segment_id not in self._failed
        gained, lost = self._completed, self._failed
        if failed:
            gained, lost = lost, gained
        gained.add(segment_id)
        lost.discard(segment_id)
        return new

    def mended(self, segment_id: str) -> None:
        """Take note of a retry that succeeded; its segment may be gone, cut anew into others."""
        if segment_id in self._failed:
            self.segment(segment_id, failed=False)

    def phase_told(self, payload: Mapping[str, Any]) -> None:
        """Take note of what is being done with it, and how far that has come."""
        self.phase = str(payload.get("phase", ""))
        self.seconds_done = float(payload.get("seconds_done", 0.0))
        self.seconds_total = float(payload.get("seconds_total", 0.0))
        if "total_segments" in payload:
            self.total_segments = int(payload["total_segments"])
            self._completed.clear()  # cut anew by a retry: what stood for it before is gone
            self._failed.clear()

    def status_told(self, payload: Mapping[str, Any]) -> None:
        """Take note of its status, title and error."""
        self.status = str(payload.get("status", self.status))
        self.title = str(payload.get("title") or self.title)
        self.error_message = payload.get("error_message")
        if self.status in TERMINAL:
            self.phase = ""


class RunProgress:
    """How a run stands, folded from its updates; give it every update once, in order."""

    def __init__(self) -> None:
        self.run: PromptRun | None = None
        self.status = "pending"
        self.items: dict[str, ItemProgress] = {}
        self.tokens = 0
        self.pace = Pace()

    def take(self, update: RunUpdate) -> None:
        """Fold one update in."""
        if update.snapshot is not None:
            self.run = update.snapshot
            self.status = str(update.snapshot.status)
        elif update.event is not None:
            self._event(update.event)
        elif update.end is not None:
            self.status = str(update.end.status)

    @property
    def total_segments(self) -> int:
        """Segments of the media cut so far."""
        known = sum(item.total_segments or 0 for item in self.items.values())
        return max(known, self.run.total_segments if self.run else 0)

    @property
    def completed(self) -> int:
        """Segments of which every enabled operation succeeded."""
        known = sum(item.completed for item in self.items.values())
        return max(known, self.run.completed_segments if self.run else 0)

    @property
    def failed(self) -> int:
        """Segments that stand failed, or were left undone because of the stop."""
        return sum(item.failed for item in self.items.values())

    @property
    def total_items(self) -> int:
        """Media items that the run covers."""
        run = self.run
        covered = run.total_videos + run.total_audios + run.total_images if run else 0
        return max(covered, len(self.items))

    @property
    def seconds_left(self) -> float | None:
        """A guess at how long it will take from here. None: there is nothing to go by yet."""
        pace = self.pace.per_second
        cut = [item for item in self.items.values() if item.total_segments is not None]
        if not pace or not cut:
            return None
        uncut = self.total_items - len(cut)
        expected = self.total_segments + uncut * self.total_segments / len(cut)
        return max(0.0, expected - self.completed - self.failed) / pace

    def _event(self, event: Event) -> None:
        self.tokens += int(event.payload.get("tokens", 0))
        if event.video_id is None:
            return
        item = self.items.setdefault(event.video_id, ItemProgress(event.video_id))
        match event.event_type.split("."):
            case ["media", "processing", _]:
                item.status_told(event.payload)
            case ["prompt_run", "progress"]:
                item.phase_told(event.payload)
            case ["segment", "completed" | "failed" as outcome] if event.segment_id:
                if item.segment(event.segment_id, failed=outcome == "failed"):
                    self.pace.note(event.created_at)
            case ["segment", "retry", "completed"] if event.segment_id:
                item.mended(event.segment_id)
            case ["video_result", _]:
                item.phase = ""
            case _:
                return
