"""Segments, and how they stand in a run, as messages."""

from typing import Any

from promptreel.v2 import enums_pb2, marker_pb2, processing_status_pb2, segment_pb2
from promptreel_server.domain.operation import Operation
from promptreel_server.domain.segment import Segment, SegmentRun, SegmentStatus
from promptreel_server.services.messages.enums import words
from promptreel_server.services.messages.json_structs import to_struct
from promptreel_server.services.messages.results import unreadable_fields
from promptreel_server.services.messages.timestamps import maybe_timestamp

SEGMENT_STATUS = words(SegmentStatus, enums_pb2.SegmentStatus.Value)
OPERATION = words(Operation, enums_pb2.Operation.Value)
BEFORE_ANY = enums_pb2.Operation.Value.processing
"""What failed where a segment failed before any operation."""


def segment(cut: Segment, standing: SegmentRun | None) -> segment_pb2.Segment:
    """Make the message of a segment, as it stands in a run, if in any."""
    start, end = cut.seconds
    message = segment_pb2.Segment(
        segment_id=cut.segment_id,
        video_id=cut.video_id,
        start_time=start,
        end_time=end,
        segment_status=enums_pb2.SegmentStatus.Value.pending,
        marker=marker_pb2.Marker(),
    )
    if standing is not None:
        _stand(message, standing)
    return message


def segment_standing(standing: SegmentRun) -> processing_status_pb2.SegmentProcessingStatus:
    """Make the short message of how a segment stands in a run."""
    stage, why = failure(standing)
    return processing_status_pb2.SegmentProcessingStatus(
        segment_id=standing.segment.segment_id,
        video_id=standing.segment.video_id,
        status=SEGMENT_STATUS.number(standing.status),
        start_time=float(standing.segment.start),
        end_time=float(standing.segment.end),
        started_at=maybe_timestamp(standing.started_at),
        completed_at=maybe_timestamp(standing.completed_at),
        updated_at=maybe_timestamp(standing.completed_at or standing.started_at),
        error_message=why,
        failure_stage=stage,
    )


def failure(standing: SegmentRun) -> tuple[Any, str | None]:
    """Answer what failed first and why, or None and None."""
    if standing.failure is not None:
        return BEFORE_ANY, standing.failure.message
    for operation in standing.failed_operations():
        found = standing.operations[operation].failure
        return OPERATION.number(operation), None if found is None else found.message
    return None, None


def thumbnail_uri(segment_id: str) -> str:
    """Name where the thumbnail of a segment is, below the REST address."""
    return f"/api/v2/videos/segments/{segment_id}/thumbnail"


def outcome_fields(standing: SegmentRun) -> dict[str, Any]:
    """Answer the fields `<operation>_succeeded` and `<operation>_error` of a segment."""
    fields: dict[str, Any] = {}
    for operation, state in standing.operations.items():
        fields[f"{operation.value}_succeeded"] = state.succeeded
        if state.failure is not None:
            fields[f"{operation.value}_error"] = state.failure.message
    return fields


def _stand(message: segment_pb2.Segment, standing: SegmentRun) -> None:
    stage, why = failure(standing)
    available = standing.thumbnail_available
    unreadable = unreadable_fields(standing.metadata)
    fields = None if unreadable else standing.metadata
    message.MergeFrom(
        segment_pb2.Segment(
            processed=standing.status is SegmentStatus.COMPLETED,
            processing_failed=standing.status is SegmentStatus.FAILED,
            failure_stage=stage,
            failure_message=why,
            error_message=why,
            metadata=None if fields is None else to_struct(fields),
            metadata_text=standing.metadata_text or None,
            processed_at=maybe_timestamp(standing.completed_at),
            processing_warning=unreadable or standing.processing_warning,
            thumbnail_uri=thumbnail_uri(standing.segment.segment_id) if available else None,
            thumbnail_available=available,
            from_run_id=standing.run_id,
            status_source="prompt_run",
            **outcome_fields(standing),
        )
    )
    message.segment_status = SEGMENT_STATUS.number(standing.status)
