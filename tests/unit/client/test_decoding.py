"""Messages become the model's dataclasses, whole and with nothing lost."""

import base64
from dataclasses import FrozenInstanceError, fields, is_dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

import pytest
from google.protobuf.struct_pb2 import Struct

from promptreel.v2 import enums_pb2, result_pb2, run_pb2, video_pb2
from promptreel_client import model
from promptreel_client.decoding import decode
from promptreel_client.model import (
    PromptRun,
    RunStatus,
    SegmentResult,
    StopState,
    Video,
    VideoResult,
)
from promptreel_client.structs import from_struct, to_struct
from tests.unit.client.populated import (
    NOT_FOR_CALLERS,
    dataclasses_of_the_model,
    message_kind,
    populate,
    wire,
)

KINDS = dataclasses_of_the_model()
WORDS = [getattr(model, name) for name in model.__all__ if hasattr(enums_pb2, name)]


def shown(value: Any) -> Any:
    """Answer what was decoded as protobuf's own JSON would have it."""
    if is_dataclass(value):
        parts = {field.name: getattr(value, field.name) for field in fields(value)}
        return {name: shown(part) for name, part in parts.items() if part is not None}
    if isinstance(value, datetime):
        assert value.tzinfo is UTC
        return value.strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if isinstance(value, tuple | list):
        return [shown(one) for one in value]
    if isinstance(value, dict):
        return {name: shown(one) for name, one in value.items()}
    return value


@pytest.mark.parametrize("kind", KINDS)
def test_a_dataclass_has_the_fields_of_its_message(kind: Any) -> None:
    descriptor = message_kind(kind).DESCRIPTOR
    left_out = NOT_FOR_CALLERS.get(descriptor.full_name, set())
    names = {field.name for field in descriptor.fields}
    assert {field.name for field in fields(kind)} == names - left_out


@pytest.mark.parametrize("kind", KINDS)
def test_every_field_of_a_full_message_is_read(kind: Any) -> None:
    message = populate(message_kind(kind)())
    expected = wire(message)
    read = shown(decode(message, kind))
    if "sequence" in read:
        read["sequence"] = str(read["sequence"])  # JSON's way with 64 bits
    assert read == expected


@pytest.mark.parametrize("kind", KINDS)
def test_an_empty_message_can_be_read(kind: Any) -> None:
    decoded = decode(message_kind(kind)(), kind)
    for field in fields(kind):
        if field.default is None:
            assert getattr(decoded, field.name) is None


@pytest.mark.parametrize("words", WORDS)
def test_a_set_has_the_words_of_the_contract(words: type[StrEnum]) -> None:
    numbers = getattr(enums_pb2, words.__name__).Value
    assert [member.value for member in words] == numbers.keys()


def test_every_set_of_the_contract_is_in_the_model() -> None:
    names = set(enums_pb2.DESCRIPTOR.message_types_by_name)
    assert names == {words.__name__ for words in WORDS}


def test_a_word_that_this_client_does_not_know_reads_unspecified() -> None:
    message = run_pb2.PromptRun()
    message.ParseFromString(b"\x38\x63")  # field 7 (status): 99
    assert decode(message, PromptRun).status is RunStatus.UNSPECIFIED


def test_a_status_compares_with_its_word() -> None:
    message = run_pb2.PromptRun(status=enums_pb2.RunStatus.completed)
    assert decode(message, PromptRun).status == "completed"


def test_an_instant_knows_its_zone_and_its_microseconds() -> None:
    message = run_pb2.PromptRun()
    message.executed_at.FromMicroseconds(1_750_000_000_123_456)
    expected = datetime(2025, 6, 15, 15, 6, 40, 123_456, tzinfo=UTC)
    assert decode(message, PromptRun).executed_at == expected


def test_an_instant_before_1970_is_read() -> None:
    message = run_pb2.PromptRun()
    message.executed_at.FromMicroseconds(-500_000)
    expected = datetime(1969, 12, 31, 23, 59, 59, 500_000, tzinfo=UTC)
    assert decode(message, PromptRun).executed_at == expected


def test_absent_is_told_from_false_and_from_empty() -> None:
    message = result_pb2.SegmentRunResult(transcription_succeeded=False)
    decoded = decode(message, SegmentResult)
    assert decoded.transcription_succeeded is False
    assert decoded.image_embedding_succeeded is None
    assert decoded.transcription is None


def test_a_message_that_is_always_there_is_empty_in_place_of_none() -> None:
    assert decode(run_pb2.PromptRun(), PromptRun).stop_state == StopState()


def test_whole_numbers_of_extracted_fields_are_integers_and_keep_their_type() -> None:
    message = result_pb2.VideoResult()
    message.metadata.update({"count": 3, "share": 0.5, "yes": True, "none": None})
    decoded = decode(message, VideoResult)
    assert decoded.metadata == {"count": 3, "share": 0.5, "yes": True, "none": None}
    assert type(decoded.metadata["count"]) is int
    assert type(decoded.metadata["yes"]) is bool


def test_a_result_can_not_be_changed() -> None:
    decoded = decode(video_pb2.Video(title="Old"), Video)
    with pytest.raises(FrozenInstanceError):
        decoded.title = "New"  # type: ignore[misc]


def test_a_json_object_comes_back_as_it_went() -> None:
    body = {"a": [1, 2.5, "x", None, {"b": []}], "c": {}, "d": (1, 2)}
    assert from_struct(to_struct(body, "body")) == {**body, "d": [1, 2]}


def test_a_key_without_a_value_reads_none() -> None:
    struct = Struct()
    struct.fields["empty"].Clear()
    assert from_struct(struct) == {"empty": None}
