"""Watches over one run: how it stands, what happens in it, what it yields."""

from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import aclosing

from sqlalchemy import Connection

from promptreel.v2 import enums_pb2, event_pb2, prompt_run_pb2, run_pb2
from promptreel_server.clock import utc_now
from promptreel_server.domain.event import EventType
from promptreel_server.domain.run import Run, RunMedia
from promptreel_server.services.call.context import current_call
from promptreel_server.services.messages.results import result_message
from promptreel_server.services.messages.runs import RUN_STATUS, run_message
from promptreel_server.services.messages.timestamps import timestamp
from promptreel_server.services.watch import sse
from promptreel_server.services.watch.feed_item import Told
from promptreel_server.services.watch.watch_hub import Batch, End, Start, Tails, begin
from promptreel_server.store.database.database import Database
from promptreel_server.store.feed import EventFilter
from promptreel_server.store.runs import run_media, run_segments, runs

RESULTS_AT_ONCE = 100

Update = prompt_run_pb2.PromptRunUpdate
ResultUpdate = prompt_run_pb2.ResultUpdate
WatchEnd = prompt_run_pb2.WatchEnd
_REASON = enums_pb2.WatchEndReason
_REASONS = {
    End.RUN_ENDED: _REASON.run_ended,
    End.TOO_SLOW: _REASON.too_slow,
    End.DRAINING: _REASON.draining,
}
_RESULT_EVENTS = (EventType.SEGMENT_COMPLETED, EventType.SEGMENT_FAILED)


def heartbeat() -> event_pb2.Heartbeat:
    """A message that says only that the server is there."""
    return event_pb2.Heartbeat(at=timestamp(utc_now()))


class Watches:
    """Streams over one run of the caller."""

    def __init__(self, database: Database, tails: Tails) -> None:
        self._database = database
        self._tails = tails

    async def run(
        self, request: prompt_run_pb2.WatchPromptRunRequest
    ) -> AsyncGenerator[prompt_run_pb2.PromptRunUpdate]:
        """Send the run as it stands, then each change, then the end."""
        async with aclosing(self._batches(request)) as batches:
            async for batch, status in batches:
                if batch.end is not None:
                    yield Update(sequence=batch.at, end=_end(batch.end, status))
                elif not batch.told:
                    yield Update(sequence=batch.at, heartbeat=heartbeat())
                else:
                    for part in split(batch.told, request.updates_at_once):
                        yield part[0].run_update if len(part) == 1 else _several(part)
                    del part
                del batch  # what was told need not live until there is more

    async def run_frames(
        self, request: prompt_run_pb2.WatchPromptRunRequest
    ) -> AsyncGenerator[bytes]:
        """Do what `run` does for a reader of server-sent events."""
        async with aclosing(self._batches(request)) as batches:
            async for batch, status in batches:
                if batch.end is not None:
                    yield sse.frame("end", _end(batch.end, status), batch.at)
                elif batch.told:
                    yield b"".join(told.frame for told in batch.told)
                else:
                    yield sse.comment("heartbeat")
                del batch

    async def _batches(
        self, request: prompt_run_pb2.WatchPromptRunRequest
    ) -> AsyncGenerator[tuple[Batch, "enums_pb2.RunStatus.Value.ValueType"]]:
        """Tell the run as it stands and what follows, each batch with the run's status then."""
        owner_id, run_id = current_call().owner_id, request.run_id
        after = request.after_sequence if request.HasField("after_sequence") else None
        with self._tails.counted():
            start, run = await self._begin(owner_id, run_id, after)
            status = run.status
            yield Batch(told=(Told(start.at, run=run),), at=start.at), status
            del run  # ten thousand quiet watches need not hold it
            async with aclosing(self._follow(owner_id, start, run_id)) as batches:
                async for batch in batches:
                    told = tuple(_coalesced(batch.told))
                    status = _newest(told, status)
                    if batch.end is End.RUN_ENDED and not start.ended and not _over(status):
                        _, run = await self._begin(owner_id, run_id, None)
                        status = run.status
                        yield Batch(told=(Told(batch.at, run=run),), at=batch.at), status
                    if told or not batch.told:
                        yield Batch(told=told, at=batch.at, end=batch.end), status
                    del batch, told

    def _follow(self, owner_id: str, start: Start, run_id: str) -> AsyncGenerator[Batch]:
        return self._tails.follow(owner_id, start, EventFilter(run_id=run_id), standings=True)

    async def _begin(
        self, owner_id: str, run_id: str, after: int | None
    ) -> tuple[Start, run_pb2.PromptRun]:
        """Read where a watch begins and how the run stands there, of one commit."""

        def read(c: Connection) -> tuple[Start, run_pb2.PromptRun]:
            run = runs.fetch(c, owner_id, run_id)
            return begin(c, owner_id, after, run_id=run_id), run_message(run)

        return await self._database.read_snapshot(read)

    async def results(
        self, request: prompt_run_pb2.StreamResultsRequest
    ) -> AsyncGenerator[prompt_run_pb2.ResultUpdate]:
        """Send each result once, in the order they were written, then the end."""
        owner_id = current_call().owner_id
        video_id = request.video_id if request.HasField("video_id") else None
        after = request.after_sequence if request.HasField("after_sequence") else 0

        def read(c: Connection) -> tuple[Start, Run]:
            run = runs.fetch(c, owner_id, request.run_id)
            if video_id is not None:
                run_media.fetch(c, run.run_id, video_id)
            return begin(c, owner_id, after, run_id=run.run_id), run

        with self._tails.counted():
            start, run = await self._database.read_snapshot(read)
            sent = start.at
            # The tail only says when to look: results are read from their own rows.
            wake = Start(at=start.newest, newest=start.newest, ended=start.ended)
            wanted = EventFilter(
                run_id=run.run_id,
                video_ids=(video_id,) if video_id is not None else (),
                event_types=_RESULT_EVENTS,
            )
            async with aclosing(self._tails.follow(owner_id, wake, wanted)) as batches:
                while found := await self._results(run, video_id, sent):
                    for update in found:
                        sent = update.sequence
                        yield update
                async for batch in batches:
                    while found := await self._results(run, video_id, sent):
                        for update in found:
                            sent = update.sequence
                            yield update
                    if batch.end is not None:
                        _, ended = await self._begin(owner_id, run.run_id, None)
                        yield ResultUpdate(sequence=sent, end=_end(batch.end, ended.status))
                    elif not batch.told:
                        yield ResultUpdate(sequence=sent, heartbeat=heartbeat())

    async def _results(
        self, run: Run, video_id: str | None, after: int
    ) -> list[prompt_run_pb2.ResultUpdate]:
        def read(c: Connection) -> list[prompt_run_pb2.ResultUpdate]:
            items: dict[str, RunMedia] = {}
            updates = []
            for sequence, found in run_segments.results_after(
                c, run.run_id, video_id, after, RESULTS_AT_ONCE
            ):
                of_video = found.segment.video_id
                if of_video not in items:
                    items[of_video] = run_media.fetch(c, run.run_id, of_video)
                result = result_message(run, items[of_video], found)
                updates.append(ResultUpdate(sequence=sequence, result=result))
            return updates

        return await self._database.read(read)


def _newest(
    told: tuple[Told, ...], status: "enums_pb2.RunStatus.Value.ValueType"
) -> "enums_pb2.RunStatus.Value.ValueType":
    standings = [one.run for one in told if one.run is not None]
    return standings[-1].status if standings else status


def _coalesced(told: tuple[Told, ...]) -> Iterator[Told]:
    """Leave out what the newest standing says as well; transitions stay."""
    standings = [one for one in told if one.run is not None]
    for one in told:
        if not one.only_counts and (one.run is None or one is standings[-1]):
            yield one


def split(told: Sequence[Told], most: int) -> Iterator[Sequence[Told]]:
    """Split what is told at once into as much as one message may hold; 0: one."""
    most = max(1, most)
    return (told[first : first + most] for first in range(0, len(told), most))


def _several(part: Sequence[Told]) -> Update:
    update = Update(sequence=part[-1].sequence)
    update.several.MergeFromString(b"".join(told.packed_run_update for told in part))
    return update


def _over(status: "enums_pb2.RunStatus.Value.ValueType") -> bool:
    return RUN_STATUS.member(status, "status").terminal


def _end(end: End, status: "enums_pb2.RunStatus.Value.ValueType") -> WatchEnd:
    return WatchEnd(status=status, reason=_REASONS[end])
