from typing import Any

import pytest
from videovector import ConflictError, NotFoundError, ValidationError

from tests.compat.conftest import SCHEMA, VIDEO_LEVEL, Stage
from tests.compat.vendor import Calls, bad_fields

INDEXING = {"disabled_segment_fields": ["count"], "disabled_video_level_fields": ["story"]}


def test_a_prompt_keeps_all_that_it_is_made_of(stage: Stage) -> None:
    made = stage.prompt(description="Faces.", video_level=VIDEO_LEVEL, semantic_indexing=INDEXING)

    assert made.name == "People"
    assert made.description == "Faces."
    assert made.json_schema == SCHEMA
    assert made.video_level.instructions_text == VIDEO_LEVEL["instructions_text"]
    assert made.video_level.json_schema == VIDEO_LEVEL["json_schema"]
    assert made.semantic_indexing.disabled_segment_fields == ["count"]
    assert made.semantic_indexing.disabled_video_level_fields == ["story"]
    assert made.user_id == stage.owner
    assert made.is_active
    assert stage.client.prompts.retrieve(made.prompt_id) == made


def test_prompts_are_listed_with_the_defaults_or_without(stage: Stage) -> None:
    prompts = stage.client.prompts

    everything = prompts.list()
    own = prompts.list(include_defaults=False)

    assert stage.prompt_id in {prompt.prompt_id for prompt in own.prompts}
    assert {prompt.user_id for prompt in own.prompts} == {stage.owner}
    assert everything.total_count > own.total_count
    assert everything.total_count == len(everything.prompts)


def test_a_prompt_is_changed_field_by_field(stage: Stage) -> None:
    prompts = stage.client.prompts
    made = stage.prompt(video_level=VIDEO_LEVEL)

    renamed = prompts.update(made.prompt_id, name="Faces", semantic_indexing=INDEXING)
    cleared = prompts.update(made.prompt_id, clear_video_level=True)
    again = prompts.update(made.prompt_id, video_level=VIDEO_LEVEL, description="New.")

    assert renamed.name == "Faces"
    assert renamed.prompt_text == made.prompt_text
    assert renamed.video_level is not None
    assert renamed.semantic_indexing.disabled_segment_fields == ["count"]
    assert cleared.video_level is None
    assert cleared.semantic_indexing.disabled_segment_fields == ["count"]
    assert cleared.semantic_indexing.disabled_video_level_fields == []
    assert cleared.name == "Faces"
    assert again.video_level.json_schema == VIDEO_LEVEL["json_schema"]
    assert again.description == "New."


def test_a_run_keeps_the_prompt_as_it_was(stage: Stage) -> None:
    prompt_id = stage.novel_prompt_id()
    run = stage.execute(prompt_id=prompt_id, processing_model="canned:slow")

    stage.client.prompts.update(prompt_id, name="Changed", clear_video_level=True)
    ended = stage.ended(run.run_id)

    assert ended.prompt_name == "People"
    assert ended.video_level_enabled
    result = stage.client.prompt_runs.get_video_result(run.run_id, stage.video_id)
    assert result.status == "completed"


def test_an_unused_prompt_is_deleted(stage: Stage) -> None:
    made = stage.prompt()

    answer = stage.client.prompts.delete(made.prompt_id)

    assert answer.message
    with pytest.raises(NotFoundError):
        stage.client.prompts.retrieve(made.prompt_id)


def test_a_prompt_that_runs_use_is_deactivated_by_force_alone(stage: Stage) -> None:
    prompts = stage.client.prompts
    made = stage.prompt()
    run = stage.finished(prompt_id=made.prompt_id)

    with pytest.raises(ConflictError):
        prompts.delete(made.prompt_id)
    prompts.delete(made.prompt_id, force=True)

    assert not prompts.retrieve(made.prompt_id).is_active
    assert made.prompt_id not in {prompt.prompt_id for prompt in prompts.list().prompts}
    assert made.prompt_id in {p.prompt_id for p in prompts.list(active_only=False).prompts}
    with pytest.raises(ConflictError):
        stage.execute(prompt_id=made.prompt_id)
    assert stage.client.prompt_runs.retrieve(run.run_id).prompt_name == "People"


def test_usage_tells_whether_runs_use_it(stage: Stage) -> None:
    made = stage.prompt()

    before = stage.client.prompts.get_usage(made.prompt_id)
    stage.finished(prompt_id=made.prompt_id)
    after = stage.client.prompts.get_usage(made.prompt_id)

    assert (before.is_in_use, after.is_in_use) == (False, True)
    assert before.schema_properties_count == 3
    assert before.name == "People"


def test_a_schema_is_tried_on_a_sample(stage: Stage) -> None:
    schema = {
        "type": "object",
        "properties": {"count": {"type": "integer"}},
        "required": ["count"],
    }

    good = stage.client.prompts.test_schema(json_schema=schema, sample_data={"count": 3})
    bad = stage.client.prompts.test_schema(json_schema=schema, sample_data={"count": "three"})

    assert good.valid
    assert good.validated_data == {"count": 3}
    assert not bad.valid
    assert "three" in (bad.error or "")
    assert bad.message


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"name": "ab"}, "name"),
        ({"name": "x" * 101}, "name"),
        ({"prompt_text": "short"}, "prompt_text"),
        ({"prompt_text": "x" * 5001}, "prompt_text"),
        ({"description": "x" * 501}, "description"),
        ({"json_schema": {"type": "array"}}, "json_schema"),
        ({"json_schema": {"type": "object", "properties": {"a.b": {}}}}, "json_schema"),
        ({"json_schema": {"type": "object", "properties": {"start_time": {}}}}, "json_schema"),
        ({"json_schema": {"type": "object", "properties": {"a": {"type": "no"}}}}, "json_schema"),
        ({"video_level": {**VIDEO_LEVEL, "included_segment_fields": ["nope"]}}, "video_level"),
    ],
)
def test_what_a_prompt_can_not_be_is_refused(
    stage: Stage, changes: dict[str, Any], field: str
) -> None:
    with pytest.raises(ValidationError) as refused:
        stage.prompt(**{"name": "Good", **changes})

    assert refused.value.status_code == 400
    assert bad_fields(refused.value)[0].startswith(field)


def test_somebody_elses_prompt_is_not_found(stage: Stage, stranger: Any) -> None:
    prompts = stranger.prompts
    calls: Calls = [
        lambda: prompts.retrieve(stage.prompt_id),
        lambda: prompts.update(stage.prompt_id, name="Mine"),
        lambda: prompts.delete(stage.prompt_id, force=True),
        lambda: prompts.get_usage(stage.prompt_id),
    ]
    for call in calls:
        with pytest.raises(NotFoundError):
            call()
