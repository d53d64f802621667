"""VideoService: media items, their segments and their pictures."""

from collections.abc import AsyncIterator, Callable
from typing import Any

import grpc
from sqlalchemy import Connection

from promptreel.v2 import import_job_pb2, prompt_run_pb2, video_pb2, video_pb2_grpc
from promptreel_server.domain.media import MediaItem
from promptreel_server.domain.page import Page
from promptreel_server.engine.library.media_imports import Upload
from promptreel_server.engine.library.previews import Previews
from promptreel_server.engine.library.uri_imports import UriImports
from promptreel_server.errors import Invalid
from promptreel_server.services.call.context import current_call
from promptreel_server.services.call.cursors import Cursors, Listing
from promptreel_server.services.call.idempotency import answered, once
from promptreel_server.services.messages import indexes, videos
from promptreel_server.services.messages.import_jobs import import_job
from promptreel_server.services.rpc.run_lists import RunLists
from promptreel_server.services.rpc.uploads import Uploads
from promptreel_server.services.rpc.video_segments import VideoSegments
from promptreel_server.store.catalogue import media
from promptreel_server.store.database.database import Database
from promptreel_server.store.deletion import deletions
from promptreel_server.store.runs import processing_status, segment_lookup
from promptreel_server.store.schema.transaction import Transaction

Context = grpc.aio.ServicerContext[Any, Any]

MOST_IN_A_BATCH = 100
_RUNS = Listing(name="ListVideoPromptRuns", default_limit=200, most=200)
_PLAYGROUND = Listing(name="ListPlaygroundVideos")


class VideoService(video_pb2_grpc.VideoServiceServicer):
    """Answers media items; `on_deletion` is told when one is to be deleted."""

    def __init__(
        self,
        *,
        database: Database,
        cursors: Cursors,
        uploads: Uploads,
        from_uris: UriImports,
        previews: Previews,
        runs: RunLists,
        on_deletion: Callable[[], None],
    ) -> None:
        self._database = database
        self._cursors = cursors
        self._from_uris = from_uris
        self._previews = previews
        self._runs = runs
        self._on_deletion = on_deletion
        self._segments = VideoSegments(database, cursors)
        self._uploads = uploads

    async def CreateVideo(
        self, request: video_pb2.CreateVideoRequest, context: Context
    ) -> import_job_pb2.ImportJob:
        """Start to import a media item from a URI."""
        operation, owner = "CreateVideo", current_call().owner_id
        again = await answered(self._database, operation, request, import_job_pb2.ImportJob)
        if again is not None:
            return again
        if not request.index_id:
            raise Invalid.field("index_id", "name the index it goes to")
        upload = Upload(
            owner_id=owner,
            title=request.title,
            index_id=request.index_id,
            file_name=await self._from_uris.check(request.video_uri),
        )

        def act(tx: Transaction) -> import_job_pb2.ImportJob:
            return import_job(self._from_uris.accept(tx, upload, request.video_uri))

        answer = await once(self._database, operation, request, act, import_job_pb2.ImportJob)
        self._from_uris.wake()
        return answer

    async def UploadVideo(
        self, request_iterator: AsyncIterator[video_pb2.UploadVideoRequest], context: Context
    ) -> import_job_pb2.ImportJob:
        """Take in the bytes of a media item."""
        return await self._uploads.from_stream(request_iterator)

    async def GetVideo(
        self, request: video_pb2.GetVideoRequest, context: Context
    ) -> video_pb2.Video:
        """Answer one media item with how the runs over it stand."""
        owner, video_id = current_call().owner_id, request.video_id
        item, standing = await self._database.read(
            lambda c: (media.fetch(c, owner, video_id), processing_status.of_media(c, [video_id]))
        )
        return videos.video(item, standing.get(video_id, ()))

    async def DeleteVideo(
        self, request: video_pb2.DeleteVideoRequest, context: Context
    ) -> video_pb2.VideoDeletion:
        """Begin to delete a media item, or answer how far it has come."""
        owner = current_call().owner_id

        def act(tx: Transaction) -> video_pb2.VideoDeletion:
            deletion = deletions.request_video(tx, owner, request.video_id)
            return indexes.video_deletion(request.video_id, deletion)

        answer = await once(self._database, "DeleteVideo", request, act, video_pb2.VideoDeletion)
        self._on_deletion()
        return answer

    async def GetVideoDeletion(
        self, request: video_pb2.GetVideoDeletionRequest, context: Context
    ) -> video_pb2.VideoDeletion:
        """Answer how far the deletion of a media item has come."""
        owner = current_call().owner_id
        found = await self._database.read(lambda c: deletions.of_video(c, owner, request.video_id))
        return indexes.video_deletion(request.video_id, found)

    async def ListVideoSegments(
        self, request: video_pb2.ListVideoSegmentsRequest, context: Context
    ) -> video_pb2.ListVideoSegmentsResponse:
        """Answer the segments of a media item by start time."""
        return await self._segments.page(request)

    async def ListPlaygroundVideos(
        self, request: video_pb2.ListPlaygroundVideosRequest, context: Context
    ) -> video_pb2.ListPlaygroundVideosResponse:
        """Answer the caller's media that are in no index, newest first."""
        owner = current_call().owner_id
        wanted = self._cursors.wanted(_PLAYGROUND, request)

        def read(c: Connection) -> tuple[Page[MediaItem], Any]:
            page = media.of_index(c, owner, None, wanted)
            return page, processing_status.of_media(c, [item.video_id for item in page.items])

        page, standing = await self._database.read(read)
        return video_pb2.ListPlaygroundVideosResponse(
            data=videos.videos(page.items, standing),
            pagination=self._cursors.pagination(_PLAYGROUND, wanted, page),
        )

    async def ListVideoPromptRuns(
        self, request: video_pb2.ListVideoPromptRunsRequest, context: Context
    ) -> video_pb2.ListVideoPromptRunsResponse:
        """Answer the runs that cover a media item, newest first."""
        owner = current_call().owner_id
        await self._database.read(lambda c: media.fetch(c, owner, request.video_id))
        wanted = prompt_run_pb2.ListPromptRunsRequest(
            video_id=request.video_id,
            limit=self._cursors.limit(_RUNS, request),
            cursor=request.cursor or None,
        )
        found = await self._runs.ListPromptRuns(wanted, context)
        return video_pb2.ListVideoPromptRunsResponse(data=found.data, pagination=found.pagination)

    async def BatchGetVideos(
        self, request: video_pb2.BatchGetVideosRequest, context: Context
    ) -> video_pb2.BatchGetVideosResponse:
        """Answer several media items with the pictures that were made of them."""
        items, standing = await self._batch(list(request.video_ids), with_segments=False)
        answer = video_pb2.BatchGetVideosResponse(data=videos.videos(items, standing))
        thumbnails = await self._database.read(
            lambda c: segment_lookup.first_with_thumbnail(c, [item.video_id for item in items])
        )
        for video in answer.data:
            await self._add_pictures(video, thumbnails.get(video.video_id))
        return answer

    async def BatchGetVideoStatus(
        self, request: video_pb2.BatchGetVideoStatusRequest, context: Context
    ) -> video_pb2.BatchGetVideoStatusResponse:
        """Answer how several media items and the runs over them stand."""
        items, standing = await self._batch(list(request.video_ids), with_segments=True)
        return video_pb2.BatchGetVideoStatusResponse(
            data=[videos.video_status(item, standing.get(item.video_id, ())) for item in items]
        )

    async def BatchGetVideoSegments(
        self, request: video_pb2.BatchGetVideoSegmentsRequest, context: Context
    ) -> video_pb2.BatchGetVideoSegmentsResponse:
        """Answer the segments of several media items."""
        return await self._segments.batch(request)

    async def GetSegmentThumbnail(
        self, request: video_pb2.GetSegmentThumbnailRequest, context: Context
    ) -> video_pb2.Picture:
        """Answer the thumbnail of a segment."""
        owner = current_call().owner_id
        item, segment = await self._database.read(
            lambda c: segment_lookup.fetch(c, owner, request.segment_id)
        )
        made = await self._previews.thumbnail(item, segment)
        return video_pb2.Picture(data=made, content_type="image/jpeg")

    async def GetVideoGif(
        self, request: video_pb2.GetVideoGifRequest, context: Context
    ) -> video_pb2.Picture:
        """Answer the preview GIF of a media item."""
        owner = current_call().owner_id
        item = await self._database.read(lambda c: media.fetch(c, owner, request.video_id))
        made = await self._previews.gif(item)
        return video_pb2.Picture(data=made, content_type="image/gif")

    async def _batch(
        self, video_ids: list[str], *, with_segments: bool
    ) -> tuple[list[MediaItem], processing_status.Standings]:
        if not 1 <= len(video_ids) <= MOST_IN_A_BATCH:
            raise Invalid.field("video_ids", f"name 1 to {MOST_IN_A_BATCH} media items")
        owner = current_call().owner_id

        def read(c: Connection) -> tuple[list[MediaItem], processing_status.Standings]:
            items = media.fetch_known(c, owner, video_ids)
            known = [item.video_id for item in items]
            return items, processing_status.of_media(c, known, with_segments=with_segments)

        return await self._database.read(read)

    async def _add_pictures(self, video: video_pb2.Video, segment_id: str | None) -> None:
        video_id = video.video_id
        gif = await self._previews.kept_gif(video_id)
        if gif is not None:
            video.gif_data = gif
        if segment_id is None:
            return
        thumbnail = await self._previews.kept_thumbnail(video_id, segment_id)
        if thumbnail is not None:
            video.first_thumbnail = thumbnail
