"""Messages with every field filled in, and the dataclass that each is read as."""

from datetime import datetime
from enum import StrEnum
from typing import Any

from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message
from google.protobuf.struct_pb2 import Struct
from google.protobuf.timestamp_pb2 import Timestamp

from promptreel.v2 import (
    api_key_pb2,
    event_pb2,
    import_job_pb2,
    index_pb2,
    llm_call_pb2,
    manifest_pb2,
    marker_pb2,
    processing_status_pb2,
    prompt_pb2,
    prompt_run_pb2,
    result_pb2,
    retry_pb2,
    run_pb2,
    segment_pb2,
    video_pb2,
)
from promptreel_client import model

_FILES: tuple[Any, ...] = (
    api_key_pb2,
    event_pb2,
    import_job_pb2,
    index_pb2,
    llm_call_pb2,
    manifest_pb2,
    marker_pb2,
    processing_status_pb2,
    prompt_pb2,
    prompt_run_pb2,
    result_pb2,
    retry_pb2,
    run_pb2,
    segment_pb2,
    video_pb2,
)
_OTHER_NAMES = {
    "SegmentResult": "SegmentRunResult",
    "RunUpdate": "PromptRunUpdate",
    "RetriedSegments": "RetryFailedSegmentsResponse",
    "RotatedApiKey": "RotateApiKeyResponse",
    "SchemaTest": "TestSchemaResponse",
}
NOT_FOR_CALLERS = {
    "promptreel.v2.EventUpdate": {"heartbeat", "error", "several"},
    "promptreel.v2.PromptRunUpdate": {"heartbeat", "several"},
}
"""What the transport takes care of, by message."""
BODY: Any = {"name": "Ana", "age": 3, "ratio": 0.5, "tags": ["a", None, True], "in": {"deep": {}}}


def message_kind(kind: type) -> type[Message]:
    """Answer the message that a dataclass of the model mirrors."""
    name = _OTHER_NAMES.get(kind.__name__, kind.__name__)
    for file in _FILES:
        if hasattr(file, name):
            found: type[Message] = getattr(file, name)
            return found
    raise AssertionError(f"{kind.__name__} mirrors no message")


def dataclasses_of_the_model() -> list[type]:
    public = (getattr(model, name) for name in model.__all__)
    return [kind for kind in public if not issubclass(kind, StrEnum)]


def populate(message: Any) -> Any:
    """Fill in every field of a message that is for callers; of a oneof, the last."""
    left_out = NOT_FOR_CALLERS.get(message.DESCRIPTOR.full_name, set())
    for number, field in enumerate(message.DESCRIPTOR.fields, start=1):
        if field.name in left_out:
            continue
        if field.is_repeated and field.message_type and field.message_type.GetOptions().map_entry:
            populate(getattr(message, field.name)["a.path"])
        elif field.is_repeated and field.message_type:
            _fill(getattr(message, field.name).add(), number)
        elif field.is_repeated:
            getattr(message, field.name).append(_scalar(field, number))
        elif field.message_type:
            getattr(message, field.name).SetInParent()
            _fill(getattr(message, field.name), number)
        else:
            setattr(message, field.name, _scalar(field, number))
    return message


def wire(message: Message) -> Any:
    """Answer a message as protobuf itself writes it in JSON."""
    return MessageToDict(
        message, preserving_proto_field_name=True, always_print_fields_with_no_presence=True
    )


def _fill(message: Any, number: int) -> None:
    if isinstance(message, Timestamp):
        message.FromDatetime(datetime(2026, 5, number % 28 + 1, 12, 30, 1, 250_000))
    elif isinstance(message, Struct):
        message.update(BODY)
    else:
        populate(message)


def _scalar(field: Any, number: int) -> Any:
    if field.enum_type:
        return field.enum_type.values[-1].number
    return {
        field.CPPTYPE_STRING: b"\xff" if field.type == field.TYPE_BYTES else f"text {number}",
        field.CPPTYPE_BOOL: True,
        field.CPPTYPE_DOUBLE: number + 0.25,
    }.get(field.cpp_type, number)
