"""EventService: the feed of the caller, as it moves."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import Any

import grpc
from google.protobuf.duration_pb2 import Duration
from sqlalchemy import Connection

from promptreel.v2 import event_pb2, event_pb2_grpc
from promptreel_server.domain.event import EventType
from promptreel_server.errors import Invalid
from promptreel_server.services.call.context import current_call
from promptreel_server.services.watch import sse
from promptreel_server.services.watch.feed_item import Told
from promptreel_server.services.watch.run_watches import heartbeat, split
from promptreel_server.services.watch.watch_hub import Batch, End, Start, Tails, begin
from promptreel_server.store.catalogue import indexes, media
from promptreel_server.store.database.database import Database
from promptreel_server.store.feed import EventFilter
from promptreel_server.store.runs import runs

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
    ) -> AsyncGenerator[event_pb2.EventUpdate]:
        """Stream events in order; ends after the terminal event of a run in the filter."""
        async with aclosing(self._batches(request)) as batches:
            async for batch in batches:
                if batch.end in _ERRORS:
                    yield EventUpdate(sequence=batch.at, error=_ERRORS[batch.end])
                elif not batch.told and batch.end is None:
                    yield EventUpdate(sequence=batch.at, heartbeat=heartbeat())
                if batch.told:
                    for part in split(batch.told, request.updates_at_once):
                        yield part[0].event_update if len(part) == 1 else _several(part)
                    del part
                del batch  # what was told need not live until there is more

    async def frames(self, request: event_pb2.WatchEventsRequest) -> AsyncGenerator[bytes]:
        """Do what `WatchEvents` does for a reader of server-sent events."""
        async with aclosing(self._batches(request)) as batches:
            async for batch in batches:
                if batch.end in _ERRORS:
                    yield sse.frame(sse.STREAM_ERROR, _ERRORS[batch.end], batch.at)
                elif batch.told:
                    yield b"".join(told.frame for told in batch.told)
                elif batch.end is None:
                    yield sse.comment("heartbeat")
                del batch

    async def _batches(self, request: event_pb2.WatchEventsRequest) -> AsyncGenerator[Batch]:
        owner_id = current_call().owner_id
        wanted = _filter(request)
        after = request.after_sequence if request.HasField("after_sequence") else None

        def read(c: Connection) -> Start:
            _check(c, owner_id, wanted)
            whole = wanted.run_id is not None
            return begin(c, owner_id, after, run_id=wanted.run_id, whole=whole)

        with self._tails.counted():
            start = await self._database.read_snapshot(read)
            yield Batch(at=start.at)
            async with aclosing(self._tails.follow(owner_id, start, wanted)) as batches:
                async for batch in batches:
                    yield batch
                    del batch


def _several(part: Sequence[Told]) -> EventUpdate:
    update = EventUpdate(sequence=part[-1].sequence)
    update.several.MergeFromString(b"".join(told.packed_event_update for told in part))
    return update


def _error(message: str) -> event_pb2.StreamError:
    return event_pb2.StreamError(
        code="unavailable", message=message, retry_after=Duration(seconds=1)
    )


_ERRORS = {
    End.DRAINING: _error("The server is stopping; come back with the last sequence."),
    End.TOO_SLOW: _error("You read too slowly; come back with the last sequence."),
}


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
