"""What is asked becomes the request that the contract knows, or is refused by name."""

from functools import partial
from typing import Any

import pytest

from promptreel.v2 import enums_pb2
from promptreel_client import errors
from promptreel_client.model import SegmentationMode, Target, TargetType, VideoLevel
from promptreel_client.requests import api_keys, failures, indexes, prompt_runs, prompts, videos
from promptreel_client.structs import from_struct

SCHEMA = {"type": "object", "properties": {"mood": {"enum": ["calm", "tense", None]}}}


def execute(**changes: Any) -> Any:
    asked: dict[str, Any] = {"prompt_id": "prompt_1", "target": {"type": "playground"}, **changes}
    return prompt_runs.execute(**asked).request


def refused(make: Any) -> str:
    with pytest.raises(errors.InvalidRequestError) as caught:
        make()
    return caught.value.field_violations[0].field


def test_a_target_may_be_a_mapping_or_a_dataclass() -> None:
    mapping = execute(target={"type": "videos", "video_ids": ["vid_1", "vid_2"]})
    made = execute(target=Target(type=TargetType.VIDEOS, video_ids=("vid_1", "vid_2")))
    assert mapping == made
    assert mapping.target.type == enums_pb2.TargetType.Value.videos


def test_what_is_not_given_is_absent() -> None:
    request = execute()
    assert [field.name for field, _ in request.ListFields()] == ["prompt_id", "target"]


def test_false_is_given() -> None:
    request = execute(enable_transcription=False, enable_image_embedding=False)
    assert request.HasField("enable_transcription")
    assert request.HasField("enable_image_embedding")


def test_an_estimate_asks_for_the_very_run() -> None:
    settings: Any = {"video_segmentation_type": "fixed", "video_segment_duration": 5}
    estimate: Any = prompt_runs.estimate(
        prompt_id="prompt_1", target={"type": "playground"}, **settings
    ).request
    assert estimate.run == execute(**settings)


@pytest.mark.parametrize("key", ["", " ", "two words", "clé", "x" * 256])
def test_a_key_that_is_no_key_is_refused_before_it_is_sent(key: str) -> None:
    for make in (indexes.create, prompts.delete, videos.delete):
        assert refused(partial(make, "it", idempotency_key=key)) == "idempotency_key"


def test_words_may_be_members_or_text() -> None:
    text = execute(video_segmentation_type="content_aware")
    member = execute(video_segmentation_type=SegmentationMode.CONTENT_AWARE)
    assert text == member


@pytest.mark.parametrize("word", ["smrt", "SMART", "unspecified", ""])
def test_a_word_that_the_set_does_not_have_is_refused(word: str) -> None:
    field = refused(lambda: execute(video_segmentation_type=word))
    assert field == "video_segmentation_type"


@pytest.mark.parametrize("target", [{"kind": "index"}, {}, {"type": "index", "id": "idx_1"}])
def test_a_target_of_another_shape_is_refused(target: dict[str, str]) -> None:
    assert refused(lambda: execute(target=target)) == "target"


def test_a_target_of_another_kind_is_refused() -> None:
    assert refused(lambda: execute(target={"type": "folder"})) == "target.type"


def test_the_parts_of_a_prompt_may_be_mappings() -> None:
    level = {"instructions_text": "Tell the story.", "json_schema": SCHEMA}
    paths = {"disabled_segment_fields": ["mood"]}
    made: Any = prompts.create(
        name="Moods",
        prompt_text="Say how it feels.",
        json_schema=SCHEMA,
        video_level=level,
        semantic_indexing=paths,
    ).request
    assert from_struct(made.json_schema) == SCHEMA
    assert from_struct(made.video_level.json_schema) == SCHEMA
    assert list(made.semantic_indexing.disabled_segment_fields) == ["mood"]
    again: Any = prompts.create(
        name="Moods",
        prompt_text="Say how it feels.",
        json_schema=SCHEMA,
        video_level=VideoLevel(instructions_text="Tell the story.", json_schema=SCHEMA),
        semantic_indexing=paths,
    ).request
    assert again == made


def test_an_update_leaves_alone_what_is_not_given() -> None:
    request: Any = prompts.update("prompt_1", name="Renamed").request
    assert [field.name for field, _ in request.ListFields()] == ["prompt_id", "name"]


@pytest.mark.parametrize("schema", [{"a": object()}, {"a": {1, 2}}, {"a": b"bytes"}, "text", []])
def test_a_schema_that_is_no_json_is_refused(schema: Any) -> None:
    field = refused(
        lambda: prompts.create(name="X", prompt_text="Say what is said.", json_schema=schema)
    )
    assert field == "json_schema"


def test_failure_codes_and_scopes_are_words_too() -> None:
    request: Any = failures.retry_failed("run_1", failure_codes=["timeout", "blocked"]).request
    codes = enums_pb2.FailureCode.Value
    assert list(request.failure_codes) == [codes.timeout, codes.blocked]
    assert refused(lambda: api_keys.create("K", scopes=["root"])) == "scopes"


def test_segments_can_be_asked_for_by_run() -> None:
    request: Any = videos.batch_segments(run_ids={"vid_1": "run_1", "vid_2": None}).request
    assert [(one.video_id, one.run_id) for one in request.targets] == [
        ("vid_1", "run_1"),
        ("vid_2", ""),
    ]
    assert not request.targets[1].HasField("run_id")
