"""What runs yield, on the wire: segment results and syntheses."""

import json

from promptreel.v2 import enums_pb2, marker_pb2, result_pb2
from promptreel_server.domain.json_values import misfit
from promptreel_server.domain.operation import Operation
from promptreel_server.domain.prompt import JsonObject
from promptreel_server.domain.run import Run, RunMedia, Synthesis, SynthesisStatus
from promptreel_server.domain.segment import SegmentRun, Transcript
from promptreel_server.services.messages.enums import words
from promptreel_server.services.messages.json_structs import to_struct
from promptreel_server.services.messages.timestamps import maybe_timestamp, timestamp

SYNTHESIS_STATUS = words(SynthesisStatus, enums_pb2.SynthesisStatus.Value)

THUMBNAIL_URI = "/api/v2/videos/segments/{segment_id}/thumbnail"


def result_message(run: Run, item: RunMedia, found: SegmentRun) -> result_pb2.SegmentRunResult:
    """Turn what a segment yielded into its message; without fields `metadata` is empty."""
    segment = found.segment
    start, end = segment.seconds
    unreadable = unreadable_fields(found.metadata)
    message = result_pb2.SegmentRunResult(
        result_type="segment",
        result_id=f"segment:{segment.segment_id}:{run.run_id}",
        segment_id=segment.segment_id,
        video_id=segment.video_id,
        run_id=run.run_id,
        prompt_id=run.prompt.prompt_id,
        prompt_run_id=run.run_id,
        video_name=item.title,
        source_index_id=item.index_id,
        executed_at=timestamp(run.executed_at),
        start_time=start,
        end_time=end,
        thumbnail_uri=thumbnail_uri(found),
        thumbnail_available=found.thumbnail_available,
        metadata=to_struct({} if unreadable else found.metadata or {}),
        metadata_text=found.metadata_text,
        processing_warning=unreadable or found.processing_warning,
        schema_used=json.dumps(run.prompt.json_schema),
        field_extraction_succeeded=bool(found.operations[Operation.FIELD_EXTRACTION].succeeded),
        marker=marker_pb2.Marker(),
        transcription=_transcription(found.transcript),
    )
    for operation, state in found.operations.items():
        if operation is not Operation.FIELD_EXTRACTION and state.succeeded is not None:
            setattr(message, f"{operation.value}_succeeded", state.succeeded)
        if state.failure is not None:
            setattr(message, f"{operation.value}_error", state.failure.message)
    return message


def unreadable_fields(metadata: JsonObject | None) -> str | None:
    """Say why stored fields can't be shown, None where they can; an earlier version stored them."""
    wrong = None if metadata is None else misfit(metadata)
    return f"The stored fields can't be shown: what was extracted {wrong}." if wrong else None


def thumbnail_uri(found: SegmentRun) -> str | None:
    """Where the thumbnail of a segment is had, None where it has none."""
    if not found.thumbnail_available:
        return None
    return THUMBNAIL_URI.format(segment_id=found.segment.segment_id)


def _transcription(transcript: Transcript | None) -> result_pb2.Transcription | None:
    if transcript is None:
        return None
    return result_pb2.Transcription(
        text=transcript.text,
        language=transcript.language,
        words=[
            result_pb2.Word(text=word.text, start=word.start, end=word.end)
            for word in transcript.words
        ],
    )


def synthesis_message(run: Run, item: RunMedia, made: Synthesis) -> result_pb2.VideoResult:
    """Turn a synthesis into its message; one that is not there yet has empty metadata."""
    level = run.prompt.video_level
    unreadable = unreadable_fields(made.metadata)
    return result_pb2.VideoResult(
        result_type="video",
        result_id=f"video:{made.video_id}:{run.run_id}",
        run_id=run.run_id,
        prompt_id=run.prompt.prompt_id,
        prompt_run_id=run.run_id,
        video_id=made.video_id,
        video_name=item.title,
        source_index_id=item.index_id,
        executed_at=timestamp(run.executed_at),
        status=SYNTHESIS_STATUS.number(made.status),
        metadata=to_struct({} if unreadable else made.metadata or {}),
        metadata_text=made.metadata_text,
        raw_llm_response=made.raw_response,
        processing_warning=unreadable or made.processing_warning,
        schema_used=None if level is None else json.dumps(level.json_schema),
        successful_segment_count=made.successful_segments,
        failed_segment_count=made.failed_segments,
        omitted_segment_ids=made.omitted_segment_ids,
        template_fields=made.template_fields,
        source_fingerprint=made.source_fingerprint,
        rendered_prompt_char_count=made.rendered_prompt_chars,
        llm_attempted=made.llm_attempted,
        error_message=made.error_message,
        started_at=maybe_timestamp(made.started_at),
        completed_at=maybe_timestamp(made.completed_at),
        marker=marker_pb2.Marker(),
    )
