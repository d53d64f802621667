"""Watches over one run: how it stands, what happens in it, what it yields."""

import time
from collections.abc import AsyncIterator

from sqlalchemy import Connection

from promptreel.v2 import enums_pb2, event_pb2, prompt_run_pb2
from promptreel_server.clock import utc_now
from promptreel_server.model.event import Event, EventType
from promptreel_server.model.run import Run, RunMedia
from promptreel_server.services.call import current_call
from promptreel_server.services.event_messages import event_message
from promptreel_server.services.result_messages import result_message
from promptreel_server.services.run_messages import RUN_STATUS, run_message
from promptreel_server.services.tails import Tails
from promptreel_server.services.timestamps import timestamp
from promptreel_server.store import run_media, run_segments, runs
from promptreel_server.store.database import Database
from promptreel_server.store.feed import EventFilter

SNAPSHOT_EVERY = 0.2
"""Seconds between snapshots at the least: counters are coalesced, transitions never."""

RESULTS_AT_ONCE = 100

Update = prompt_run_pb2.PromptRunUpdate
ResultUpdate = prompt_run_pb2.ResultUpdate
_REASON = enums_pb2.WatchEndReason


def heartbeat() -> event_pb2.Heartbeat:
    """A message that says only that the server is there."""
    return event_pb2.Heartbeat(at=timestamp(utc_now()))


def only_counts(event: Event) -> bool:
    """Whether an event says no more than what a snapshot of the run says as well."""
    return event.event_type is EventType.RUN_PROGRESS and event.video_id is None


class Watches:
    """Streams over one run of the caller."""

    def __init__(self, database: Database, tails: Tails) -> None:
        self._database = database
        self._tails = tails

    async def run(
        self, request: prompt_run_pb2.WatchPromptRunRequest
    ) -> AsyncIterator[prompt_run_pb2.PromptRunUpdate]:
        """Send the run as it stands, then each change, then the end."""
        owner_id = current_call().owner_id
        after = request.after_sequence if request.HasField("after_sequence") else None
        with self._tails.counted():
            at = await self._tails.start(owner_id, after)
            run = await self._fetch(owner_id, request.run_id)  # no older than where events begin
            yield Update(sequence=at, snapshot=run_message(run))
            wanted = EventFilter(run_id=run.run_id)
            sent = time.monotonic()
            stale = False
            async for batch in self._tails.follow(owner_id, at, wanted, until_run_ends=run.run_id):
                for event in batch.events:
                    if not only_counts(event):
                        yield Update(sequence=event.sequence, event=event_message(event))
                stale = stale or bool(batch.events)
                at = batch.at
                if batch.quiet:
                    yield Update(sequence=at, heartbeat=heartbeat())
                due = time.monotonic() - sent >= SNAPSHOT_EVERY
                if stale and (due or batch.ended):
                    sent, stale = time.monotonic(), False
                    run = await self._fetch(owner_id, run.run_id)
                    yield Update(sequence=at, snapshot=run_message(run))
            yield Update(sequence=at, end=await self._end(owner_id, run.run_id))

    async def results(
        self, request: prompt_run_pb2.StreamResultsRequest
    ) -> AsyncIterator[prompt_run_pb2.ResultUpdate]:
        """Send each result once, in the order they were written, then the end."""
        owner_id = current_call().owner_id
        video_id = request.video_id if request.HasField("video_id") else None
        with self._tails.counted():
            run = await self._fetch(owner_id, request.run_id)
            if video_id is not None:
                await self._database.read(lambda c: run_media.fetch(c, run.run_id, video_id))
            sent = at = await self._tails.start(
                owner_id, request.after_sequence if request.HasField("after_sequence") else 0
            )
            wanted = EventFilter(
                run_id=run.run_id,
                event_types=(EventType.SEGMENT_COMPLETED, EventType.SEGMENT_FAILED),
            )
            async for batch in self._tails.follow(owner_id, at, wanted, until_run_ends=run.run_id):
                at = batch.at
                if batch.quiet:
                    yield ResultUpdate(sequence=sent, heartbeat=heartbeat())
                while found := await self._results(run, video_id, sent):
                    for update in found:
                        sent = update.sequence
                        yield update
            yield ResultUpdate(sequence=sent, end=await self._end(owner_id, run.run_id))

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

    async def _fetch(self, owner_id: str, run_id: str) -> Run:
        return await self._database.read(lambda c: runs.fetch(c, owner_id, run_id))

    async def _end(self, owner_id: str, run_id: str) -> prompt_run_pb2.WatchEnd:
        run = await self._fetch(owner_id, run_id)
        reason = _REASON.draining if self._tails.draining else _REASON.run_ended
        return prompt_run_pb2.WatchEnd(status=RUN_STATUS.number(run.status), reason=reason)
