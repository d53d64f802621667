"""Watches as data: what to ask a stream for, what each message means, when to come back.

Nothing here calls anything, so that blocking and asyncio clients follow a stream alike.
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from promptreel.v2 import event_pb2, prompt_run_pb2
from promptreel_client.attempts import MOST_ATTEMPTS, Clock, backoff
from promptreel_client.decoding import decode
from promptreel_client.errors import (
    DeadlineError,
    InternalError,
    PromptreelError,
    UnavailableError,
)
from promptreel_client.model.events import EventUpdate
from promptreel_client.model.results import SegmentResult
from promptreel_client.model.runs import RunUpdate, WatchEnd
from promptreel_client.model.words import WatchEndReason
from promptreel_client.statuses import of_reason

T = TypeVar("T")

PATIENCE = 300.0
"""Seconds of nothing but failures after which a watch that once worked gives up."""
AT_ONCE = 100
"""Updates that a message of a stream may hold."""
_CUT_SHORT = frozenset({"grpc_cancelled", "grpc_unknown", "grpc_internal"})
"""What gRPC says, with no word of the server's, when a stream breaks on its way."""


@dataclass(frozen=True, kw_only=True)
class Update(Generic[T]):
    """What one message of a stream means."""

    value: T | None = None
    """What the caller gets. None: nothing, such as of a heartbeat."""
    last: bool = False
    """Whether the stream is over for good."""
    again: PromptreelError | None = None
    """Why to watch again after the last sequence. None: go on reading."""


@dataclass(frozen=True, kw_only=True)
class Watching(Generic[T]):
    """A stream to follow; its request and messages know sequences."""

    request: Any
    meaning: Callable[[Any], Update[T]]
    ends_quietly: bool = False
    """Whether a stream that just ends is complete; else it was cut."""


class Following(Generic[T]):
    """How far one watch has come, over all the streams that it takes."""

    def __init__(
        self, watching: Watching[T], timeout: float | None, clock: Clock = time.monotonic
    ) -> None:
        self._watching = watching
        self._clock = clock
        self._ends_at = None if timeout is None else clock() + timeout
        self._heard_at: float | None = None
        self._failures = 0
        self.meant: Update[T] = Update()
        asked = watching.request
        self.sequence: int | None = (
            asked.after_sequence if asked.HasField("after_sequence") else None
        )

    def request(self) -> Any:
        """Answer the request that goes on where the last stream ended."""
        request = type(self._watching.request)()
        request.CopyFrom(self._watching.request)
        if self.sequence is not None:
            request.after_sequence = self.sequence
        return request

    def remaining(self) -> float | None:
        """Answer how many seconds the next stream may last, None for as long as there is news.

        Raises:
            DeadlineError: there are none left.
        """
        if self._ends_at is None:
            return None
        left = self._ends_at - self._clock()
        if left <= 0:
            raise _over()
        return left

    def take(self, message: Any) -> Update[T]:
        """Take in one message and answer what it means."""
        self._heard_at = self._clock()
        self._failures = 0
        self.sequence = max(self.sequence or 0, message.sequence)
        return self._watching.meaning(message)

    def values(self, message: Any) -> Iterator[T]:
        """Take in what a message holds, one update or several that came at once, as it is asked.

        What the last of them means is in `meant`.
        """
        at_once = message.WhichOneof("update") == "several"
        for part in message.several.updates if at_once else (message,):
            self.meant = self.take(part)
            if self.meant.value is not None:
                yield self.meant.value

    def over_when_cut(self) -> bool:
        """Answer whether a stream that ended without a word is complete."""
        return self._watching.ends_quietly

    def delay_after(self, error: PromptreelError) -> float:
        """Answer how many seconds to wait before watching again.

        Raises:
            DeadlineError: the time given is over, or would be.
            PromptreelError: the error itself, where watching again is of no use.
        """
        self._failures += 1
        left = self.remaining()
        if left is not None and isinstance(error, DeadlineError):
            raise _over() from error
        if not _may_pass(error) or self._lost():
            raise error
        delay = max(error.retry_after or 0.0, backoff(self._failures))
        return delay if left is None else min(delay, left)

    def _lost(self) -> bool:
        if self._heard_at is None:
            return self._failures >= MOST_ATTEMPTS
        return self._clock() - self._heard_at > PATIENCE


def _over() -> DeadlineError:
    return DeadlineError("The time given for watching is over; what is watched goes on.")


def cut() -> PromptreelError:
    """Answer what a stream that ended without a word comes to."""
    return UnavailableError("The stream ended before what it watches.")


def run_updates(request: prompt_run_pb2.WatchPromptRunRequest) -> Watching[RunUpdate]:
    """Follow one run."""

    def meaning(message: prompt_run_pb2.PromptRunUpdate) -> Update[RunUpdate]:
        kind = message.WhichOneof("update")
        if kind == "end" and (again := _come_back(message.end)):
            return Update(again=again)
        if kind in (None, "heartbeat"):
            return Update()
        return Update(value=decode(message, RunUpdate), last=kind == "end")

    return Watching(request=request, meaning=meaning)


def results(request: prompt_run_pb2.StreamResultsRequest) -> Watching[SegmentResult]:
    """Follow the results of one run."""

    def meaning(message: prompt_run_pb2.ResultUpdate) -> Update[SegmentResult]:
        kind = message.WhichOneof("update")
        if kind == "result":
            return Update(value=decode(message.result, SegmentResult))
        if kind == "end":
            again = _come_back(message.end)
            return Update(again=again, last=again is None)
        return Update()

    return Watching(request=request, meaning=meaning)


def events(request: event_pb2.WatchEventsRequest) -> Watching[EventUpdate]:
    """Follow the caller's events."""

    def meaning(message: event_pb2.EventUpdate) -> Update[EventUpdate]:
        kind = message.WhichOneof("update")
        if kind == "event":
            return Update(value=decode(message, EventUpdate))
        if kind == "error":
            return Update(again=_stream_error(message.error))
        return Update()

    return Watching(request=request, meaning=meaning, ends_quietly=True)


def _come_back(end: prompt_run_pb2.WatchEnd) -> PromptreelError | None:
    """Answer why to watch again after an end; None where it is the end of the run."""
    reason = decode(end, WatchEnd).reason
    if reason in (WatchEndReason.TOO_SLOW, WatchEndReason.DRAINING):
        return UnavailableError(f"The server ended the stream ({reason}).")
    return None


def _stream_error(error: event_pb2.StreamError) -> PromptreelError:
    """Answer the error that a message tells of; without a delay it is final."""
    if error.HasField("retry_after"):
        delay = error.retry_after.ToTimedelta().total_seconds()
        return UnavailableError(error.message, code=error.code, retry_after=delay)
    found = of_reason(error.code, error.message)
    if isinstance(found, UnavailableError):  # no delay: of no use to come back
        return InternalError(found.message, code=found.code)
    return found


def _may_pass(error: PromptreelError) -> bool:
    return isinstance(error, UnavailableError) or error.code in _CUT_SHORT
