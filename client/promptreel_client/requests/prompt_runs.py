"""Runs: one prompt over one target, from acceptance to results."""

from collections.abc import Mapping
from typing import Any

from promptreel.v2 import enums_pb2, run_pb2
from promptreel.v2 import prompt_run_pb2 as pb
from promptreel_client import following
from promptreel_client.call import Call, Paged, paging, reading, writing
from promptreel_client.following import Watching
from promptreel_client.model.llm_calls import LlmCall
from promptreel_client.model.results import SegmentResult, VideoResult
from promptreel_client.model.runs import PromptRun, PromptRunEstimate, RunUpdate, Target
from promptreel_client.requests.mappings import shaped
from promptreel_client.requests.words import number


def execute(
    *,
    prompt_id: str,
    target: Target | Mapping[str, Any],
    video_segmentation_type: str | None = None,
    audio_segmentation_type: str | None = None,
    video_segment_duration: int | None = None,
    audio_segment_duration: int | None = None,
    processing_model: str | None = None,
    enable_transcription: bool | None = None,
    enable_image_embedding: bool | None = None,
    reuse_llm_calls: bool | None = None,
    idempotency_key: str | None = None,
) -> Call[PromptRun]:
    """Accept a run and answer it at once, `pending`; prompt, media and settings are frozen into it.

    Args:
        prompt_id: The prompt to run.
        target: What to cover: a `Target`, or a mapping such as
            `{"type": "index", "index_id": "idx_…"}`.
        video_segmentation_type: `smart`, `fixed` or `content_aware`. None: `smart`.
        audio_segmentation_type: `content_aware` or `fixed`. None: `content_aware`.
        video_segment_duration: Seconds a video segment, 1 to 300; needed with `fixed` alone.
        audio_segment_duration: Seconds an audio segment, 1 to 300; needed with `fixed` alone.
        processing_model: `local`, `gemini-…` or `openai:…`. None: the server's default.
        enable_transcription: Whether to transcribe what is said. None: yes.
        enable_image_embedding: Whether to embed a picture of each segment. None: yes.
        reuse_llm_calls: Whether an LLM call may be answered from an earlier one that asked exactly
            the same. None: as the server is set.
        idempotency_key: Asked again with the same key, the same run is answered.

    Raises:
        InvalidRequestError: the target or a setting can't be meant, the target is empty
            (`empty_target`) or there is no such model (`unknown_model`).
        NotFoundError: there is no such prompt, index or media item.
        ConflictError: the prompt is not active, or an index or media item is being deleted.
    """
    modes = enums_pb2.SegmentationMode.Value
    request = pb.ExecutePromptRunRequest(
        prompt_id=prompt_id,
        target=_target(target),
        video_segmentation_type=number(modes, video_segmentation_type, "video_segmentation_type"),
        audio_segmentation_type=number(modes, audio_segmentation_type, "audio_segmentation_type"),
        video_segment_duration=video_segment_duration,
        audio_segment_duration=audio_segment_duration,
        processing_model=processing_model,
        enable_transcription=enable_transcription,
        enable_image_embedding=enable_image_embedding,
        reuse_llm_calls=reuse_llm_calls,
    )
    return writing(request, PromptRun, idempotency_key)


def estimate(
    *,
    prompt_id: str,
    target: Target | Mapping[str, Any],
    video_segmentation_type: str | None = None,
    audio_segmentation_type: str | None = None,
    video_segment_duration: int | None = None,
    audio_segment_duration: int | None = None,
    processing_model: str | None = None,
    enable_transcription: bool | None = None,
    enable_image_embedding: bool | None = None,
    reuse_llm_calls: bool | None = None,
) -> Call[PromptRunEstimate]:
    """Answer what a run would cover, cost and reuse, after the same checks, and start nothing.

    Arguments and errors are those of `execute`.
    """
    run: Any = execute(
        prompt_id=prompt_id,
        target=target,
        video_segmentation_type=video_segmentation_type,
        audio_segmentation_type=audio_segmentation_type,
        video_segment_duration=video_segment_duration,
        audio_segment_duration=audio_segment_duration,
        processing_model=processing_model,
        enable_transcription=enable_transcription,
        enable_image_embedding=enable_image_embedding,
        reuse_llm_calls=reuse_llm_calls,
    ).request
    return reading(pb.EstimatePromptRunRequest(run=run), PromptRunEstimate)


def retrieve(run_id: str) -> Call[PromptRun]:
    """Answer one run as it stands.

    Raises:
        NotFoundError: there is no such run.
    """
    return reading(pb.GetPromptRunRequest(run_id=run_id), PromptRun)


def list_all(
    *,
    status: str | None = None,
    index_id: str | None = None,
    video_id: str | None = None,
    prompt_id: str | None = None,
    limit: int | None = None,
    cursor: str | None = None,
) -> Paged[PromptRun]:
    """List the caller's runs, newest first.

    Args:
        status: Only those that stand so: a word of `RunStatus`. None: all.
        index_id: Only those whose target is this index. None: all.
        video_id: Only those that cover this media item. None: all.
        prompt_id: Only those of this prompt. None: all.
        limit: Items a page: 1 to 1000. None: 200.
        cursor: Where to start. None: at the first.
    """
    request = pb.ListPromptRunsRequest(
        limit=limit,
        cursor=cursor,
        status=number(enums_pb2.RunStatus.Value, status, "status"),
        index_id=index_id,
        video_id=video_id,
        prompt_id=prompt_id,
    )
    return paging(request, PromptRun)


def cancel(run_id: str, *, idempotency_key: str | None = None) -> Call[PromptRun]:
    """Ask a run to stop, and answer it with its stop state.

    Best effort: nothing new starts, what is in hand may finish, nothing is deleted. Asked again,
    or of a finished run, it changes nothing.

    Raises:
        NotFoundError: there is no such run.
    """
    return writing(pb.CancelPromptRunRequest(run_id=run_id), PromptRun, idempotency_key)


def list_results(
    run_id: str, *, video_id: str, limit: int | None = None, cursor: str | None = None
) -> Paged[SegmentResult]:
    """List the results of one media item of a run by start time, also while the run is going.

    Args:
        run_id: The run.
        video_id: The media item.
        limit: Items a page: 1 to 100. None: 50.
        cursor: Where to start. None: at the first.
    """
    request = pb.ListResultsRequest(run_id=run_id, video_id=video_id, limit=limit, cursor=cursor)
    return paging(request, SegmentResult)


def get_video_result(run_id: str, video_id: str) -> Call[VideoResult]:
    """Answer the synthesis of one media item of a run, `pending` until it is there.

    Raises:
        NotFoundError: there is no such run, it does not cover the media item, or its prompt asks
            for no synthesis (`video_level_not_configured`).
    """
    return reading(pb.GetVideoResultRequest(run_id=run_id, video_id=video_id), VideoResult)


def get_llm_calls(
    run_id: str,
    *,
    video_id: str | None = None,
    segment_id: str | None = None,
    status: str | None = None,
    limit: int | None = None,
    cursor: str | None = None,
) -> Paged[LlmCall]:
    """List the LLM calls of a run, one per attempt, oldest first.

    Args:
        run_id: The run.
        video_id: Only those for this media item. None: all.
        segment_id: Only those for this segment. None: all.
        status: Only those that ended so: a word of `LlmCallStatus`. None: all.
        limit: Items a page: 1 to 1000. None: 200.
        cursor: Where to start. None: at the first.
    """
    request = pb.ListLlmCallsRequest(
        run_id=run_id,
        limit=limit,
        cursor=cursor,
        video_id=video_id,
        segment_id=segment_id,
        status=number(enums_pb2.LlmCallStatus.Value, status, "status"),
    )
    return paging(request, LlmCall)


def watch(run_id: str, *, after_sequence: int | None = 0) -> Watching[RunUpdate]:
    """Follow one run: first as it stands, then every change in order, then an explicit end.

    Comes back by itself after a cut, with nothing missed or repeated. Counters arrive at most 5
    times a second, no change of a status is left out.

    Args:
        run_id: The run.
        after_sequence: Send events after this sequence. 0: all. None: those from now on.

    Raises from iteration:
        NotFoundError: there is no such run.
        InvalidRequestError: the sequence is so old that it is no longer kept.
    """
    return following.run_updates(
        pb.WatchPromptRunRequest(
            run_id=run_id, after_sequence=after_sequence, updates_at_once=following.AT_ONCE
        )
    )


def stream_results(
    run_id: str, video_id: str | None = None, *, after_sequence: int | None = None
) -> Watching[SegmentResult]:
    """Follow the results of a run: each once, in the order they were written, until the run ends.

    Comes back by itself after a cut. A result that a retry replaced is sent again.

    Args:
        run_id: The run.
        video_id: Only those of this media item. None: all.
        after_sequence: Send results written after this sequence, which is the `sequence` of an
            earlier watch. None: from the first.

    Raises from iteration:
        NotFoundError: there is no such run, or it does not cover the media item.
    """
    return following.results(
        pb.StreamResultsRequest(run_id=run_id, video_id=video_id, after_sequence=after_sequence)
    )


def _target(given: Target | Mapping[str, Any]) -> run_pb2.Target:
    target = shaped(Target, given, "target")
    return run_pb2.Target(
        type=number(enums_pb2.TargetType.Value, target.type, "target.type"),
        index_id=target.index_id,
        video_ids=target.video_ids,
    )
