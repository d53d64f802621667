"""The command's way in: one group, one place where errors become a sentence and an exit code."""

import os
import sys
from typing import Annotated

import typer

from promptreel_client.cli.exits import Exit
from promptreel_client.cli.extensions import missing
from promptreel_client.cli.failing import CommandFailed, say
from promptreel_client.cli.lazy import LazyGroup

app = typer.Typer(
    cls=LazyGroup,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # rich panels would triple the time that `--help` takes
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version  # slow to load, and seldom asked for

        print(f"promptreel {version('promptreel')}")
        raise typer.Exit


@app.callback()
def promptreel(
    _version: Annotated[
        bool,
        typer.Option("--version", callback=_print_version, is_eager=True, help="Show the version."),
    ] = False,
) -> None:
    """Run extraction prompts over video, audio and images, and read the evidence."""


def main(arguments: list[str] | None = None) -> None:
    """Run the command that the arguments name (None: those of the process), then exit."""
    try:
        app(args=arguments, prog_name="promptreel")
    except BrokenPipeError:
        # Whoever read stdout has enough, as `| head` does: nothing more can be written to it.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(Exit.ERROR)
    except Exception as error:
        failed = _failed(error)
        if failed is None:
            raise
        say(f"promptreel: {failed}")
        sys.exit(failed.exit_code)


def _failed(error: Exception) -> CommandFailed | None:
    """Answer what to tell the caller; None for what nobody foresaw, which is shown whole."""
    if isinstance(error, CommandFailed):
        return error
    if isinstance(error, ModuleNotFoundError):
        return missing(error)
    from promptreel_client.errors import PromptreelError  # only once something failed

    if not isinstance(error, PromptreelError):
        return None
    request = f" (request {error.request_id})" if error.request_id else ""
    return CommandFailed(f"{error.message}{request}")
