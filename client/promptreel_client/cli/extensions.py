"""Commands that the server's distribution brings, found by entry point so that nothing is imported.

The client never imports the server: an installed `promptreel` without the `server` extra lists
these commands and says, when one is called, what to install.
"""

from typing import Any

from promptreel_client.cli.failing import CommandFailed

GROUP = "promptreel.commands"

_INSTALL = "install it with: pip install 'promptreel[server]'"


def load_extension(name: str) -> Any:
    """Load the Typer app or function registered under a name.

    Raises CommandFailed where nothing is, and ModuleNotFoundError where it needs what is missing.
    """
    from importlib.metadata import entry_points  # slow to load: only for these commands

    for point in entry_points(group=GROUP, name=name):
        return point.load()
    raise CommandFailed(f"`promptreel {name}` is part of the server; {_INSTALL}")


def missing(error: ModuleNotFoundError) -> CommandFailed | None:
    """Say what to install for a module that is missing; None for one of ours, which is a bug."""
    top = (error.name or "promptreel").partition(".")[0]
    if top.startswith("promptreel"):
        return None
    return CommandFailed(f"this needs {top}, which is not installed; {_INSTALL}")
