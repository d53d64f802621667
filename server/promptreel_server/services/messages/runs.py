"""Runs on the wire."""

from collections.abc import Mapping
from typing import Any

from promptreel.v2 import enums_pb2, marker_pb2, prompt_run_pb2, run_pb2
from promptreel_server.domain.media import MediaType
from promptreel_server.domain.operation import Operation
from promptreel_server.domain.run import MediaCounts, Run, RunSettings, RunStatus, StopRequest
from promptreel_server.domain.segment import SegmentationMode
from promptreel_server.domain.target import Target, TargetType
from promptreel_server.engine.admission.run_orders import Order
from promptreel_server.errors import Invalid
from promptreel_server.services.call.context import current_call
from promptreel_server.services.messages.enums import words
from promptreel_server.services.messages.json_structs import to_struct
from promptreel_server.services.messages.timestamps import maybe_timestamp, timestamp

RUN_STATUS = words(RunStatus, enums_pb2.RunStatus.Value)
MODE = words(SegmentationMode, enums_pb2.SegmentationMode.Value)
_TARGET_TYPE = words(TargetType, enums_pb2.TargetType.Value)


def run_message(run: Run) -> run_pb2.PromptRun:
    """Turn a run into its message."""
    settings = run.settings
    message = run_pb2.PromptRun(
        run_id=run.run_id,
        prompt_id=run.prompt.prompt_id,
        prompt_name=run.prompt.name,
        prompt_type="default" if run.prompt.is_default else "custom",
        executed_at=timestamp(run.executed_at),
        executed_by=run.executed_by,
        status=RUN_STATUS.number(run.status),
        run_context=to_struct(_context(run)),
        total_segments=run.total_segments,
        completed_segments=run.completed_segments,
        error_message=run.error_message,
        processing_warning=run.processing_warning,
        video_segmentation_type=MODE.number(settings.video_segmentation),
        audio_segmentation_type=MODE.number(settings.audio_segmentation),
        image_segmentation_type=MODE.number(SegmentationMode.IMAGE),
        video_segment_duration=settings.video_segment_duration,
        audio_segment_duration=settings.audio_segment_duration,
        created_new_segments=run.created_new_segments,
        processing_model=settings.processing_model,
        total_video_seconds=run.total_seconds,
        enable_transcription=settings.enable_transcription,
        enable_image_embedding=settings.enable_image_embedding,
        video_level_enabled=run.prompt.video_level is not None,
        video_level_total_items=run.video_level_total,
        video_level_completed_items=run.video_level_completed,
        video_level_failed_items=run.video_level_failed,
        video_level_partial_items=run.video_level_partial,
        stop_state=_stop_state(run.stop),
        marker=marker_pb2.Marker(),
    )
    for kind, counts in run.media.items():
        _count(message, kind, counts)
    for operation in Operation:
        failures = run.operation_failures.get(operation, 0)
        setattr(message, f"{operation.value}_failures", failures)
        succeeded = run.succeeded(operation)
        if succeeded is not None:
            setattr(message, f"{operation.value}_succeeded", succeeded)
    return message


def _count(message: run_pb2.PromptRun, kind: MediaType, counts: MediaCounts) -> None:
    for name in ("total", "completed", "failed", "partial", "cancelled"):
        setattr(message, f"{name}_{kind.value}s", getattr(counts, name))


def _stop_state(stop: StopRequest | None) -> run_pb2.StopState:
    if stop is None:
        return run_pb2.StopState()
    return run_pb2.StopState(
        requested_at=timestamp(stop.requested_at),
        requested_by=stop.requested_by,
        mode=stop.mode,
        observed_at=maybe_timestamp(stop.observed_at),
        completed_at=maybe_timestamp(stop.completed_at),
    )


def _context(run: Run) -> Mapping[str, Any]:
    """The frozen target and settings, as a caller would write them."""
    target: dict[str, Any] = {"type": run.target.type.value}
    if run.target.index_id is not None:
        target["index_id"] = run.target.index_id
    if run.target.video_ids:
        target["video_ids"] = list(run.target.video_ids)
    settings = run.settings
    context: dict[str, Any] = {
        "target": target,
        "video_segmentation_type": settings.video_segmentation.value,
        "audio_segmentation_type": settings.audio_segmentation.value,
        "processing_model": settings.processing_model,
        "enable_transcription": settings.enable_transcription,
        "enable_image_embedding": settings.enable_image_embedding,
        "reuse_llm_calls": settings.reuse_llm_calls,
    }
    if settings.video_segment_duration is not None:
        context["video_segment_duration"] = settings.video_segment_duration
    if settings.audio_segment_duration is not None:
        context["audio_segment_duration"] = settings.audio_segment_duration
    return context


def filled_in(
    request: prompt_run_pb2.ExecutePromptRunRequest, *, model: str, reuse: bool
) -> prompt_run_pb2.ExecutePromptRunRequest:
    """Write the defaults into what the request leaves out, so that like requests look alike."""
    filled = prompt_run_pb2.ExecutePromptRunRequest()
    filled.CopyFrom(request)
    mode = enums_pb2.SegmentationMode
    if not filled.HasField("video_segmentation_type"):
        filled.video_segmentation_type = mode.smart
    if not filled.HasField("audio_segmentation_type"):
        filled.audio_segmentation_type = mode.content_aware
    if not filled.processing_model:
        filled.processing_model = model
    for name in ("enable_transcription", "enable_image_embedding"):
        if not filled.HasField(name):
            setattr(filled, name, True)
    if not filled.HasField("reuse_llm_calls"):
        filled.reuse_llm_calls = reuse
    return filled


def order(request: prompt_run_pb2.ExecutePromptRunRequest) -> Order:
    """Read a filled-in request of the current call.

    Raises:
        Invalid: a field says something it can't mean; names it.
    """
    call = current_call()
    if not request.prompt_id:
        raise Invalid.field("prompt_id", "name the prompt to run")
    settings = RunSettings(
        video_segmentation=MODE.member(request.video_segmentation_type, "video_segmentation_type"),
        audio_segmentation=MODE.member(request.audio_segmentation_type, "audio_segmentation_type"),
        video_segment_duration=_maybe(request, "video_segment_duration"),
        audio_segment_duration=_maybe(request, "audio_segment_duration"),
        processing_model=request.processing_model,
        enable_transcription=request.enable_transcription,
        enable_image_embedding=request.enable_image_embedding,
        reuse_llm_calls=request.reuse_llm_calls,
    )
    return Order(
        owner_id=call.owner_id,
        ordered_by=call.key_id,
        prompt_id=request.prompt_id,
        target=_target(request),
        settings=settings,
    )


def _target(request: prompt_run_pb2.ExecutePromptRunRequest) -> Target:
    if not request.HasField("target"):
        raise Invalid.field("target", "say what the run covers: an index, videos or the playground")
    target = request.target
    return Target(
        type=_TARGET_TYPE.member(target.type, "target.type"),
        index_id=target.index_id or None,
        video_ids=tuple(target.video_ids),
    )


def _maybe(request: prompt_run_pb2.ExecutePromptRunRequest, name: str) -> int | None:
    return int(getattr(request, name)) if request.HasField(name) else None  # type: ignore[arg-type]
