from dataclasses import replace
from datetime import UTC, datetime

import pytest

from promptreel_server.domain.prompt import DEFAULT_OWNER, Prompt, SemanticIndexing, VideoLevel
from promptreel_server.errors import NotFound
from promptreel_server.extractors.json_schema.compiled import check_schema
from promptreel_server.store.catalogue import prompts
from promptreel_server.store.catalogue.default_prompts import DEFAULT_PROMPTS, ensure_defaults
from promptreel_server.store.database.database import Database

PROMPT = Prompt(
    prompt_id="prompt_01",
    owner_id="ann",
    name="Boats",
    description="Which boats can be seen",
    prompt_text="Name every boat that can be seen.",
    json_schema={"type": "object", "properties": {"boats": {"type": "integer"}}},
    video_level=VideoLevel(
        instructions_text="Count all boats.",
        json_schema={"type": "object", "properties": {"boats": {"type": "integer"}}},
        included_segment_fields=("boats",),
    ),
    semantic_indexing=SemanticIndexing(disabled_segment_fields=("boats",)),
    is_active=True,
    created_at=datetime(2026, 3, 1, tzinfo=UTC),
)


async def test_a_prompt_comes_back_as_it_was_kept(database: Database) -> None:
    await database.write(lambda tx: prompts.insert_prompt(tx, PROMPT))

    assert await database.read(lambda c: prompts.fetch(c, "ann", "prompt_01")) == PROMPT


async def test_a_prompt_without_synthesis_comes_back_as_it_was_kept(database: Database) -> None:
    plain = replace(PROMPT, video_level=None, semantic_indexing=SemanticIndexing())
    await database.write(lambda tx: prompts.insert_prompt(tx, plain))

    assert await database.read(lambda c: prompts.fetch(c, "ann", "prompt_01")) == plain


async def test_a_changed_prompt_replaces_the_old_one(database: Database) -> None:
    await database.write(lambda tx: prompts.insert_prompt(tx, PROMPT))
    changed = replace(PROMPT, name="Ships", is_active=False)

    await database.write(lambda tx: prompts.replace_prompt(tx, changed))

    assert await database.read(lambda c: prompts.fetch(c, "ann", "prompt_01")) == changed


async def test_somebody_elses_prompt_is_not_found(database: Database) -> None:
    await database.write(lambda tx: prompts.insert_prompt(tx, PROMPT))

    with pytest.raises(NotFound, match="prompt_01"):
        await database.read(lambda c: prompts.fetch(c, "bob", "prompt_01"))
    assert (
        await database.read(lambda c: prompts.list_prompts(c, "bob", include_defaults=True)) == []
    )


async def test_shipped_prompts_are_there_once_for_everybody(database: Database) -> None:
    await database.write(ensure_defaults)
    await database.write(ensure_defaults)

    listed = await database.read(lambda c: prompts.list_prompts(c, "bob", include_defaults=True))

    assert {prompt.prompt_id for prompt in listed} == {p.prompt_id for p in DEFAULT_PROMPTS}
    assert all(prompt.is_default for prompt in listed)
    assert (
        await database.read(lambda c: prompts.list_prompts(c, "bob", include_defaults=False)) == []
    )


async def test_a_shipped_prompt_that_changed_is_written_anew(database: Database) -> None:
    older = replace(DEFAULT_PROMPTS[0], prompt_text="An older wording of it all.")
    await database.write(lambda tx: prompts.insert_prompt(tx, older))

    await database.write(ensure_defaults)

    found = await database.read(lambda c: prompts.fetch(c, "bob", older.prompt_id))
    assert found == DEFAULT_PROMPTS[0]


async def test_a_shipped_prompt_is_nobodys_to_change(database: Database) -> None:
    await database.write(ensure_defaults)

    with pytest.raises(NotFound):
        await database.read(lambda c: prompts.fetch_own(c, "bob", DEFAULT_PROMPTS[0].prompt_id))


@pytest.mark.parametrize("prompt", DEFAULT_PROMPTS, ids=lambda prompt: prompt.name)
def test_a_shipped_prompt_keeps_the_rules_for_prompts(prompt: Prompt) -> None:
    check_schema(prompt.json_schema)
    assert prompt.video_level is not None
    check_schema(prompt.video_level.json_schema)
    assert 3 <= len(prompt.name) <= 100
    assert 10 <= len(prompt.prompt_text) <= 5000
    assert len(prompt.description) <= 500
    assert prompt.owner_id == DEFAULT_OWNER


async def test_a_prompt_that_no_run_asked_is_not_in_use(database: Database) -> None:
    await database.write(lambda tx: prompts.insert_prompt(tx, PROMPT))

    assert not await database.read(lambda c: prompts.in_use(c, "ann", "prompt_01"))
    await database.write(lambda tx: prompts.remove(tx, "prompt_01"))
    with pytest.raises(NotFound):
        await database.read(lambda c: prompts.fetch(c, "ann", "prompt_01"))
