"""What every command that talks to a server has: where the server is, who asks, how to answer."""

import inspect
import json
import os
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from functools import cached_property
from itertools import islice
from typing import TYPE_CHECKING, Annotated, Any

import typer

from promptreel_client.cli.failing import say
from promptreel_client.cli.plain import plain
from promptreel_client.cli.safe_text import safe_console, safe_json

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

    from promptreel_client import Client

Address = Annotated[
    str | None,
    typer.Option(
        "--address",
        metavar="HOST:PORT",
        help="The server's gRPC address.",
        envvar="PROMPTREEL_ADDRESS",
        show_envvar=True,
        rich_help_panel="Connection",
    ),
]
ApiKey = Annotated[
    str | None,
    typer.Option(
        "--api-key",
        metavar="KEY",
        help="The API key; the environment keeps it out of the process list.",
        envvar="PROMPTREEL_API_KEY",
        show_envvar=True,
        rich_help_panel="Connection",
    ),
]
Json = Annotated[
    bool, typer.Option("--json", help="Print JSON for scripts, and nothing else, on stdout.")
]

Limit = Annotated[int, typer.Option(min=0, help="Show at most so many; 0 shows all.")]

_PIPED_WIDTH = 180
"""Columns where there is no terminal that has a width."""


class Session:
    """One command's connection and its two ways to answer: for people and for scripts."""

    def __init__(self, *, address: str | None, api_key: str | None, as_json: bool) -> None:
        self._address = address
        self._api_key = api_key
        self.as_json = as_json
        self._open = ExitStack()

    @cached_property
    def client(self) -> "Client":
        """The client, connected when first asked for."""
        from promptreel_client import Client  # gRPC takes longer to load than most commands to run

        return self._open.enter_context(Client(address=self._address, api_key=self._api_key))

    @cached_property
    def console(self) -> "Console":
        """Where people read results: stdout."""
        console = safe_console(highlight=False)
        if not console.is_terminal and "COLUMNS" not in os.environ:
            console.width = _PIPED_WIDTH
        return console

    @cached_property
    def notes(self) -> "Console":
        """Where progress and asides go: stderr."""
        return safe_console(stderr=True, highlight=False)

    def answer(self, value: object, shown: Callable[[], "RenderableType"]) -> None:
        """Answer once: as JSON, or as what `shown` makes of it for people."""
        if self.as_json:
            print(safe_json(json.dumps(plain(value), indent=2, ensure_ascii=False)))
        else:
            self.console.print(shown())

    def line(self, value: object) -> None:
        """Write one JSON value on a line of its own, at once."""
        print(safe_json(json.dumps(plain(value), ensure_ascii=False)), flush=True)

    def first(self, items: Iterable[Any], limit: int) -> list[Any]:
        """Take so many items of what may be many pages (0: all); says if some are left."""
        pages = iter(items)
        if limit == 0:
            return list(pages)
        taken = list(islice(pages, limit))
        if len(taken) == limit and next(pages, None) is not None:
            say(f"These are the first {limit}; --limit 0 shows all.")
        return taken

    def close(self) -> None:
        """Close the connection, where there is one."""
        self._open.close()


def connected(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options of a connection; it gets a session in place of them, first."""

    def run(*, address: Any, api_key: Any, as_json: Any, **given: Any) -> None:
        session = Session(address=address, api_key=api_key, as_json=as_json)
        try:
            command(session, **given)
        finally:
            session.close()

    shown: Any = run
    shown.__name__, shown.__doc__ = command.__name__, command.__doc__
    shown.__annotations__ = {}  # Typer reads the signature alone, then
    shown.__signature__ = _with_connection(command)
    return run


def _with_connection(command: Callable[..., None]) -> inspect.Signature:
    own = list(inspect.signature(command).parameters.values())[1:]
    shared = (("address", Address, None), ("api_key", ApiKey, None), ("as_json", Json, False))
    added = [
        inspect.Parameter(
            name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation
        )
        for name, annotation, default in shared
    ]
    keyword_only = [one.replace(kind=inspect.Parameter.KEYWORD_ONLY) for one in own]
    return inspect.Signature([*keyword_only, *added])
