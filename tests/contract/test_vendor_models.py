"""What our messages print over REST, read by the models of the client that exists already."""

import json
from typing import Any

import pytest
import videovector._types as vendor
from google.protobuf import json_format, message_factory, struct_pb2, timestamp_pb2
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message
from pydantic import BaseModel

from promptreel.v2 import (
    api_key_pb2,
    import_job_pb2,
    index_pb2,
    llm_call_pb2,
    manifest_pb2,
    marker_pb2,
    page_pb2,
    processing_status_pb2,
    prompt_pb2,
    result_pb2,
    retry_pb2,
    run_pb2,
    segment_pb2,
    video_pb2,
)

# Optional in the client's models, and said by no message of ours.
NOT_OURS = {
    "gcs_uri",  # we keep nothing in cloud buckets
    "thumbnail_gcs_uri",
    "gif_gcs_uri",
    "segment_uri",  # of a whole media item
    "connector_id",  # we import from no cloud connector
    "created_at",  # of an LLM call: the client's name for `invoked_at` in older answers
}

TWINS: list[tuple[type[BaseModel], type[Message]]] = [
    (vendor.MarkerInfo, marker_pb2.Marker),
    (vendor.PaginationMeta, page_pb2.Pagination),
    (vendor.Index, index_pb2.Index),
    (vendor.IndexDeletionResponse, index_pb2.IndexDeletion),
    (vendor.VideoWithDetails, video_pb2.Video),
    (vendor.VideoStatus, video_pb2.VideoStatus),
    (vendor.VideoSegments, video_pb2.VideoSegments),
    (vendor.VideoDeletionResponse, video_pb2.VideoDeletion),
    (vendor.PromptRunProcessingStatus, processing_status_pb2.PromptRunProcessingStatus),
    (vendor.SegmentRunProcessingStatus, processing_status_pb2.SegmentProcessingStatus),
    (vendor.VideoLevelProcessingStatus, processing_status_pb2.VideoLevelProcessingStatus),
    (vendor.Segment, segment_pb2.Segment),
    (vendor.ImportJob, import_job_pb2.ImportJob),
    (vendor.ImportJobProgress, import_job_pb2.ImportProgress),
    (vendor.ImportOutputsPage, import_job_pb2.ImportOutputs),
    (vendor.ImportOutput, import_job_pb2.ImportOutput),
    (vendor.ImportFilesPage, import_job_pb2.ImportFiles),
    (vendor.ImportSourceFile, import_job_pb2.ImportFile),
    (vendor.ImportExecution, import_job_pb2.ImportExecution),
    (vendor.Prompt, prompt_pb2.Prompt),
    (vendor.PromptListResponse, prompt_pb2.ListPromptsResponse),
    (vendor.PromptUsageStats, prompt_pb2.PromptUsage),
    (vendor.TestSchemaResponse, prompt_pb2.TestSchemaResponse),
    (vendor.DeleteResponse, prompt_pb2.DeletePromptResponse),
    (vendor.PromptRun, run_pb2.PromptRun),
    (vendor.PromptRunStopState, run_pb2.StopState),
    (vendor.PromptRunCostEstimate, run_pb2.PromptRunEstimate),
    (vendor.SegmentRunResult, result_pb2.SegmentRunResult),
    (vendor.PromptRunVideoResult, result_pb2.VideoResult),
    (vendor.PromptRunFailedSegmentsManifest, manifest_pb2.FailedSegmentManifest),
    (vendor.PromptRunSegmentRetry, retry_pb2.Retry),
    (vendor.PromptRunSegmentRetryStatus, retry_pb2.Retry),
    (vendor.LlmCall, llm_call_pb2.LlmCall),
    (vendor.ApiKeyWithSecret, api_key_pb2.ApiKey),
    (vendor.DeleteResponse, api_key_pb2.DeleteApiKeyResponse),
]

twins = pytest.mark.parametrize(("model", "message"), TWINS)

# Absent from the same message in other answers, which the client reads by another model.
SAID_WHEN_ASKED = {
    (vendor.PromptRunSegmentRetry, "message"),
    (vendor.ApiKeyWithSecret, "key"),
}

# The one word that the client's model takes.
WORDS = {
    "promptreel.v2.SegmentRunResult.result_type": "segment",
    "promptreel.v2.VideoResult.result_type": "video",
}


def filled(message: type[Message]) -> Message:
    """A message of which every field says something."""
    made = message()
    fields: list[Any] = list(message.DESCRIPTOR.fields)  # two kinds of descriptor to mypy
    for field in fields:
        if field.message_type is not None and field.message_type.GetOptions().map_entry:
            getattr(made, field.name)["scene.people[].emotion"].SetInParent()
        elif field.message_type is None:
            value = WORDS.get(field.full_name) or _scalar(field)
            if field.is_repeated:
                getattr(made, field.name).append(value)
            else:
                setattr(made, field.name, value)
        else:
            child = _well_known(field) or filled(
                message_factory.GetMessageClass(field.message_type)
            )
            if field.is_repeated:
                getattr(made, field.name).append(child)
            else:
                getattr(made, field.name).CopyFrom(child)
    return made


def _scalar(field: Any) -> Any:
    if field.enum_type is not None:
        return field.enum_type.values[-1].number
    kinds = {
        FieldDescriptor.CPPTYPE_STRING: b"x" if field.type == FieldDescriptor.TYPE_BYTES else "x",
        FieldDescriptor.CPPTYPE_BOOL: True,
        FieldDescriptor.CPPTYPE_DOUBLE: 5_000_000_001.0,
        FieldDescriptor.CPPTYPE_INT32: 7,
    }
    return kinds[field.cpp_type]


def _well_known(field: Any) -> Message | None:
    if field.message_type.full_name == "google.protobuf.Timestamp":
        return timestamp_pb2.Timestamp(seconds=1_700_000_000, nanos=123_000_000)
    if field.message_type.full_name == "google.protobuf.Struct":
        struct = struct_pb2.Struct()
        struct.update({"people": [{"emotion": "joy"}], "count": 3})
        return struct
    return None


def printed(message: Message) -> Any:
    """What the gateway prints of it."""
    text = json_format.MessageToJson(
        message, preserving_proto_field_name=True, always_print_fields_with_no_presence=True
    )
    return json.loads(text)


@twins
def test_a_full_answer_is_read_by_the_clients_model(
    model: type[BaseModel], message: type[Message]
) -> None:
    full = printed(filled(message))
    read = model.model_validate(full).model_dump(mode="json")
    for name, value in full.items():
        if name in model.model_fields and not isinstance(value, dict | list):
            assert read[name] == value


@twins
def test_what_the_client_would_make_up_is_always_printed(
    model: type[BaseModel], message: type[Message]
) -> None:
    fields = message.DESCRIPTOR.fields_by_name
    for name, wanted in model.model_fields.items():
        made_up = wanted.is_required() or wanted.default is not None
        if made_up and name in fields and fields[name].message_type is None:
            assert not fields[name].has_presence or (model, name) in SAID_WHEN_ASKED


@twins
def test_what_the_client_requires_is_said(model: type[BaseModel], message: type[Message]) -> None:
    required = {name for name, wanted in model.model_fields.items() if wanted.is_required()}
    assert required <= set(message.DESCRIPTOR.fields_by_name)


@twins
def test_what_the_client_can_read_is_said(model: type[BaseModel], message: type[Message]) -> None:
    assert set(model.model_fields) - set(message.DESCRIPTOR.fields_by_name) <= NOT_OURS
