"""What the command's exit code tells a script."""

from enum import IntEnum


class Exit(IntEnum):
    """The exit codes, a sentence each."""

    DONE = 0
    """What was asked for is done."""
    ERROR = 1
    """It could not be done; one sentence on stderr says why."""
    USAGE = 2
    """The command line says something it can't mean."""
    WITH_FAILURES = 3
    """The run is over; some of it failed, some succeeded."""
    INTERRUPTED = 130
    """The caller stopped it with Ctrl-C."""


_BY_STATUS = {
    "completed": Exit.DONE,
    "completed_with_failures": Exit.WITH_FAILURES,
    "failed": Exit.ERROR,
    "cancelled": Exit.ERROR,
}


def exit_for(status: str) -> Exit:
    """Answer the exit code of a command that saw a run to its end, by the run's status."""
    return _BY_STATUS.get(status, Exit.ERROR)
