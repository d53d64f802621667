"""`promptreel prompts`: create, list, show and delete prompts."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Group, RenderableType
from rich.json import JSON

from promptreel_client.cli import tables
from promptreel_client.cli.failing import CommandFailed
from promptreel_client.cli.session import Session, connected
from promptreel_client.model.prompts import Prompt

app = typer.Typer(no_args_is_help=True, help="Create, list, show and delete prompts.")

_Prompt = Annotated[str, typer.Argument(metavar="PROMPT", help="The prompt, by its id.")]


@app.command()
@connected
def create(
    session: Session,
    name: Annotated[str, typer.Option(help="What people call it, 3 to 100 characters.")],
    text: Annotated[
        str, typer.Option(help="What is asked of each segment; `@FILE` reads it from a file.")
    ],
    schema: Annotated[
        Path,
        typer.Option(metavar="FILE", help="The JSON Schema of a segment's fields, as a JSON file."),
    ],
    video_level: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="What is asked of the media item as a whole: a JSON file with"
            " `instructions_text`, `json_schema` and, if wanted, `included_segment_fields`.",
        ),
    ] = None,
    description: Annotated[str | None, typer.Option(help="What it is for.")] = None,
) -> None:
    """Create a prompt."""
    prompt = session.client.prompts.create(
        name=name,
        prompt_text=_text(text),
        json_schema=_object(schema),
        description=description,
        video_level=_object(video_level) if video_level else None,
    )
    session.answer(prompt, lambda: tables.facts(_facts(prompt), title="Prompt"))


@app.command("list")
@connected
def list_prompts(
    session: Session,
    active_only: Annotated[bool, typer.Option(help="Leave deactivated ones out.")] = True,
    defaults: Annotated[bool, typer.Option(help="Include those that ship.")] = True,
) -> None:
    """List prompts: yours, and those that ship with the server."""
    prompts = session.client.prompts.list(active_only=active_only, include_defaults=defaults)
    session.answer(
        prompts,
        lambda: tables.table(
            ("prompt", "name", "fields", "synthesis", "created", "description"),
            [
                (
                    one.prompt_id,
                    one.name,
                    ", ".join(one.json_schema.get("properties", {})),
                    "yes" if one.video_level else "no",
                    one.created_at,
                    one.description,
                )
                for one in prompts
            ],
        ),
    )


@app.command()
@connected
def show(session: Session, prompt_id: _Prompt) -> None:
    """Show a prompt with its schemas."""
    prompt = session.client.prompts.retrieve(prompt_id)
    session.answer(
        prompt,
        lambda: Group(
            tables.facts([*_facts(prompt), ("text", prompt.prompt_text)], title="Prompt"),
            JSON.from_data(prompt.json_schema),
            *_synthesis(prompt),
        ),
    )


@app.command()
@connected
def delete(
    session: Session,
    prompt_id: _Prompt,
    force: Annotated[bool, typer.Option(help="Even if runs use it: it is deactivated.")] = False,
) -> None:
    """Delete a prompt; one that runs use is deactivated, not lost."""
    message = session.client.prompts.delete(prompt_id, force=force)
    session.answer({"prompt_id": prompt_id, "message": message}, lambda: message)


def _facts(prompt: Prompt) -> list[tuple[str, Any]]:
    return [
        ("prompt", prompt.prompt_id),
        ("name", prompt.name),
        ("description", prompt.description),
        ("active", "yes" if prompt.is_active else "no"),
        ("created", prompt.created_at),
    ]


def _synthesis(prompt: Prompt) -> list[RenderableType]:
    if not prompt.video_level:
        return []
    level = prompt.video_level
    return [
        tables.facts([("text", level.instructions_text)], title="Synthesis"),
        JSON.from_data(level.json_schema),
    ]


def _text(given: str) -> str:
    if not given.startswith("@"):
        return given
    try:
        return Path(given[1:]).read_text(encoding="utf-8")
    except OSError as error:
        raise CommandFailed(f"{given[1:]} can't be read: {error.strerror}") from error


def _object(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise CommandFailed(f"{path} can't be read: {error.strerror}") from error
    except ValueError as error:
        raise CommandFailed(f"{path} is not JSON: {error}") from error
    if not isinstance(found, dict):
        raise CommandFailed(f"{path} must hold a JSON object")
    return found
