"""The fields of each REST answer as the contract lists them, and a check of raw JSON by them."""

import re
from datetime import datetime
from typing import Any

SHAPES = {
    "Marker": "marker_id?: str, color?: str, note?: str, updated_at?: ts",
    "Index": "index_id name user_id: str, created_at: ts, description?: str, sort_order?: int, "
    "is_default: bool",
    "Deletion": "index_id|video_id deletion_id: str, status: draining/deleting/deleted, "
    "retry_after_seconds?: int",
    "Video": "video_id title video_uri: str, status: not_processed/processing/processed/failed, "
    "created_at: ts, updated_at?: ts, media_type: video/audio/image, duration_seconds?: num, "
    "metadata_keys?: [str], processing_status?: [ProcessingStatus], marker: Marker, "
    "gif_data? first_thumbnail?: str",
    "VideoStatus": "video_id: str, status: not_processed/processing/processed/failed, "
    "processing_status: [ProcessingStatus]",
    "VideoSegments": "video_id: str, run_id?: str, segments: [Segment]",
    "ProcessingStatus": "run_id: str, prompt_id?: str, status: RUN_MEDIA, "
    "total_segments pending_segments processing_segments successful_segments failed_segments: int,"
    " created_at? updated_at?: ts, attempt_id?: str, video_level?: VideoLevelStatus, "
    "segments: [SegmentStatus]",
    "VideoLevelStatus": "status: SYNTHESIS, result_available: bool, "
    "successful_segment_count failed_segment_count: int, started_at? completed_at? updated_at?: ts,"
    " error_message? attempt_id?: str",
    "SegmentStatus": "segment_id video_id: str, status: SEGMENT, start_time? end_time?: num, "
    "started_at? completed_at? updated_at?: ts, error_message? failure_stage? attempt_id?: str",
    "Segment": "segment_id video_id: str, start_time end_time: num, "
    "processed processing_failed: bool, segment_status: SEGMENT, "
    "failure_stage? failure_message? attempt_id?: str, metadata?: obj, metadata_text?: str, "
    "created_at? processed_at?: ts, error_message? processing_warning? thumbnail_uri? gif_uri?: "
    "str, thumbnail_available gif_available: bool, thumbnail_data? gif_data? gcs_uri? "
    "thumbnail_gcs_uri? gif_gcs_uri? from_run_id? status_source?: str, marker: Marker, "
    "metadata_markers: obj, field_extraction_succeeded? transcription_succeeded? "
    "image_embedding_succeeded?: bool, field_extraction_error? transcription_error? "
    "image_embedding_error?: str",
    "ImportJob": "job_id: str, status: pending/scanning/importing/completed/failed/cancelled, "
    "phase?: str, source_kind: upload/uri, target_index_id?: str, source_prefix: str, "
    "file_pattern: str, recursive: bool, created_at? started_at? completed_at?: ts, "
    "error_message?: str, progress: ImportProgress, outputs: Outputs, execution: Execution, "
    "video_ids: [str], failed_files: [obj], failed_files_next_cursor?: str",
    "ImportProgress": "total_files imported failed skipped bytes_transferred: int, "
    "current_file?: str, parts_total parts_completed parts_failed: int",
    "Outputs": "items: [Output], next_cursor?: str, total: int",
    "Output": "file_id file_name: str, source_ordinal part_index part_count: int, "
    "source_start_seconds source_end_seconds: num, video_id title status: str",
    "Execution": "status: str, run_id? error_code? error?: str",
    "Prompts": "prompts: [Prompt], total_count active_count: int",
    "Prompt": "prompt_id user_id name prompt_text: str, description: str, json_schema: obj, "
    "video_level?: VideoLevel, semantic_indexing: Indexing, is_active: bool, created_at: ts",
    "VideoLevel": "instructions_text: str, json_schema: obj, included_segment_fields?: [str]",
    "Indexing": "disabled_segment_fields disabled_video_level_fields: [str]",
    "Usage": "prompt_id name: str, is_active is_in_use: bool, created_at: ts, "
    "schema_properties_count: int",
    "SchemaTest": "valid: bool, validated_data?: obj, error?: str, message: str",
    "PromptRun": "run_id prompt_id prompt_name: str, prompt_type: custom/default, executed_at: ts,"
    " executed_by: str, status: RUN, run_context: obj, "
    "total_videos completed_videos failed_videos partial_videos cancelled_videos "
    "total_audios completed_audios failed_audios partial_audios cancelled_audios "
    "total_images completed_images failed_images partial_images cancelled_images "
    "total_segments completed_segments field_extraction_failures transcription_failures "
    "image_embedding_failures: int, field_extraction_succeeded? transcription_succeeded? "
    "image_embedding_succeeded?: bool, error_message?: str, "
    "video_segmentation_type: smart/fixed/content_aware, "
    "audio_segmentation_type: fixed/content_aware, image_segmentation_type: image, "
    "video_segment_duration? audio_segment_duration?: int, created_new_segments: bool, "
    "processing_model: str, total_video_seconds: num, enable_transcription "
    "enable_image_embedding video_level_enabled: bool, video_level_total_items "
    "video_level_completed_items video_level_failed_items video_level_partial_items: int, "
    "stop_state: StopState, billing_estimated_mt billing_actual_mt: num, billing_status? "
    "billing_error?: str, marker: Marker",
    "StopState": "requested_at?: ts, requested_by? mode?: str, observed_at? completed_at?: ts",
    "Estimate": "estimated_mt: num, breakdown: obj, sufficient_balance: bool, "
    "current_balance_mt: num",
    "SegmentRunResult": "result_type: segment, result_id segment_id video_id run_id prompt_id "
    "prompt_run_id: str, video_name? source_index_id?: str, executed_at: ts, "
    "start_time end_time: num, segment_uri? thumbnail_uri? gif_uri?: str, "
    "thumbnail_available gif_available: bool, metadata: obj, metadata_text: str, "
    "processing_warning? schema_used?: str, field_extraction_succeeded: bool, "
    "transcription_succeeded? image_embedding_succeeded?: bool, field_extraction_error? "
    "transcription_error? image_embedding_error?: str, marker: Marker, "
    "extracted_metadata_markers metadata_markers: obj, transcription?: Transcription",
    "Transcription": "text: str, language?: str, words: [Word]",
    "Word": "text: str, start end: num",
    "VideoResult": "result_type: video, result_id run_id prompt_id prompt_run_id video_id: str, "
    "video_name? source_index_id?: str, executed_at: ts, status: SYNTHESIS, metadata: obj, "
    "metadata_text: str, raw_llm_response? processing_warning? schema_used?: str, "
    "successful_segment_count failed_segment_count: int, omitted_segment_ids template_fields: "
    "[str], source_fingerprint?: str, rendered_prompt_char_count: int, llm_attempted: bool, "
    "embedding_status? embedding_error? attempt_id? error_message?: str, "
    "started_at? completed_at?: ts, segment_uri? gcs_uri? thumbnail_uri? thumbnail_gcs_uri? "
    "gif_uri? gif_gcs_uri? preview_segment_id? preview_segment_uri? preview_thumbnail_uri? "
    "preview_gif_uri?: str, preview_start_time? preview_end_time?: num, "
    "thumbnail_available? gif_available?: bool, marker: Marker",
    "Manifest": "run_id: str, status: RUN, videos_with_failures failed_segments: int, "
    "operation_counts: Counts, videos: [FailedVideo], truncated?: bool, next_cursor?: str",
    "Counts": "field_extraction transcription image_embedding processing: int",
    "FailedVideo": "video_id: str, failed_segments: int, operation_counts: Counts, "
    "segments: [FailedSegment]",
    "FailedSegment": "segment_id: str, failed_operations: [str], field_extraction_error? "
    "transcription_error? image_embedding_error? failure_message?: str, "
    "failure_stage?: field_extraction/transcription/image_embedding/processing, "
    "failure_code?: str, retryable: bool, start_time end_time: num, projection_only: bool, "
    "attempts: int, last_attempt_at? retry_after?: ts",
    "Retry": "run_id retry_id: str, status: RETRY, message: str, idempotency_key?: str, "
    "video_id segment_id: str, created_at: ts, started_at? completed_at?: ts, error?: str, "
    "billing_estimated_mt billing_actual_mt: num, billing_status? billing_error?: str",
    "RetryStatus": "run_id retry_id: str, status: RETRY, video_id segment_id: str, "
    "created_at: ts, started_at? completed_at?: ts, error?: str, billing_estimated_mt "
    "billing_actual_mt: num, billing_status? billing_error?: str, field_extraction_succeeded? "
    "transcription_succeeded? image_embedding_succeeded?: bool",
    "RetriedMany": "run_id: str, retries: [Retry], skipped: [Skipped], "
    "retry_count? skipped_count?: int",
    "Skipped": "segment_id reason: str",
    "LlmCall": "llm_call_id prompt_run_id prompt_id: str, video_id? segment_id?: str, "
    "user_id model: str, purpose: metadata_extraction/video_synthesis/transcription/embedding"
    "/repair, status: success/error/blocked, input_tokens output_tokens total_tokens: int, "
    "video_seconds: num, segment_start_time? segment_end_time?: num, prompt_text? response_text? "
    "schema_used?: str, invoked_at: ts, completed_at?: ts, duration_ms?: int, error_message?: str,"
    " attempt: int, finish_reason? error_code?: str, cached: bool, thinking_tokens? "
    "cached_tokens? audio_tokens?: int",
    "Event": "event_id event_type user_id: str, run_id? video_id? segment_id? index_id?: str, "
    "created_at: ts, payload: obj",
    "Pagination": "limit: int, has_more: bool, next_cursor?: str",
}

SETS = {
    "RUN": "pending/processing/completed/completed_with_failures/failed/cancelled",
    "RUN_MEDIA": "pending/processing/completed/partial/failed/cancelled",
    "SYNTHESIS": "pending/processing/completed/partial/failed",
    "SEGMENT": "pending/processing/completed/failed/cancelled",
    "RETRY": "pending/processing/completed/failed/cancelled",
}

_ENTRY = re.compile(r"([\w?| ]+): (\[?[\w/]+\]?)")


def faults(shape: str, found: Any, at: str = "") -> list[str]:
    """Say what in an answer is not as its shape has it; `[Shape]` is a bare array of them."""
    if shape.startswith("["):
        if not isinstance(found, list):
            return [f"{at}: no array but {found!r}"]
        return [
            fault
            for number, one in enumerate(found)
            for fault in faults(shape[1:-1], one, f"{at}[{number}]")
        ]
    if shape in SHAPES:
        return _of_object(shape, found, f"{at}<{shape}>")
    return [] if _fits(SETS.get(shape, shape), found) else [f"{at}: no {shape} but {found!r}"]


def _of_object(shape: str, found: Any, at: str) -> list[str]:
    if not isinstance(found, dict):
        return [f"{at}: no object but {found!r}"]
    known: set[str] = set()
    wrong: list[str] = []
    for names, kind in _ENTRY.findall(SHAPES[shape]):
        for name in names.split():
            choices = name.rstrip("?").split("|")
            known.update(choices)
            there = [choice for choice in choices if choice in found]
            if not there and not name.endswith("?"):
                wrong.append(f"{at}.{name} is missing")
            for choice in there:
                wrong += faults(kind, found[choice], f"{at}.{choice}")
    return wrong + [f"{at}.{name} is not of the contract" for name in found if name not in known]


def _fits(kind: str, found: Any) -> bool:
    number = isinstance(found, (int, float)) and not isinstance(found, bool)
    checks = {
        "str": isinstance(found, str),
        "bool": isinstance(found, bool),
        "int": isinstance(found, int) and number,
        "num": number,
        "obj": isinstance(found, dict),
        "ts": isinstance(found, str) and _is_time(found),
    }
    return checks[kind] if kind in checks else found in kind.split("/")


def _is_time(text: str) -> bool:
    try:
        return text.endswith("Z") and datetime.fromisoformat(text).tzinfo is not None
    except ValueError:
        return False
