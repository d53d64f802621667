"""A command group that loads a command when it is called, not when it is listed."""

from importlib import import_module
from typing import Any

from typer import Typer
from typer.core import TyperCommand, TyperGroup
from typer.main import get_group

from promptreel_client.cli.contents import CONTENTS
from promptreel_client.cli.extensions import load_extension


class LazyGroup(TyperGroup):
    """Lists the commands of `CONTENTS` by their sentences and loads the one that is called."""

    def __init__(self, **attributes: Any) -> None:
        super().__init__(**attributes)
        for name, entry in CONTENTS.items():
            self.add_command(TyperCommand(name, help=entry.help), name)
        self._loaded: set[str] = set()

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Find the command that the first argument names, loaded."""
        name = args[0]
        if name in CONTENTS and name not in self._loaded:
            self.add_command(_load(name), name)
            self._loaded.add(name)
        return super().resolve_command(ctx, args)


def _load(name: str) -> Any:
    entry = CONTENTS[name]
    if entry.place is None:
        brought = load_extension(name)
    else:
        module, _, attribute = entry.place.partition(":")
        brought = getattr(import_module(f"promptreel_client.cli.{module}"), attribute)
    return as_command(name, brought, entry.help)


def as_command(name: str, brought: Any, sentence: str) -> Any:
    """Make a command of that name out of a Typer app or a function, with plain help."""
    holder = Typer(add_completion=False, rich_markup_mode=None)
    if isinstance(brought, Typer):
        holder.add_typer(brought, name=name)
    else:
        holder.command(name, help=brought.__doc__ or sentence)(brought)
    return get_group(holder).commands[name]
