"""EventService: the feed of the caller, as it moves."""

from collections.abc import AsyncIterator
from typing import Any

import grpc
from google.protobuf.duration_pb2 import Duration
from sqlalchemy import Connection

from promptreel.v2 import event_pb2, event_pb2_grpc
from promptreel_server.errors import Invalid
from promptreel_server.model.event import EventType
from promptreel_server.services.call import current_call
from promptreel_server.services.event_messages import event_message
from promptreel_server.services.tails import Tails
from promptreel_server.services.watches import heartbeat
from promptreel_server.store import indexes, media, runs
from promptreel_server.store.database import Database
from promptreel_server.store.feed import EventFilter

Context = grpc.aio.ServicerContext[Any, Any]
EventUpdate = event_pb2.EventUpdate

MOST_VIDEOS = 100


class EventService(event_pb2_grpc.EventServiceServicer):
    """Events of the caller."""

    def __init__(self, database: Database, tails: Tails) -> None:
        self._database = database
        self._tails = tails

    async def WatchEvents(
        self, request: event_pb2.WatchEventsRequest, context: Context
    ) -> AsyncIterator[event_pb2.EventUpdate]:
        """Stream events in order; ends after the terminal event of a run in the filter."""
        owner_id = current_call().owner_id
        wanted = _filter(request)
        after = request.after_sequence if request.HasField("after_sequence") else None
        with self._tails.counted():
            await self._database.read(lambda c: _check(c, owner_id, wanted))
            at = await self._tails.start(owner_id, after, whole=wanted.run_id is not None)
            async for batch in self._tails.follow(
                owner_id, at, wanted, until_run_ends=wanted.run_id
            ):
                for event in batch.events:
                    yield EventUpdate(sequence=event.sequence, event=event_message(event))
                if batch.quiet:
                    yield EventUpdate(sequence=batch.at, heartbeat=heartbeat())
                at = batch.at
            if self._tails.draining:
                yield EventUpdate(sequence=at, error=_DRAINING)


_DRAINING = event_pb2.StreamError(
    code="unavailable",
    message="The server is stopping; come back with the last sequence.",
    retry_after=Duration(seconds=1),
)


def _filter(request: event_pb2.WatchEventsRequest) -> EventFilter:
    if len(request.video_ids) > MOST_VIDEOS:
        raise Invalid.field("video_ids", f"at most {MOST_VIDEOS} media items")
    try:
        event_types = tuple(EventType(name) for name in request.event_types)
    except ValueError as error:
        known = ", ".join(event_type.value for event_type in EventType)
        raise Invalid.field("event_types", f"one of {known}") from error
    return EventFilter(
        run_id=request.run_id or None,
        index_id=request.index_id or None,
        video_ids=tuple(request.video_ids),
        event_types=event_types,
    )


def _check(c: Connection, owner_id: str, wanted: EventFilter) -> None:
    """Refuse a filter that names what is not the caller's."""
    if wanted.run_id is not None:
        runs.fetch(c, owner_id, wanted.run_id)
    if wanted.index_id is not None:
        indexes.fetch(c, owner_id, wanted.index_id)
    for video_id in wanted.video_ids:
        media.fetch(c, owner_id, video_id)
