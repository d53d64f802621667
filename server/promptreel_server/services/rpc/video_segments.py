"""The segments of media items, as they stand in one run, in the latest, or in any."""

from collections.abc import Sequence

from sqlalchemy import Connection

from promptreel.v2 import video_pb2
from promptreel_server.domain.page import Page, Slice
from promptreel_server.domain.segment import SegmentRun
from promptreel_server.errors import Invalid, NotFound, TooLarge
from promptreel_server.services.call.context import current_call
from promptreel_server.services.call.cursors import Cursors, Listing
from promptreel_server.services.messages.segments import segment
from promptreel_server.store.catalogue import media
from promptreel_server.store.database.database import Database
from promptreel_server.store.runs import run_media, run_segments, runs, segment_lookup
from promptreel_server.store.runs.segment_lookup import Cut

MOST_IN_A_BATCH = 50
MOST_SEGMENTS = 20_000


class VideoSegments:
    """Reads segments for VideoService."""

    def __init__(self, database: Database, cursors: Cursors) -> None:
        self._database = database
        self._cursors = cursors

    async def page(
        self, request: video_pb2.ListVideoSegmentsRequest
    ) -> video_pb2.ListVideoSegmentsResponse:
        """Answer a page of the segments of one media item."""
        if request.run_id and request.latest_run:
            raise Invalid.field("latest_run", "can't go with run_id; leave one of them out")
        owner, video_id = current_call().owner_id, request.video_id
        listing = Listing(
            name="ListVideoSegments", filters=(video_id, request.run_id, request.latest_run)
        )
        wanted = self._cursors.wanted(listing, request)

        def read(c: Connection) -> Page[Cut]:
            media.fetch(c, owner, video_id)
            if request.run_id:
                return _of_run(c, owner, request.run_id, video_id, wanted)
            if not request.latest_run:
                return segment_lookup.page_of_video(c, video_id, wanted)
            latest = segment_lookup.latest_run(c, owner, video_id)
            return Page(items=()) if latest is None else _of_run(c, owner, latest, video_id, wanted)

        page = await self._database.read(read)
        return video_pb2.ListVideoSegmentsResponse(
            data=[segment(*cut) for cut in page.items],
            pagination=self._cursors.pagination(listing, wanted, page),
        )

    async def batch(
        self, request: video_pb2.BatchGetVideoSegmentsRequest
    ) -> video_pb2.BatchGetVideoSegmentsResponse:
        """Answer the segments of several media items, in the order asked."""
        targets = _targets(request)
        owner = current_call().owner_id

        def read(c: Connection) -> list[video_pb2.VideoSegments]:
            room = MOST_SEGMENTS
            answer = []
            for target in targets:
                found = _of_target(c, owner, target, room)
                if found is not None:
                    room -= len(found.segments)
                    answer.append(found)
            return answer

        return video_pb2.BatchGetVideoSegmentsResponse(data=await self._database.read(read))


def _targets(
    request: video_pb2.BatchGetVideoSegmentsRequest,
) -> Sequence[video_pb2.VideoSegmentsTarget]:
    if request.video_ids and request.targets:
        raise Invalid.field("targets", "can't go with video_ids; leave one of them out")
    targets = list(request.targets) or [
        video_pb2.VideoSegmentsTarget(video_id=video_id) for video_id in request.video_ids
    ]
    if not 1 <= len(targets) <= MOST_IN_A_BATCH:
        raise Invalid.field("video_ids", f"name 1 to {MOST_IN_A_BATCH} media items")
    return targets


def _of_run(
    connection: Connection, owner: str, run_id: str, video_id: str, wanted: Slice
) -> Page[Cut]:
    runs.fetch(connection, owner, run_id)
    run_media.fetch(connection, run_id, video_id)
    page = run_segments.page(connection, run_id, video_id, wanted)
    return Page(items=tuple((each.segment, each) for each in page.items), after=page.after)


def _of_target(
    connection: Connection, owner: str, target: video_pb2.VideoSegmentsTarget, room: int
) -> video_pb2.VideoSegments | None:
    """Answer the segments of a target, None where it does not exist."""
    try:
        media.fetch(connection, owner, target.video_id)
        if target.run_id:
            runs.fetch(connection, owner, target.run_id)
            run_media.fetch(connection, target.run_id, target.video_id)
    except NotFound:
        return None
    run_id = target.run_id or segment_lookup.latest_run(connection, owner, target.video_id)
    found: list[SegmentRun] = []
    if run_id:
        found = run_segments.batch(connection, run_id, target.video_id, limit=room + 1)
    if len(found) > room:
        raise TooLarge(
            f"These media items have more than {MOST_SEGMENTS} segments; ask for fewer at once."
        )
    return video_pb2.VideoSegments(
        video_id=target.video_id,
        run_id=run_id,
        segments=[segment(each.segment, each) for each in found],
    )
