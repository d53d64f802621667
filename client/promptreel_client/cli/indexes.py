"""`promptreel indexes`: create, list, show and delete indexes."""

from typing import Annotated, Any

import typer
from rich.console import Group
from rich.table import Table

from promptreel_client.cli import tables
from promptreel_client.cli.session import Limit, Session, connected
from promptreel_client.model.indexes import Index
from promptreel_client.model.videos import Video

app = typer.Typer(no_args_is_help=True, help="Create, list, show and delete indexes.")

_Index = Annotated[str, typer.Argument(metavar="INDEX", help="The index, by its id.")]


@app.command()
@connected
def create(
    session: Session,
    name: Annotated[str, typer.Argument(help="What people call it.")],
) -> None:
    """Create an index."""
    index = session.client.indexes.create(name)
    session.answer(index, lambda: tables.facts(_facts(index), title="Index"))


@app.command("list")
@connected
def list_indexes(session: Session) -> None:
    """List your indexes."""
    indexes = list(session.client.indexes.list())
    session.answer(
        indexes,
        lambda: tables.table(
            ("index", "name", "created", "description"),
            [(one.index_id, one.name, one.created_at, one.description) for one in indexes],
        ),
    )


@app.command()
@connected
def show(session: Session, index_id: _Index, limit: Limit = 50) -> None:
    """Show an index and the media in it."""
    index = session.client.indexes.retrieve(index_id)
    videos = session.first(session.client.indexes.list_videos(index_id), limit)
    session.answer(
        {"index": index, "videos": videos},
        lambda: Group(tables.facts(_facts(index), title="Index"), video_table(videos)),
    )


@app.command()
@connected
def delete(
    session: Session,
    index_id: _Index,
    sure: Annotated[bool, typer.Option("--yes", help="Don't ask.")] = False,
) -> None:
    """Delete an index with all its media and what was extracted from them."""
    if not sure:
        typer.confirm(f"Delete index {index_id} with all its media?", abort=True, err=True)
    deletion = session.client.indexes.delete(index_id)
    session.answer(deletion, lambda: f"Index {index_id}: {deletion.status}")


def video_table(videos: list[Video]) -> Table:
    """Show media items as a table."""
    return tables.table(
        ("video", "title", "type", ">length", "status"),
        [
            (
                one.video_id,
                one.title,
                one.media_type,
                tables.clock(one.duration_seconds) if one.duration_seconds else "",
                tables.status(one.status),
            )
            for one in videos
        ],
    )


def _facts(index: Index) -> list[tuple[str, Any]]:
    return [
        ("index", index.index_id),
        ("name", index.name),
        ("description", index.description),
        ("created", index.created_at),
    ]
