"""Prompts: what is asked of each segment, those of an owner and those that ship."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, delete, exists, insert, select, update

from promptreel_server.domain.prompt import (
    DEFAULT_OWNER,
    JsonObject,
    Prompt,
    SemanticIndexing,
    VideoLevel,
)
from promptreel_server.errors import NotFound
from promptreel_server.store.schema.tables import prompts, runs
from promptreel_server.store.schema.transaction import Transaction


def insert_prompt(tx: Transaction, prompt: Prompt) -> None:
    """Keep a new prompt."""
    tx.execute(
        insert(prompts).values(
            prompt_id=prompt.prompt_id,
            owner_id=prompt.owner_id,
            body=to_json(prompt),
            is_active=prompt.is_active,
            created_at=prompt.created_at,
        )
    )


def replace_prompt(tx: Transaction, prompt: Prompt) -> None:
    """Write a prompt anew; runs that were accepted keep what they froze."""
    tx.execute(
        update(prompts)
        .where(prompts.c.prompt_id == prompt.prompt_id, prompts.c.owner_id == prompt.owner_id)
        .values(body=to_json(prompt), is_active=prompt.is_active)
    )


def fetch(connection: Connection, owner_id: str, prompt_id: str) -> Prompt:
    """Answer a prompt of an owner, or one that ships; inactive ones too.

    Raises:
        NotFound: there is no such prompt for this owner.
    """
    statement = select(prompts).where(
        prompts.c.prompt_id == prompt_id, prompts.c.owner_id.in_((owner_id, DEFAULT_OWNER))
    )
    return _one(connection.execute(statement).one_or_none(), prompt_id)


def fetch_own(connection: Connection, owner_id: str, prompt_id: str) -> Prompt:
    """Answer a prompt that the owner may change: one that ships is nobody's.

    Raises:
        NotFound: the owner has no such prompt.
    """
    statement = select(prompts).where(
        prompts.c.prompt_id == prompt_id, prompts.c.owner_id == owner_id
    )
    return _one(connection.execute(statement).one_or_none(), prompt_id)


def list_prompts(connection: Connection, owner_id: str, *, include_defaults: bool) -> list[Prompt]:
    """Answer the prompts of an owner, newest first, then those that ship; inactive ones too."""
    owners: Sequence[str] = (owner_id, DEFAULT_OWNER) if include_defaults else (owner_id,)
    statement = (
        select(prompts)
        .where(prompts.c.owner_id.in_(owners))
        .order_by(
            prompts.c.owner_id == DEFAULT_OWNER,
            prompts.c.created_at.desc(),
            prompts.c.prompt_id.desc(),
        )
    )
    return [_prompt(row) for row in connection.execute(statement)]


def in_use(connection: Connection, owner_id: str, prompt_id: str) -> bool:
    """Tell whether a run of this owner asked this prompt."""
    used = select(runs.c.run_id).where(runs.c.prompt_id == prompt_id, runs.c.owner_id == owner_id)
    return bool(connection.execute(select(exists(used))).scalar())


def remove(tx: Transaction, prompt_id: str) -> None:
    """Forget a prompt; runs that were accepted keep what they froze."""
    tx.execute(delete(prompts).where(prompts.c.prompt_id == prompt_id))


def ensure(tx: Transaction, wanted: Sequence[Prompt]) -> None:
    """Insert the prompts that are missing, and write those anew that have changed."""
    statement = select(prompts).where(
        prompts.c.prompt_id.in_([prompt.prompt_id for prompt in wanted])
    )
    stored = {row.prompt_id: row.body for row in tx.execute(statement)}
    for prompt in wanted:
        if prompt.prompt_id not in stored:
            insert_prompt(tx, prompt)
        elif stored[prompt.prompt_id] != to_json(prompt):
            replace_prompt(tx, prompt)


def to_json(prompt: Prompt) -> dict[str, Any]:
    """Turn what a prompt asks into JSON; its id, owner, state and age are kept beside it."""
    return {
        "name": prompt.name,
        "description": prompt.description,
        "prompt_text": prompt.prompt_text,
        "json_schema": dict(prompt.json_schema),
        "video_level": _level_json(prompt.video_level),
        "disabled_segment_fields": list(prompt.semantic_indexing.disabled_segment_fields),
        "disabled_video_level_fields": list(prompt.semantic_indexing.disabled_video_level_fields),
    }


def from_json(
    body: JsonObject, *, prompt_id: str, owner_id: str, is_active: bool, created_at: datetime
) -> Prompt:
    """Turn stored JSON, and what is kept beside it, back into a prompt."""
    level = body["video_level"]
    return Prompt(
        prompt_id=prompt_id,
        owner_id=owner_id,
        name=body["name"],
        description=body["description"],
        prompt_text=body["prompt_text"],
        json_schema=body["json_schema"],
        video_level=None if level is None else _level(level),
        semantic_indexing=SemanticIndexing(
            disabled_segment_fields=tuple(body["disabled_segment_fields"]),
            disabled_video_level_fields=tuple(body["disabled_video_level_fields"]),
        ),
        is_active=is_active,
        created_at=created_at,
    )


def _one(row: Row[Any] | None, prompt_id: str) -> Prompt:
    if row is None:
        raise NotFound(
            f"No prompt {prompt_id}; list the prompts to see which there are.",
            details={"prompt_id": prompt_id},
        )
    return _prompt(row)


def _prompt(row: Row[Any]) -> Prompt:
    return from_json(
        row.body,
        prompt_id=row.prompt_id,
        owner_id=row.owner_id,
        is_active=row.is_active,
        created_at=row.created_at,
    )


def _level_json(level: VideoLevel | None) -> dict[str, Any] | None:
    if level is None:
        return None
    return {
        "instructions_text": level.instructions_text,
        "json_schema": dict(level.json_schema),
        "included_segment_fields": list(level.included_segment_fields),
    }


def _level(body: JsonObject) -> VideoLevel:
    return VideoLevel(
        instructions_text=body["instructions_text"],
        json_schema=body["json_schema"],
        included_segment_fields=tuple(body["included_segment_fields"]),
    )
