"""Schemas that were stored before the rules of today: execute refuses them, outside the writer."""

from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest

from promptreel_server.domain.ids import PROMPT, new_id
from promptreel_server.domain.prompt import Prompt
from promptreel_server.errors import Conflict, Invalid
from promptreel_server.store.catalogue import prompts
from promptreel_server.store.database.database import Database
from tests.engines import Rig, rig


@pytest.fixture
async def running(database: Database) -> AsyncIterator[Rig]:
    async with rig(database) as made:
        yield made


async def _stored(running: Rig, schema: dict[str, Any]) -> Prompt:
    """Write a prompt past the checks, as an earlier version may have."""
    made = replace(await running.prompt(), prompt_id=new_id(PROMPT), json_schema=schema)
    await running.database.write(lambda tx: prompts.insert_prompt(tx, made))
    return made


@pytest.mark.parametrize(
    "node",
    [
        {"if": {"$ref": "#"}},
        {"if": {"$ref": "#/properties/a"}},
        {"type": "array", "minItems": 1_000_000_000},
        {"type": "array", "minItems": 1000, "items": {"type": "array", "minItems": 1000}},
        {"type": "string", "minLength": 1_000_000_000},
        {"default": {"$dynamicRef": "file:///etc/secret.json#/password"}, "$ref": "#/x"},
        {"$schema": "http://json-schema.org/draft-07/schema#", "pattern": "(a|a)*b"},
        {"type": [["string"]]},
    ],
)
async def test_a_run_of_a_schema_that_can_not_be_asked_is_refused_and_calls_go_on(
    running: Rig, node: dict[str, Any]
) -> None:
    video = await running.add(seconds=10)
    prompt = await _stored(running, {"type": "object", "properties": {"a": node}})
    with pytest.raises(Invalid, match="can't be asked for the prompt's json_schema"):
        await running.accept(running.order(prompt, [video]))
    run = await running.execute(await running.prompt(), [video])
    assert (await running.ended(run.run_id)).failed_segments == 0


async def test_a_prompt_that_changes_after_its_schema_was_checked_is_no_longer_executed(
    running: Rig,
) -> None:
    """The transaction compares the prompt that it finds with the one that was checked."""
    video, prompt = await running.add(seconds=10), await running.prompt()
    order = running.order(prompt, [video])
    vetted = await running.engine.vet(order)
    changed = {"type": "object", "properties": {"other": {"type": "string"}}}
    await running.database.write(
        lambda tx: prompts.replace_prompt(tx, replace(prompt, json_schema=changed))
    )
    with pytest.raises(Conflict, match="was changed while"):
        await running.database.write(lambda tx: running.engine.accept(tx, order, vetted))
