"""What requests must keep to beyond their types: for the OpenAPI document, checked by services."""

from typing import Any

Rule = dict[str, Any]


def _text(least: int, most: int) -> Rule:
    return {"minLength": least, "maxLength": most}


def _limit(default: int, most: int) -> Rule:
    return {"minimum": 1, "maximum": most, "default": default}


_ID = {"minLength": 1}
_PAGE = _limit(50, 100)
_MANY = {"minItems": 1, "maxItems": 100}
_SECONDS = {"minimum": 1, "maximum": 300}
_ASKED_SCHEMA = {
    "required": ["type", "properties"],
    "properties": {
        "type": {"const": "object"},
        "properties": {"type": "object", "minProperties": 1},
    },
}
_PROMPT = {
    "json_schema": _ASKED_SCHEMA,
    "name": _text(3, 100),
    "prompt_text": _text(10, 5000),
    "description": _text(0, 500),
}

RULES: dict[str, dict[str, Rule]] = {
    "CreateIndexRequest": {"name": _text(1, 255)},
    "ListIndexesRequest": {"limit": _limit(1000, 1000)},
    "ListIndexVideosRequest": {"limit": _PAGE},
    "ListIndexPromptRunsRequest": {"limit": _PAGE},
    "CreateVideoRequest": {
        "title": _text(1, 255),
        "video_uri": {"pattern": "^(file|https)://"},
        "index_id": _ID,
    },
    "ListVideoSegmentsRequest": {"limit": _PAGE},
    "ListPlaygroundVideosRequest": {"limit": _PAGE},
    "ListVideoPromptRunsRequest": {"limit": _limit(200, 200)},
    "BatchGetVideosRequest": {"video_ids": _MANY},
    "BatchGetVideoStatusRequest": {"video_ids": _MANY},
    "BatchGetVideoSegmentsRequest": {
        "video_ids": {"maxItems": 50},
        "targets": {"maxItems": 50},
    },
    "ListImportJobsRequest": {"limit": _limit(200, 1000)},
    "ListImportJobOutputsRequest": {"limit": _PAGE},
    "ListImportJobFilesRequest": {"limit": _PAGE},
    "CreatePromptRequest": _PROMPT,
    "UpdatePromptRequest": _PROMPT,
    "VideoLevel": {"instructions_text": _text(10, 5000), "json_schema": _ASKED_SCHEMA},
    "Target": {"index_id": _ID, "video_ids": {"maxItems": 1000}},
    "ExecutePromptRunRequest": {
        "prompt_id": _ID,
        "video_segmentation_type": {"enum": ["smart", "fixed", "content_aware"]},
        "audio_segmentation_type": {"enum": ["content_aware", "fixed"]},
        "video_segment_duration": _SECONDS,
        "audio_segment_duration": _SECONDS,
    },
    "ListPromptRunsRequest": {"limit": _limit(200, 1000)},
    "ListResultsRequest": {"limit": _PAGE, "video_id": _ID},
    "GetFailedSegmentsRequest": {"limit": {"minimum": 1, "maximum": 100}},
    "ListSegmentRetriesRequest": {"limit": _PAGE},
    "ListLlmCallsRequest": {"limit": _limit(200, 1000)},
    "CreateApiKeyRequest": {
        "name": _text(1, 100),
        "expires_in_days": {"minimum": 1, "maximum": 365},
    },
}
"""Message → field → what its JSON Schema says beyond its type."""

REQUIRED: dict[str, tuple[str, ...]] = {
    "CreateIndexRequest": ("name",),
    "CreateVideoRequest": ("title", "video_uri", "index_id"),
    "BatchGetVideosRequest": ("video_ids",),
    "BatchGetVideoStatusRequest": ("video_ids",),
    "CreatePromptRequest": ("name", "prompt_text", "json_schema"),
    "TestSchemaRequest": ("json_schema", "sample_data"),
    "VideoLevel": ("instructions_text", "json_schema"),
    "VideoSegmentsTarget": ("video_id",),
    "Target": ("type",),
    "ExecutePromptRunRequest": ("prompt_id", "target"),
    "ListResultsRequest": ("video_id",),
    "CreateApiKeyRequest": ("name",),
}
"""Message → the fields that a request can't leave out."""
