from typing import Any

import pytest

from promptreel.v2 import enums_pb2, prompt_pb2, prompt_run_pb2, run_pb2
from promptreel_server.services.messages.json_structs import from_struct, to_struct
from promptreel_server.store.catalogue.default_prompts import DEFAULT_PROMPTS
from tests.footage import shots
from tests.service.caller import Caller, refusal

SCHEMA = {
    "type": "object",
    "properties": {
        "boats": {"type": "integer", "minimum": 0},
        "scene": {
            "type": "object",
            "properties": {
                "people": {
                    "type": "array",
                    "items": {"type": "object", "properties": {"emotion": {"type": "string"}}},
                }
            },
        },
    },
    "required": ["boats"],
}
LEVEL_SCHEMA = {"type": "object", "properties": {"total": {"type": "integer"}}}


def _request(**changes: Any) -> prompt_pb2.CreatePromptRequest:
    fields: dict[str, Any] = {
        "name": "Boats",
        "prompt_text": "Name every boat that can be seen.",
        "json_schema": to_struct(SCHEMA),
        **changes,
    }
    return prompt_pb2.CreatePromptRequest(**fields)


def _create(caller: Caller, **changes: Any) -> prompt_pb2.Prompt:
    return caller.prompts.CreatePrompt(_request(**changes), metadata=caller.said())


def _get(caller: Caller, prompt_id: str) -> prompt_pb2.Prompt:
    request = prompt_pb2.GetPromptRequest(prompt_id=prompt_id)
    return caller.prompts.GetPrompt(request, metadata=caller.said())


def test_a_prompt_is_kept_whole(caller: Caller) -> None:
    level = prompt_pb2.VideoLevel(
        instructions_text="Count the boats of the whole.",
        json_schema=to_struct(LEVEL_SCHEMA),
        included_segment_fields=["boats", "transcription"],
    )
    indexing = prompt_pb2.SemanticIndexing(
        disabled_segment_fields=["scene.people[].emotion"], disabled_video_level_fields=["total"]
    )

    made = _create(caller, description="All of them", video_level=level, semantic_indexing=indexing)

    assert _get(caller, made.prompt_id) == made
    assert from_struct(made.json_schema) == SCHEMA
    assert made.video_level == level
    assert made.semantic_indexing == indexing
    assert made.is_active
    assert made.user_id == caller.owner


def test_a_prompt_without_a_synthesis_says_nothing_of_one(caller: Caller) -> None:
    assert not _create(caller).HasField("video_level")


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"name": "ab"}, "name"),
        ({"name": "x" * 101}, "name"),
        ({"prompt_text": "too short"}, "prompt_text"),
        ({"prompt_text": "x" * 5001}, "prompt_text"),
        ({"description": "x" * 501}, "description"),
        ({"json_schema": to_struct({"type": "array"})}, "json_schema.type"),
        ({"json_schema": None}, "json_schema.type"),
        (
            {"json_schema": to_struct({"type": "object", "properties": {"a.b": {}}})},
            "json_schema.properties",
        ),
        (
            {"semantic_indexing": prompt_pb2.SemanticIndexing(disabled_segment_fields=["cars"])},
            "semantic_indexing.disabled_segment_fields",
        ),
        (
            {
                "semantic_indexing": prompt_pb2.SemanticIndexing(
                    disabled_video_level_fields=["total"]
                )
            },
            "semantic_indexing.disabled_video_level_fields",
        ),
        (
            {
                "video_level": prompt_pb2.VideoLevel(
                    instructions_text="Count them all.",
                    json_schema=to_struct(LEVEL_SCHEMA),
                    included_segment_fields=["cars"],
                )
            },
            "video_level.included_segment_fields",
        ),
    ],
)
def test_a_prompt_that_breaks_a_rule_is_refused_by_name(
    caller: Caller, changes: dict[str, Any], field: str
) -> None:
    refused = refusal(lambda: _create(caller, **changes))

    assert refused.http_status == 400
    assert refused.violations == (field,)


def test_every_text_of_a_wrong_length_is_named_at_once(caller: Caller) -> None:
    refused = refusal(lambda: _create(caller, name="x", prompt_text="x"))

    assert refused.violations == ("name", "prompt_text")


def test_an_update_changes_what_it_gives_and_leaves_the_rest(caller: Caller) -> None:
    level = prompt_pb2.VideoLevel(
        instructions_text="Count them all.", json_schema=to_struct(LEVEL_SCHEMA)
    )
    made = _create(caller, video_level=level)

    renamed = caller.prompts.UpdatePrompt(
        prompt_pb2.UpdatePromptRequest(prompt_id=made.prompt_id, name="Ships"),
        metadata=caller.said(),
    )
    cleared = caller.prompts.UpdatePrompt(
        prompt_pb2.UpdatePromptRequest(prompt_id=made.prompt_id, clear_video_level=True),
        metadata=caller.said(),
    )

    assert renamed.name == "Ships"
    assert renamed.video_level == made.video_level
    assert renamed.prompt_text == made.prompt_text
    assert cleared.name == "Ships"
    assert not cleared.HasField("video_level")
    assert _get(caller, made.prompt_id) == cleared


def test_a_synthesis_can_not_be_given_and_cleared_at_once(caller: Caller) -> None:
    request = prompt_pb2.UpdatePromptRequest(
        prompt_id=_create(caller).prompt_id,
        clear_video_level=True,
        video_level=prompt_pb2.VideoLevel(instructions_text="Count them all."),
    )

    refused = refusal(lambda: caller.prompts.UpdatePrompt(request, metadata=caller.said()))

    assert refused.violations == ("video_level",)


def test_an_update_that_breaks_a_rule_changes_nothing(caller: Caller) -> None:
    made = _create(caller)
    request = prompt_pb2.UpdatePromptRequest(prompt_id=made.prompt_id, name="x")

    refused = refusal(lambda: caller.prompts.UpdatePrompt(request, metadata=caller.said()))

    assert refused.violations == ("name",)
    assert _get(caller, made.prompt_id) == made


def test_shipped_prompts_are_listed_unless_they_are_not_wanted(caller: Caller) -> None:
    made = _create(caller)

    def listed(**said: bool) -> list[str]:
        request = prompt_pb2.ListPromptsRequest(**said)
        answer = caller.prompts.ListPrompts(request, metadata=caller.said())
        assert answer.total_count == len(answer.prompts)
        return [prompt.prompt_id for prompt in answer.prompts]

    assert listed()[0] == made.prompt_id
    assert set(listed()[1:]) == {prompt.prompt_id for prompt in DEFAULT_PROMPTS}
    assert listed(include_defaults=False) == [made.prompt_id]


def test_a_shipped_prompt_can_be_neither_changed_nor_deleted(caller: Caller) -> None:
    prompt_id = DEFAULT_PROMPTS[0].prompt_id
    update = prompt_pb2.UpdatePromptRequest(prompt_id=prompt_id, name="Mine now")
    delete = prompt_pb2.DeletePromptRequest(prompt_id=prompt_id, force=True)

    said = caller.said()
    assert refusal(lambda: caller.prompts.UpdatePrompt(update, metadata=said)).http_status == 409
    assert refusal(lambda: caller.prompts.DeletePrompt(delete, metadata=said)).http_status == 409


def test_somebody_elses_prompt_is_not_found(caller: Caller, other: Caller) -> None:
    prompt_id = _create(other).prompt_id

    assert refusal(lambda: _get(caller, prompt_id)).http_status == 404


def test_an_unused_prompt_is_deleted(caller: Caller) -> None:
    prompt_id = _create(caller).prompt_id
    request = prompt_pb2.DeletePromptRequest(prompt_id=prompt_id)

    answer = caller.prompts.DeletePrompt(request, metadata=caller.said())

    assert prompt_id in answer.message
    assert refusal(lambda: _get(caller, prompt_id)).http_status == 404


def test_a_prompt_that_runs_have_used_is_deactivated_by_force_only(caller: Caller) -> None:
    video_id = caller.upload(shots(1, sound=False).path).video_ids[0]
    prompt = _create(caller)
    order = prompt_run_pb2.ExecutePromptRunRequest(
        prompt_id=prompt.prompt_id,
        target=run_pb2.Target(type=enums_pb2.TargetType.Value.videos, video_ids=[video_id]),
        enable_transcription=False,
        enable_image_embedding=False,
    )
    caller.runs.ExecutePromptRun(order, metadata=caller.said())
    usage = caller.prompts.GetPromptUsage(
        prompt_pb2.GetPromptUsageRequest(prompt_id=prompt.prompt_id), metadata=caller.said()
    )
    gently = prompt_pb2.DeletePromptRequest(prompt_id=prompt.prompt_id)
    by_force = prompt_pb2.DeletePromptRequest(prompt_id=prompt.prompt_id, force=True)

    refused = refusal(lambda: caller.prompts.DeletePrompt(gently, metadata=caller.said()))
    caller.prompts.DeletePrompt(by_force, metadata=caller.said())

    assert usage.is_in_use
    assert usage.schema_properties_count == 2
    assert refused.http_status == 409
    assert not _get(caller, prompt.prompt_id).is_active
    request = prompt_pb2.ListPromptsRequest(include_defaults=False)
    assert not caller.prompts.ListPrompts(request, metadata=caller.said()).prompts
    caller.until_runs_end()


@pytest.mark.parametrize(
    ("schema", "sample", "valid"),
    [
        (SCHEMA, {"boats": 3}, True),
        (SCHEMA, {"boats": -1}, False),
        (SCHEMA, {}, False),
        ({"type": "string"}, {}, False),
    ],
)
def test_a_schema_is_tried_on_sample_data(
    caller: Caller, schema: dict[str, Any], sample: dict[str, Any], valid: bool
) -> None:
    request = prompt_pb2.TestSchemaRequest(
        json_schema=to_struct(schema), sample_data=to_struct(sample)
    )

    answer = caller.prompts.TestSchema(request, metadata=caller.said())

    assert answer.valid is valid
    assert answer.HasField("error") is not valid
    assert answer.message
    if valid:
        assert from_struct(answer.validated_data) == sample


def test_a_hostile_schema_is_refused_by_every_call_that_takes_one(caller: Caller) -> None:
    hidden = {"$dynamicRef": "file:///etc/hostname#/password"}
    schema = {
        "type": "object",
        "properties": {"a": {"default": hidden}, "b": {"$ref": "#/properties/a/default"}},
    }
    request = prompt_pb2.TestSchemaRequest(
        json_schema=to_struct(schema), sample_data=to_struct({"b": "x"})
    )
    tested = caller.prompts.TestSchema(request, metadata=caller.said())
    assert not tested.valid
    assert "json_schema.properties.b.$ref: #/properties/a/default points at no subschema" in (
        tested.error
    )
    refused = refusal(lambda: _create(caller, json_schema=to_struct(schema)))
    assert "points at no subschema" in refused.message


def test_sample_data_that_take_too_long_to_validate_are_an_answer(caller: Caller) -> None:
    alternatives = [{"required": [f"k{n}"]} for n in range(400)]
    schema = {"type": "object", "properties": {"a": {"items": {"anyOf": alternatives}}}}
    request = prompt_pb2.TestSchemaRequest(
        json_schema=to_struct(schema), sample_data=to_struct({"a": [{"z": 1}] * 20_000})
    )
    tested = caller.prompts.TestSchema(request, metadata=caller.said())
    assert not tested.valid
