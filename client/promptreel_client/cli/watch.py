"""`promptreel watch`: a run as it happens, as bars, lines or JSON."""

from typing import Annotated

import typer

from promptreel_client.cli.exits import Exit, exit_for
from promptreel_client.cli.failing import CommandFailed, say
from promptreel_client.cli.progress import RunProgress
from promptreel_client.cli.safe_text import safe
from promptreel_client.cli.session import Session, connected
from promptreel_client.model.runs import RunUpdate

Run = Annotated[str, typer.Argument(metavar="RUN", help="The run, by its id.")]


@connected
def watch(
    session: Session,
    run_id: Run,
    after: Annotated[
        int,
        typer.Option(min=0, metavar="SEQUENCE", help="Leave out what happened up to here."),
    ] = 0,
) -> None:
    """Watch a run to its end: bars on a terminal, lines elsewhere; --json: one update a line.

    The exit code tells how the run ended. Ctrl-C ends the watch, not the run.
    """
    raise typer.Exit(follow(session, run_id, after=after))


def follow(session: Session, run_id: str, *, after: int = 0) -> Exit:
    """Show a run until it ends and answer the exit code it deserves.

    Raises CommandFailed where the caller stops watching; the run goes on.
    """
    try:
        status = watched(session, run_id, after=after)
    except KeyboardInterrupt as stop:
        raise CommandFailed(
            f"you stopped watching; run {run_id} goes on: promptreel watch {run_id},"
            f" or end it: promptreel cancel {run_id}",
            exit_code=Exit.INTERRUPTED,
        ) from stop
    return exit_for(status)


def watched(session: Session, run_id: str, *, after: int = 0) -> str:
    """Show a run until it ends, in the form that suits stdout, and answer its status."""
    if session.as_json:
        return _as_json(session, run_id, after)
    if session.console.is_terminal:
        return _as_bars(session, run_id, after)
    return _as_lines(session, run_id, after)


def _as_json(session: Session, run_id: str, after: int) -> str:
    status = ""
    for update in session.client.prompt_runs.watch(run_id, after_sequence=after):
        session.line(_told(update))
        if update.end is not None:
            status = str(update.end.status)
    return status


def _told(update: RunUpdate) -> dict[str, object]:
    parts = {"snapshot": update.snapshot, "event": update.event, "end": update.end}
    return {
        "sequence": update.sequence,
        **{name: part for name, part in parts.items() if part is not None},
    }


def _as_lines(session: Session, run_id: str, after: int) -> str:
    from promptreel_client.cli.lines import Lines

    lines = Lines()
    for update in session.client.prompt_runs.watch(run_id, after_sequence=after):
        for line in lines.take(update):
            print(safe(line), flush=True)
    return _close(session, run_id, lines.progress)


def _as_bars(session: Session, run_id: str, after: int) -> str:
    from promptreel_client.cli.bars import Bars

    with Bars(session.console) as bars:
        for update in session.client.prompt_runs.watch(run_id, after_sequence=after):
            bars.take(update)
    return _close(session, run_id, bars.progress)


def _close(session: Session, run_id: str, progress: RunProgress) -> str:
    from promptreel_client.cli.bars import summary

    print(f"{summary(progress)}; run {run_id} {progress.status}", flush=True)
    if progress.run is not None and progress.run.error_message:
        say(f"promptreel: {progress.run.error_message}")
    hint = "failed" if progress.failed else "results"
    session.notes.print(f"Look closer: promptreel {hint} {run_id}", style="dim")
    return progress.status
