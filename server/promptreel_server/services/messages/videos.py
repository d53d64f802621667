"""Media items, and how they stand in the runs over them, as messages."""

from collections.abc import Iterable, Mapping, Sequence

from promptreel.v2 import enums_pb2, marker_pb2, processing_status_pb2, video_pb2
from promptreel_server.domain.media import MediaItem, MediaStatus, MediaType
from promptreel_server.domain.run import RunMediaStatus, Synthesis, SynthesisStatus
from promptreel_server.services.messages.enums import words
from promptreel_server.services.messages.segments import segment_standing
from promptreel_server.services.messages.timestamps import maybe_timestamp, timestamp
from promptreel_server.store.runs.processing_status import Standing

MEDIA_STATUS = words(MediaStatus, enums_pb2.MediaStatus.Value)
MEDIA_TYPE = words(MediaType, enums_pb2.MediaType.Value)
RUN_MEDIA_STATUS = words(RunMediaStatus, enums_pb2.RunMediaStatus.Value)
SYNTHESIS_STATUS = words(SynthesisStatus, enums_pb2.SynthesisStatus.Value)

_READABLE = (SynthesisStatus.COMPLETED, SynthesisStatus.PARTIAL)


def videos(
    items: Iterable[MediaItem], standings: Mapping[str, Sequence[Standing]]
) -> list[video_pb2.Video]:
    """Make the messages of media items."""
    return [video(item, standings.get(item.video_id, ())) for item in items]


def video(item: MediaItem, standings: Iterable[Standing]) -> video_pb2.Video:
    """Make the message of a media item."""
    still = item.media_type is MediaType.IMAGE
    return video_pb2.Video(
        video_id=item.video_id,
        title=item.title,
        video_uri=item.source_uri,
        status=MEDIA_STATUS.number(item.status),
        created_at=timestamp(item.created_at),
        updated_at=maybe_timestamp(item.updated_at),
        media_type=MEDIA_TYPE.number(item.media_type),
        duration_seconds=None if still else float(item.facts.duration),
        metadata_keys=item.metadata_keys,
        processing_status=[processing_status(standing) for standing in standings],
        marker=marker_pb2.Marker(),
    )


def video_status(item: MediaItem, standings: Iterable[Standing]) -> video_pb2.VideoStatus:
    """Make the message of how a media item stands."""
    return video_pb2.VideoStatus(
        video_id=item.video_id,
        status=MEDIA_STATUS.number(item.status),
        processing_status=[processing_status(standing) for standing in standings],
    )


def processing_status(
    standing: Standing,
) -> processing_status_pb2.PromptRunProcessingStatus:
    """Make the message of how a media item stands in one run."""
    item = standing.item
    ended = item.completed_segments + item.failed_segments + item.cancelled_segments
    pending = item.total_segments - ended - standing.processing_segments
    return processing_status_pb2.PromptRunProcessingStatus(
        run_id=item.run_id,
        prompt_id=standing.prompt_id,
        status=RUN_MEDIA_STATUS.number(item.status),
        total_segments=item.total_segments,
        pending_segments=max(0, pending),
        processing_segments=standing.processing_segments,
        successful_segments=item.completed_segments,
        failed_segments=item.failed_segments,
        created_at=timestamp(item.created_at),
        updated_at=timestamp(item.updated_at),
        video_level=None if standing.synthesis is None else _video_level(standing.synthesis),
        segments=[segment_standing(segment) for segment in standing.segments],
    )


def _video_level(made: Synthesis) -> processing_status_pb2.VideoLevelProcessingStatus:
    return processing_status_pb2.VideoLevelProcessingStatus(
        status=SYNTHESIS_STATUS.number(made.status),
        result_available=made.status in _READABLE,
        successful_segment_count=made.successful_segments,
        failed_segment_count=made.failed_segments,
        started_at=maybe_timestamp(made.started_at),
        completed_at=maybe_timestamp(made.completed_at),
        updated_at=maybe_timestamp(made.completed_at or made.started_at),
        error_message=made.error_message,
    )
