"""RestService: what REST needs beyond the typed methods, each thin over one of them."""

from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass
from typing import Any

import grpc
from google.api.httpbody_pb2 import HttpBody
from google.protobuf.message import Message

from promptreel.v2 import (
    api_key_pb2,
    import_job_pb2,
    index_pb2,
    page_pb2,
    prompt_run_pb2,
    rest_pb2,
    rest_pb2_grpc,
    video_pb2,
)
from promptreel_server.services.call.context import current_call
from promptreel_server.services.messages.rest_json import render, render_array
from promptreel_server.services.rest.openapi import openapi_json
from promptreel_server.services.rpc.api_keys import ApiKeyService
from promptreel_server.services.rpc.events import EventService
from promptreel_server.services.rpc.import_jobs import ImportJobService
from promptreel_server.services.rpc.indexes import IndexService
from promptreel_server.services.rpc.prompt_runs import PromptRunService
from promptreel_server.services.rpc.uploads import Uploads
from promptreel_server.services.rpc.videos import VideoService
from promptreel_server.services.watch import sse
from promptreel_server.services.watch.run_watches import Watches

Context = grpc.aio.ServicerContext[Any, Any]

_JSON = "application/json"


@dataclass(frozen=True, kw_only=True)
class Typed:
    """The typed services that REST answers come from."""

    indexes: IndexService
    videos: VideoService
    import_jobs: ImportJobService
    api_keys: ApiKeyService
    runs: PromptRunService
    watches: Watches
    events: EventService
    uploads: Uploads


class RestService(rest_pb2_grpc.RestServiceServicer):
    """Bare arrays, forms, pictures and server-sent events."""

    def __init__(self, typed: Typed) -> None:
        self._typed = typed

    async def ListIndexes(
        self, request: index_pb2.ListIndexesRequest, context: Context
    ) -> HttpBody:
        """Answer indexes as a bare array."""
        found = await self._typed.indexes.ListIndexes(request, context)
        return _page(found.data, found.pagination)

    async def UploadVideoForm(
        self, request_iterator: AsyncIterator[HttpBody], context: Context
    ) -> HttpBody:
        """Take a form and answer its import job."""
        job = await self._typed.uploads.from_form(request_iterator)
        return HttpBody(content_type=_JSON, data=render(job))

    async def ListVideoPromptRuns(
        self, request: video_pb2.ListVideoPromptRunsRequest, context: Context
    ) -> HttpBody:
        """Answer the runs over a media item as a bare array."""
        found = await self._typed.videos.ListVideoPromptRuns(request, context)
        return _page(found.data, found.pagination)

    async def BatchGetVideos(
        self, request: video_pb2.BatchGetVideosRequest, context: Context
    ) -> HttpBody:
        """Answer media items as a bare array."""
        return _array((await self._typed.videos.BatchGetVideos(request, context)).data)

    async def BatchGetVideoStatus(
        self, request: video_pb2.BatchGetVideoStatusRequest, context: Context
    ) -> HttpBody:
        """Answer how media items stand as a bare array."""
        return _array((await self._typed.videos.BatchGetVideoStatus(request, context)).data)

    async def BatchGetVideoSegments(
        self, request: video_pb2.BatchGetVideoSegmentsRequest, context: Context
    ) -> HttpBody:
        """Answer the segments of media items as a bare array."""
        return _array((await self._typed.videos.BatchGetVideoSegments(request, context)).data)

    async def GetSegmentThumbnail(
        self, request: video_pb2.GetSegmentThumbnailRequest, context: Context
    ) -> HttpBody:
        """Answer a thumbnail as an image."""
        return _picture(await self._typed.videos.GetSegmentThumbnail(request, context))

    async def GetVideoGif(
        self, request: video_pb2.GetVideoGifRequest, context: Context
    ) -> HttpBody:
        """Answer a preview GIF as an image."""
        return _picture(await self._typed.videos.GetVideoGif(request, context))

    async def ListImportJobs(
        self, request: import_job_pb2.ListImportJobsRequest, context: Context
    ) -> HttpBody:
        """Answer import jobs as a bare array."""
        found = await self._typed.import_jobs.ListImportJobs(request, context)
        return _page(found.data, found.pagination)

    async def ListPromptRuns(
        self, request: prompt_run_pb2.ListPromptRunsRequest, context: Context
    ) -> HttpBody:
        """Answer runs as a bare array."""
        found = await self._typed.runs.ListPromptRuns(request, context)
        return _page(found.data, found.pagination)

    async def ListLlmCalls(
        self, request: prompt_run_pb2.ListLlmCallsRequest, context: Context
    ) -> HttpBody:
        """Answer LLM calls as a bare array."""
        found = await self._typed.runs.ListLlmCalls(request, context)
        return _page(found.data, found.pagination)

    def WatchPromptRunEvents(
        self, request: rest_pb2.WatchPromptRunEventsRequest, context: Context
    ) -> AsyncIterator[HttpBody]:
        """Stream how a run goes on as server-sent events."""
        return sse.stream(self._typed.watches.run_frames(sse.watch_request(request)))

    def StreamEvents(
        self, request: rest_pb2.StreamEventsRequest, context: Context
    ) -> AsyncIterator[HttpBody]:
        """Stream the caller's feed as server-sent events."""
        return sse.stream(self._typed.events.frames(sse.events_request(request)))

    async def ListApiKeys(
        self, request: api_key_pb2.ListApiKeysRequest, context: Context
    ) -> HttpBody:
        """Answer API keys as a bare array."""
        return _array((await self._typed.api_keys.ListApiKeys(request, context)).data)

    async def GetOpenApi(self, request: rest_pb2.GetOpenApiRequest, context: Context) -> HttpBody:
        """Answer the OpenAPI document of this API."""
        return HttpBody(content_type=_JSON, data=openapi_json())


def _page(messages: Iterable[Message], pagination: page_pb2.Pagination) -> HttpBody:
    """Render a page as a bare array; where it goes on travels in a header."""
    if pagination.HasField("next_cursor"):
        current_call().headers.append(("x-next-cursor", pagination.next_cursor))
    return _array(messages)


def _array(messages: Iterable[Message]) -> HttpBody:
    return HttpBody(content_type=_JSON, data=render_array(messages))


def _picture(picture: video_pb2.Picture) -> HttpBody:
    return HttpBody(content_type=picture.content_type, data=picture.data)
