"""Segments, and how one stands inside a run."""

from bisect import bisect_left
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from fractions import Fraction
from functools import cached_property

from promptreel_server.domain.operation import Failure, Operation, OperationState, OperationStatus
from promptreel_server.domain.prompt import JsonObject
from promptreel_server.errors import FailureCode


class SegmentationMode(Enum):
    """How a media item is cut."""

    SMART = "smart"
    """Whole shots joined to segments."""
    FIXED = "fixed"
    """Even stretches of a given length."""
    CONTENT_AWARE = "content_aware"
    """What is said and what is seen together."""
    IMAGE = "image"
    """A still image is one segment."""


class SegmentStatus(Enum):
    """How a segment stands inside a run."""

    PENDING = "pending"
    PROCESSING = "processing"
    COMPLETED = "completed"
    """Every enabled operation succeeded: terminal until a retry."""
    FAILED = "failed"
    """At least one enabled operation gave up: terminal until a retry."""
    CANCELLED = "cancelled"
    """Left undone because of a stop request: terminal until a retry."""

    @property
    def terminal(self) -> bool:
        """Whether nothing more happens by itself."""
        return self in (SegmentStatus.COMPLETED, SegmentStatus.FAILED, SegmentStatus.CANCELLED)


@dataclass(frozen=True, kw_only=True)
class Segment:
    """A half-open stretch `[start, end)` of one media item, in seconds on the container's clock."""

    segment_id: str
    video_id: str
    ordinal: int
    start: Fraction
    end: Fraction

    @property
    def duration(self) -> Fraction:
        """Length in seconds."""
        return self.end - self.start

    @cached_property
    def seconds(self) -> tuple[float, float]:
        """Start and end, as near as floats come to them."""
        return float(self.start), float(self.end)


@dataclass(frozen=True, kw_only=True)
class Word:
    """One spoken word; times in seconds on the container's clock."""

    text: str
    start: float
    end: float


@dataclass(frozen=True, kw_only=True)
class Transcript:
    """What is said in a stretch, its words in order of time; empty text where nothing is."""

    text: str
    language: str | None
    words: tuple[Word, ...]

    def within(self, start: float, end: float) -> "Transcript":
        """The words whose middle lies in `[start, end)`, with their text as it is written here."""
        first, last = bisect_left(self._middles, start), bisect_left(self._middles, end)
        words = self.words[first:last]
        text = self.text[self._places[first][0] : self._places[last - 1][1]] if words else ""
        return Transcript(text=text, language=self.language, words=words)

    @cached_property
    def _middles(self) -> list[float]:
        return [(word.start + word.end) / 2 for word in self.words]

    @cached_property
    def _places(self) -> list[tuple[int, int]]:
        """Where each word stands in the text: not every language parts words by spaces."""
        places: list[tuple[int, int]] = []
        end = 0
        for word in self.words:
            at = self.text.find(word.text, end)
            if at < 0:
                raise ValueError(f"the word {word.text!r} is not in the text")
            end = at + len(word.text)
            places.append((at, end))
        return places


@dataclass(frozen=True, kw_only=True)
class Shortfall:
    """What a segment lacks, as far as a retry goes by it; most that failed together lack the same.

    `codes` are those of its failures, of operations first; `retryable` where any of them is.
    """

    status: SegmentStatus
    begun: bool
    undone: tuple[Operation, ...]
    codes: tuple[FailureCode, ...]
    retryable: bool
    before_any: bool
    """Whether it failed before any operation."""


@dataclass(frozen=True, kw_only=True)
class SegmentRun:
    """One segment inside one run: its operations and what they yielded."""

    run_id: str
    segment: Segment
    status: SegmentStatus
    operations: Mapping[Operation, OperationState]
    metadata: JsonObject | None = None
    metadata_text: str = ""
    transcript: Transcript | None = None
    processing_warning: str | None = None
    failure: Failure | None = None
    """Why it failed before any operation (cutting, decoding), if it did."""
    started_at: datetime | None = None
    completed_at: datetime | None = None
    thumbnail_available: bool = False

    def failed_operations(self) -> tuple[Operation, ...]:
        """The operations that stand failed."""
        return tuple(
            operation
            for operation, state in self.operations.items()
            if state.status is OperationStatus.FAILED
        )

    @property
    def shortfall(self) -> Shortfall:
        """What it lacks."""
        failures = [state.failure for state in self.operations.values() if state.failure]
        if self.failure is not None:
            failures.append(self.failure)
        return Shortfall(
            status=self.status,
            begun=self.started_at is not None,
            undone=tuple(
                operation
                for operation, state in self.operations.items()
                if state.status in (OperationStatus.FAILED, OperationStatus.PENDING)
            ),
            codes=tuple(failure.code for failure in failures),
            retryable=any(failure.retryable for failure in failures),
            before_any=self.failure is not None,
        )
