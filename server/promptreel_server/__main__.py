"""The operator's commands: `serve`, `settings` and `keys`, on the machine that holds the data."""

import asyncio
import json
import logging
import os
import sys
from collections.abc import Awaitable
from dataclasses import asdict
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, NoReturn, TypeVar

import typer
from rich.console import Console
from rich.table import Column, Table

from promptreel_server import settings as settings_module
from promptreel_server.domain.key import ApiKey, Scope
from promptreel_server.errors import PromptreelError
from promptreel_server.settings import Loaded

Result = TypeVar("Result")

# Children of this server exec at once (ffmpeg, Envoy, models): gRPC needs no handlers of fork.
os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")

app = typer.Typer(no_args_is_help=True, add_completion=False)
keys = typer.Typer(no_args_is_help=True, help="Make, list and revoke API keys of a data folder.")
app.add_typer(keys, name="keys")

DataFolder = Annotated[
    Path | None, typer.Option("--data", help="Data folder; else PROMPTREEL_DATA.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@app.command()
def serve(
    data: DataFolder = None,
    host: Annotated[str | None, typer.Option(help="Address to listen on.")] = None,
    rest_port: Annotated[int | None, typer.Option(help="Port of the gateway; 0: any.")] = None,
    grpc_port: Annotated[int | None, typer.Option(help="Port of gRPC; 0: any.")] = None,
    no_gateway: Annotated[bool, typer.Option("--no-gateway", help="gRPC alone.")] = False,
) -> None:
    """Serve until SIGTERM or Ctrl-C; prints one line when it is ready."""
    loaded = _load(
        data=data,
        host=host,
        rest_port=rest_port,
        grpc_port=grpc_port,
        gateway=False if no_gateway else None,
    )
    from promptreel_server import app as composition

    composition.write_log(loaded.settings.log_level, sys.stderr)
    _run(composition.serve(loaded.settings, _announce))


def _announce(serving: Any) -> None:
    if serving.first_key is not None:
        print(f"First start: your admin key, shown this once: {serving.first_key}")
    addresses = [f"gRPC on {serving.grpc_address}"]
    if serving.rest_address is not None:
        addresses.insert(0, f"REST on {serving.rest_address}")
    print(f"Promptreel is ready: {', '.join(addresses)}", flush=True)


@app.command()
def settings(data: DataFolder = None, as_json: AsJson = False) -> None:
    """Print every setting with its value, where it comes from and what it means."""
    rows = settings_module.shown(_load(data=data))
    if as_json:
        print(json.dumps([asdict(row) for row in rows], indent=2))
        return
    name = Column("setting", no_wrap=True)
    table = Table(name, Column("value", overflow="fold"), "origin", "meaning")
    for row in rows:
        table.add_row(row.name, row.value, row.origin, row.meaning)
    Console().print(table)


@keys.command("create")
def create_key(
    name: Annotated[str, typer.Option(help="What the key is called.")],
    scope: Annotated[str, typer.Option(help="search, read, write or admin.")] = "read",
    owner: Annotated[str | None, typer.Option(help="Whose it is; else the local owner.")] = None,
    expires_in_days: Annotated[int | None, typer.Option(min=1, help="Else never.")] = None,
    data: DataFolder = None,
) -> None:
    """Make a key and print it, alone: it is shown this once."""
    if scope.upper() not in Scope.__members__:
        _fail(f"--scope is one of {', '.join(name.lower() for name in Scope.__members__)}.", 2)
    print(_run(_create_key(data, name, Scope[scope.upper()], owner, expires_in_days)))


async def _create_key(
    data: Path | None, name: str, scope: Scope, owner: str | None, days: int | None
) -> str:
    from promptreel_server.app import OWNER, opened
    from promptreel_server.store.access import api_keys as stored

    secret = stored.new_secret()
    async with opened(_load(data=data).settings, exclusive=False) as database:
        expires = database.clock() + timedelta(days=days) if days else None
        await database.write(
            lambda tx: stored.create(
                tx,
                owner_id=owner or OWNER,
                name=name,
                scope=scope,
                secret=secret,
                expires_at=expires,
            )
        )
    return secret


@keys.command("list")
def list_keys(
    owner: Annotated[str | None, typer.Option(help="Whose; else the local owner.")] = None,
    data: DataFolder = None,
    as_json: AsJson = False,
) -> None:
    """List keys, without their secrets."""
    rows = [_key_row(key) for key in _run(_list_keys(data, owner))]
    if as_json:
        print(json.dumps(rows, indent=2))
        return
    table = Table("key", "name", "scope", "begins", "created", "revoked")
    for row in rows:
        table.add_row(*(str(value or "") for value in row.values()))
    Console().print(table)


async def _list_keys(data: Path | None, owner: str | None) -> list[ApiKey]:
    from promptreel_server.app import OWNER, opened
    from promptreel_server.store.access import api_keys as stored

    async with opened(_load(data=data).settings, exclusive=False) as database:
        return await database.read(lambda c: stored.list_keys(c, owner or OWNER))


def _key_row(key: ApiKey) -> dict[str, str | None]:
    return {
        "key_id": key.key_id,
        "name": key.name,
        "scope": key.scope.name.lower(),
        "prefix": key.prefix,
        "created_at": key.created_at.isoformat(),
        "revoked_at": key.revoked_at.isoformat() if key.revoked_at else None,
    }


@keys.command("revoke")
def revoke_key(
    key_id: Annotated[str, typer.Argument(help="As `keys list` names it.")],
    owner: Annotated[str | None, typer.Option(help="Whose; else the local owner.")] = None,
    data: DataFolder = None,
) -> None:
    """Revoke a key; a running server lets it in for five more seconds at the most."""
    _run(_revoke_key(data, owner, key_id))
    print(f"{key_id} is revoked.")


async def _revoke_key(data: Path | None, owner: str | None, key_id: str) -> None:
    from promptreel_server.app import OWNER, opened
    from promptreel_server.store.access import api_keys as stored

    async with opened(_load(data=data).settings, exclusive=False) as database:
        await database.write(lambda tx: stored.revoke(tx, owner or OWNER, key_id))


def _load(**options: Any) -> Loaded:
    try:
        return settings_module.load(options)
    except PromptreelError as error:
        _fail(error.message, 2)


def _run(work: Awaitable[Result]) -> Result:
    """Run to the end, on uvloop where there is one; an error of ours is a sentence, and exit 1."""
    try:
        import uvloop

        runner = asyncio.Runner(loop_factory=uvloop.new_event_loop)
    except ImportError:
        runner = asyncio.Runner()
    with runner:
        try:
            return runner.run(_awaited(work))
        except PromptreelError as error:
            _fail(error.message, 1)


async def _awaited(work: Awaitable[Result]) -> Result:
    try:
        return await work
    except BaseExceptionGroup as group:
        ours, others = group.split(PromptreelError)
        if ours is None or others is not None:
            raise
        raise _first(ours) from group


def _first(group: BaseException) -> BaseException:
    return _first(group.exceptions[0]) if isinstance(group, BaseExceptionGroup) else group


def _fail(message: str, code: int) -> NoReturn:
    print(message, file=sys.stderr)
    raise typer.Exit(code)


def main() -> None:
    """Run a command."""
    logging.captureWarnings(True)
    app()


if __name__ == "__main__":
    main()
