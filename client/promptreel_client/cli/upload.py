"""`promptreel upload`: send video, audio and images to the server."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

from promptreel_client.cli import tables
from promptreel_client.cli.exits import Exit
from promptreel_client.cli.failing import CommandFailed, say
from promptreel_client.cli.session import Session, connected
from promptreel_client.model.import_jobs import ImportJob

Report = Callable[[int, int | None], None]
"""Told how many bytes were sent, of how many where that is known."""


@connected
def upload(
    session: Session,
    files: Annotated[list[Path], typer.Argument(metavar="FILE...", help="What to upload.")],
    index: Annotated[
        str | None, typer.Option(metavar="INDEX", help="Where to; without it, the playground.")
    ] = None,
    title: Annotated[
        str | None, typer.Option(help="What people call it; without it, the file's name.")
    ] = None,
) -> None:
    """Upload video, audio and images; waits until each is taken in or refused."""
    if title is not None and len(files) > 1:
        raise typer.BadParameter("a title is for one file", param_hint="--title")
    for file in files:
        if not file.is_file():
            raise CommandFailed(f"{file} is not a file")
    jobs = [upload_one(session, file, title or file.stem, index) for file in files]
    session.answer(
        jobs,
        lambda: tables.table(
            ("file", "video", "title", "status"),
            [_row(file, job) for file, job in zip(files, jobs, strict=True)],
        ),
    )
    failed = [(file, job) for file, job in zip(files, jobs, strict=True) if not job.video_ids]
    for file, job in failed:
        say(f"promptreel: {file}: {job.error_message or f'the import ended {job.status}'}")
    if failed:
        raise typer.Exit(Exit.ERROR)


def upload_one(session: Session, file: Path, title: str, index_id: str | None) -> ImportJob:
    """Upload one file under a progress bar and answer its import job once that is over."""
    with _bar(session, file.name) as report:
        job = session.client.videos.upload(
            file=file, title=title, index_id=index_id, on_progress=report
        )
        return session.client.import_jobs.wait(job.job_id)


@contextmanager
def _bar(session: Session, name: str) -> Iterator[Report]:
    from rich.progress import (
        BarColumn,
        DownloadColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
        TransferSpeedColumn,
    )

    columns = (BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn())
    with Progress(
        TextColumn("{task.description}", markup=False),
        *columns,
        console=session.notes,
        transient=True,
        disable=not session.notes.is_terminal,
    ) as progress:
        task = progress.add_task(name, total=None)
        yield lambda sent, total: progress.update(task, completed=sent, total=total)


def _row(file: Path, job: ImportJob) -> tuple[Any, ...]:
    titles = [output.title for output in job.outputs.items]
    return file.name, ", ".join(job.video_ids), ", ".join(titles), tables.status(job.status)
