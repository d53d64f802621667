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

    Raises CommandFailed, naming what to install, where it or something it needs is missing.
    """
    from importlib.metadata import entry_points  # slow to load: only for these commands

    for point in entry_points(group=GROUP, name=name):
        try:
            return point.load()
        except ModuleNotFoundError as error:
            raise CommandFailed(
                f"`promptreel {name}` needs {error.name}, which is not installed; {_INSTALL}"
            ) from error
    raise CommandFailed(f"`promptreel {name}` is part of the server; {_INSTALL}")
