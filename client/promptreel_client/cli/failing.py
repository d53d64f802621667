"""How a command says that it can't: one sentence on stderr and an exit code."""

import sys

from promptreel_client.cli.exits import Exit
from promptreel_client.cli.safe_text import safe


class CommandFailed(Exception):
    """A command can't do what it was asked; the message is the sentence to show."""

    def __init__(self, message: str, *, exit_code: Exit = Exit.ERROR) -> None:
        super().__init__(message)
        self.exit_code = exit_code


def say(message: str) -> None:
    """Write one line to stderr, away from what scripts read."""
    print(safe(message), file=sys.stderr, flush=True)
