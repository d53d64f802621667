"""Checks an order for a run and freezes it; the estimate makes the same checks."""

from dataclasses import dataclass

from sqlalchemy import Connection

from promptreel_server.domain.ids import RUN, new_id
from promptreel_server.domain.media import MediaItem
from promptreel_server.domain.prompt import JsonObject, Prompt
from promptreel_server.domain.run import Run, RunSettings, RunStatus
from promptreel_server.domain.target import Target, TargetType
from promptreel_server.errors import Conflict, Invalid
from promptreel_server.extractors.extractor import Extractor
from promptreel_server.extractors.json_schema.compiled import compiled
from promptreel_server.store.catalogue import indexes, media, prompts
from promptreel_server.store.runs import runs
from promptreel_server.store.schema.transaction import Transaction


@dataclass(frozen=True, kw_only=True)
class Order:
    """What a caller asks for: a prompt over a target, with settings."""

    owner_id: str
    ordered_by: str
    prompt_id: str
    target: Target
    settings: RunSettings


@dataclass(frozen=True, kw_only=True)
class Checked:
    """An order that can be carried out, with what it names."""

    order: Order
    prompt: Prompt
    media: tuple[MediaItem, ...]


@dataclass(frozen=True, kw_only=True)
class Vetted:
    """A prompt whose schemas the model of an order can be asked for."""

    prompt: Prompt


def vet(prompt: Prompt, extractor: Extractor) -> Vetted:
    """Check the schemas of a prompt; it takes CPU as a caller shapes it, so no transaction waits.

    Raises:
        Invalid: the model can't be asked for one of them, or it was stored by an earlier version
            and is refused by this one.
    """
    schemas = {"json_schema": prompt.json_schema}
    if prompt.video_level is not None:
        schemas["video_level.json_schema"] = prompt.video_level.json_schema
    for name, schema in schemas.items():
        reason = _refusal(schema, extractor)
        if reason is not None:
            raise Invalid(
                f"{extractor.model} can't be asked for the prompt's {name}: {reason}",
                details={"prompt_id": prompt.prompt_id, "model": extractor.model},
            )
    return Vetted(prompt=prompt)


def _refusal(schema: JsonObject, extractor: Extractor) -> str | None:
    try:
        compiled(schema)
        return extractor.refuse(schema)
    except Invalid as error:
        return error.message


def check(connection: Connection, order: Order, vetted: Vetted) -> Checked:
    """Look up all that an order names and refuse what can't be done.

    Raises:
        NotFound: the prompt, the index or a media item is not there.
        Invalid: the target is empty.
        Conflict: the prompt was deactivated or changed since it was vetted, or the index is being
            deleted.
    """
    prompt = prompts.fetch(connection, order.owner_id, order.prompt_id)
    if not prompt.is_active:
        raise Conflict(f"The prompt {prompt.prompt_id} is not active; update it or name another.")
    if _schemas(prompt) != _schemas(vetted.prompt):
        raise Conflict(
            f"The prompt {prompt.prompt_id} was changed while this request was made; send it again."
        )
    if order.target.type is TargetType.INDEX:
        indexes.fetch_open(connection, order.owner_id, order.target.index_id or "")
    covered = media.eligible(connection, order.owner_id, order.target)
    return Checked(order=order, prompt=prompt, media=tuple(covered))


def _schemas(prompt: Prompt) -> tuple[JsonObject, JsonObject | None]:
    level = prompt.video_level
    return prompt.json_schema, None if level is None else level.json_schema


def accept(tx: Transaction, checked: Checked) -> Run:
    """Freeze an order into a run, write it and its media list."""
    order = checked.order
    run = Run(
        run_id=new_id(RUN),
        owner_id=order.owner_id,
        prompt=checked.prompt,
        target=order.target,
        settings=order.settings,
        executed_at=tx.now,
        executed_by=order.ordered_by,
        status=RunStatus.PENDING,
    )
    runs.accept(tx, run, checked.media)
    return runs.fetch(tx.connection, order.owner_id, run.run_id)
