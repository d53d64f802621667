"""Indexes: named collections of media items."""

from promptreel.v2 import index_pb2 as pb
from promptreel_client.call import Call, Paged, paging, reading, writing
from promptreel_client.model.indexes import Index, IndexDeletion
from promptreel_client.model.runs import PromptRun
from promptreel_client.model.videos import Video


def create(name: str, *, idempotency_key: str | None = None) -> Call[Index]:
    """Create an empty index.

    Args:
        name: What people call it: 1 to 255 characters. Two indexes may share a name.
        idempotency_key: Asked again with the same key, the same index is answered.
    """
    return writing(pb.CreateIndexRequest(name=name), Index, idempotency_key)


def retrieve(index_id: str) -> Call[Index]:
    """Answer one index.

    Raises:
        NotFoundError: there is no such index.
    """
    return reading(pb.GetIndexRequest(index_id=index_id), Index)


def list_all(
    *, include_defaults: bool | None = None, limit: int | None = None, cursor: str | None = None
) -> Paged[Index]:
    """List the caller's indexes, in their order.

    Args:
        include_defaults: Whether to list those that ship with the server. None: yes.
        limit: Items a page: 1 to 1000. None: 1000.
        cursor: Where to start. None: at the first.
    """
    request = pb.ListIndexesRequest(include_defaults=include_defaults, limit=limit, cursor=cursor)
    return paging(request, Index)


def delete(index_id: str, *, idempotency_key: str | None = None) -> Call[IndexDeletion]:
    """Start the deletion of an index with its media, or answer how far it has come.

    Raises:
        NotFoundError: there is no such index.
    """
    return writing(pb.DeleteIndexRequest(index_id=index_id), IndexDeletion, idempotency_key)


def get_deletion(index_id: str) -> Call[IndexDeletion]:
    """Answer how far the deletion of an index has come, also when the index is gone.

    Raises:
        NotFoundError: there is no such index, or nobody asked to delete it.
    """
    return reading(pb.GetIndexDeletionRequest(index_id=index_id), IndexDeletion)


def list_videos(
    index_id: str, *, limit: int | None = None, cursor: str | None = None
) -> Paged[Video]:
    """List the media items of an index, newest first.

    Args:
        index_id: The index.
        limit: Items a page: 1 to 100. None: 50.
        cursor: Where to start. None: at the first.
    """
    return paging(pb.ListIndexVideosRequest(index_id=index_id, limit=limit, cursor=cursor), Video)


def list_prompt_runs(
    index_id: str, *, limit: int | None = None, cursor: str | None = None
) -> Paged[PromptRun]:
    """List the runs whose target was an index, newest first.

    Args:
        index_id: The index.
        limit: Items a page: 1 to 100. None: 50.
        cursor: Where to start. None: at the first.
    """
    request = pb.ListIndexPromptRunsRequest(index_id=index_id, limit=limit, cursor=cursor)
    return paging(request, PromptRun)
