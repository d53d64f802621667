"""IndexService: named collections of media items."""

from collections.abc import Callable
from typing import Any

import grpc

from promptreel.v2 import index_pb2, index_pb2_grpc, prompt_run_pb2
from promptreel_server.domain import texts
from promptreel_server.services.call.context import current_call
from promptreel_server.services.call.cursors import Cursors, Listing
from promptreel_server.services.call.idempotency import once
from promptreel_server.services.messages import indexes as messages
from promptreel_server.services.messages.videos import videos
from promptreel_server.services.rpc.run_lists import RunLists
from promptreel_server.store.catalogue import indexes, media
from promptreel_server.store.database.database import Database
from promptreel_server.store.deletion import deletions
from promptreel_server.store.runs import processing_status
from promptreel_server.store.schema.transaction import Transaction

Context = grpc.aio.ServicerContext[Any, Any]

LONGEST_NAME = 255
_MOST_INDEXES = 1000
_RUNS = Listing(name="ListIndexPromptRuns")


class IndexService(index_pb2_grpc.IndexServiceServicer):
    """Keeps indexes; `on_deletion` is told when something is to be deleted."""

    def __init__(
        self,
        database: Database,
        cursors: Cursors,
        runs: RunLists,
        on_deletion: Callable[[], None],
    ) -> None:
        self._database = database
        self._cursors = cursors
        self._runs = runs
        self._on_deletion = on_deletion

    async def CreateIndex(
        self, request: index_pb2.CreateIndexRequest, context: Context
    ) -> index_pb2.Index:
        """Keep a new, empty index."""
        owner = current_call().owner_id
        texts.require("name", request.name, 1, LONGEST_NAME)
        return await once(
            self._database,
            "CreateIndex",
            request,
            lambda tx: messages.index(indexes.create(tx, owner, request.name)),
            index_pb2.Index,
        )

    async def GetIndex(
        self, request: index_pb2.GetIndexRequest, context: Context
    ) -> index_pb2.Index:
        """Answer one index."""
        owner = current_call().owner_id
        found = await self._database.read(lambda c: indexes.fetch(c, owner, request.index_id))
        return messages.index(found)

    async def ListIndexes(
        self, request: index_pb2.ListIndexesRequest, context: Context
    ) -> index_pb2.ListIndexesResponse:
        """Answer the indexes of the caller; none ship with the server."""
        owner = current_call().owner_id
        listing = Listing(name="ListIndexes", default_limit=_MOST_INDEXES, most=_MOST_INDEXES)
        wanted = self._cursors.wanted(listing, request)
        page = await self._database.read(lambda c: indexes.list_indexes(c, owner, wanted))
        return index_pb2.ListIndexesResponse(
            data=[messages.index(item) for item in page.items],
            pagination=self._cursors.pagination(listing, wanted, page),
        )

    async def DeleteIndex(
        self, request: index_pb2.DeleteIndexRequest, context: Context
    ) -> index_pb2.IndexDeletion:
        """Begin to delete an index with its media, or answer how far it has come."""
        owner = current_call().owner_id

        def act(tx: Transaction) -> index_pb2.IndexDeletion:
            deletion = deletions.request_index(tx, owner, request.index_id)
            return messages.index_deletion(request.index_id, deletion)

        answer = await once(self._database, "DeleteIndex", request, act, index_pb2.IndexDeletion)
        self._on_deletion()
        return answer

    async def GetIndexDeletion(
        self, request: index_pb2.GetIndexDeletionRequest, context: Context
    ) -> index_pb2.IndexDeletion:
        """Answer how far the deletion of an index has come."""
        owner = current_call().owner_id
        found = await self._database.read(lambda c: deletions.fetch(c, owner, request.index_id))
        return messages.index_deletion(request.index_id, found)

    async def ListIndexVideos(
        self, request: index_pb2.ListIndexVideosRequest, context: Context
    ) -> index_pb2.ListIndexVideosResponse:
        """Answer the media items of an index, newest first."""
        owner, index_id = current_call().owner_id, request.index_id
        listing = Listing(name="ListIndexVideos", filters=(index_id,))
        wanted = self._cursors.wanted(listing, request)

        def read(c: Any) -> Any:
            indexes.fetch(c, owner, index_id)
            page = media.of_index(c, owner, index_id, wanted)
            return page, processing_status.of_media(c, [item.video_id for item in page.items])

        page, standing = await self._database.read(read)
        return index_pb2.ListIndexVideosResponse(
            data=videos(page.items, standing),
            pagination=self._cursors.pagination(listing, wanted, page),
        )

    async def ListIndexPromptRuns(
        self, request: index_pb2.ListIndexPromptRunsRequest, context: Context
    ) -> index_pb2.ListIndexPromptRunsResponse:
        """Answer the runs whose target was an index, newest first."""
        owner = current_call().owner_id
        await self._database.read(lambda c: indexes.fetch(c, owner, request.index_id))
        wanted = prompt_run_pb2.ListPromptRunsRequest(
            index_id=request.index_id,
            limit=self._cursors.limit(_RUNS, request),
            cursor=request.cursor or None,
        )
        found = await self._runs.ListPromptRuns(wanted, context)
        return index_pb2.ListIndexPromptRunsResponse(data=found.data, pagination=found.pagination)
