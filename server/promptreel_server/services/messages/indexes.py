"""Indexes and deletions as messages."""

from promptreel.v2 import enums_pb2, index_pb2, video_pb2
from promptreel_server.domain.index import Deletion, DeletionStatus, Index
from promptreel_server.services.messages.enums import words
from promptreel_server.services.messages.timestamps import timestamp

DELETION_STATUS = words(DeletionStatus, enums_pb2.DeletionStatus.Value)
ASK_AGAIN_SECONDS = 1
"""When to look again after a deletion that is under way."""


def index(item: Index) -> index_pb2.Index:
    """Make the message of an index."""
    return index_pb2.Index(
        index_id=item.index_id,
        name=item.name,
        user_id=item.owner_id,
        created_at=timestamp(item.created_at),
        description=item.description,
        sort_order=item.sort_order,
        is_default=item.is_default,
    )


def index_deletion(index_id: str, deletion: Deletion) -> index_pb2.IndexDeletion:
    """Make the message of an index's deletion."""
    return index_pb2.IndexDeletion(
        index_id=index_id,
        deletion_id=deletion.deletion_id,
        status=DELETION_STATUS.number(deletion.status),
        retry_after_seconds=_ask_again(deletion),
    )


def video_deletion(video_id: str, deletion: Deletion) -> video_pb2.VideoDeletion:
    """Make the message of a media item's deletion."""
    return video_pb2.VideoDeletion(
        video_id=video_id,
        deletion_id=deletion.deletion_id,
        status=DELETION_STATUS.number(deletion.status),
        retry_after_seconds=_ask_again(deletion),
    )


def _ask_again(deletion: Deletion) -> int | None:
    return None if deletion.status is DeletionStatus.DELETED else ASK_AGAIN_SECONDS
