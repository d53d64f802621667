"""What watches tell: a thing that happened, rendered once for all who are told it."""

from functools import cached_property

from promptreel.v2 import event_pb2, prompt_run_pb2, run_pb2
from promptreel_server.domain.event import RUN_ENDED, Event, EventType
from promptreel_server.services.messages.events import event_message
from promptreel_server.services.watch import sse

_ENDS = RUN_ENDED | {EventType.RETRY_COMPLETED, EventType.RETRY_FAILED}


class Told:
    """One event, or how a run stood at its place in the feed.

    `run` is the message of a standing; an event has none. `sequence` never goes back in a feed,
    and a standing repeats that of the event before it.
    """

    def __init__(
        self, sequence: int, *, event: Event | None = None, run: run_pb2.PromptRun | None = None
    ) -> None:
        self.sequence = sequence
        self.event = event
        self.run = run

    @property
    def run_id(self) -> str | None:
        """The run that it is about; None where it is about none."""
        return self.event.run_id if self.event is not None else self.run and self.run.run_id

    @property
    def only_counts(self) -> bool:
        """Whether it says no more than what a standing of the run says as well."""
        event = self.event
        return (
            event is not None
            and event.event_type is EventType.RUN_PROGRESS
            and event.video_id is None
        )

    @property
    def may_end_run(self) -> bool:
        """Whether a run may be over by it: it came to its end, or a retry of it did."""
        return self.event is not None and self.event.event_type in _ENDS

    @cached_property
    def run_update(self) -> prompt_run_pb2.PromptRunUpdate:
        """The message of a watch over one run."""
        if self.run is not None:
            return prompt_run_pb2.PromptRunUpdate(sequence=self.sequence, snapshot=self.run)
        return prompt_run_pb2.PromptRunUpdate(sequence=self.sequence, event=self._event)

    @cached_property
    def packed_run_update(self) -> bytes:
        """That message as one of several, for messages that are joined from such bytes.

        Joining costs a third of what copying messages into another does.
        """
        return prompt_run_pb2.PromptRunUpdates(updates=[self.run_update]).SerializeToString()

    @cached_property
    def packed_event_update(self) -> bytes:
        """The same of `event_update`."""
        return event_pb2.EventUpdates(updates=[self.event_update]).SerializeToString()

    @cached_property
    def event_update(self) -> event_pb2.EventUpdate:
        """The message of a watch over events; a standing is none."""
        return event_pb2.EventUpdate(sequence=self.sequence, event=self._event)

    @cached_property
    def frame(self) -> bytes:
        """The server-sent event."""
        if self.run is not None:
            return sse.frame("prompt_run.snapshot", self.run, self.sequence)
        message = self._event
        return sse.frame(message.event_type, message, self.sequence)

    @cached_property
    def _event(self) -> event_pb2.Event:
        if self.event is None:
            raise TypeError("a standing is no event")
        return event_message(self.event)
