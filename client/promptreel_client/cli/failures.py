"""`promptreel failed` and `promptreel retry`: what failed in a run, and another attempt at it."""

from typing import Annotated, Any

import typer
from rich.console import Group, RenderableType
from rich.text import Text

from promptreel_client.cli import tables
from promptreel_client.cli.failing import say
from promptreel_client.cli.session import Session, connected
from promptreel_client.cli.watch import Run, follow
from promptreel_client.model.failures import (
    FailedSegment,
    FailedSegmentManifest,
    FailedVideo,
    RetriedSegments,
    Retry,
)


@connected
def failed(session: Session, run_id: Run) -> None:
    """Show what stands failed in a run, why, and whether a retry can help."""
    manifest = session.client.prompt_runs.get_failed_segments(run_id)
    session.answer(manifest, lambda: _manifest(manifest))
    if manifest.truncated:
        say("The manifest is longer than one answer holds; these are its first media items.")


@connected
def retry(
    session: Session,
    run_id: Run,
    video_id: Annotated[
        str | None, typer.Argument(metavar="VIDEO", help="With SEGMENT: retry this one alone.")
    ] = None,
    segment_id: Annotated[
        str | None, typer.Argument(metavar="SEGMENT", help="The segment.")
    ] = None,
    code: Annotated[
        list[str] | None,
        typer.Option(metavar="CODE", help="Only what failed with this code; repeatable."),
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Also where a retry is not expected to help.")
    ] = False,
    watch: Annotated[bool, typer.Option(help="Watch the run until the retries are over.")] = False,
) -> None:
    """Attempt the operations that failed once more, with the run's own settings.

    Without VIDEO and SEGMENT, everything that stands failed in the run.
    """
    if video_id is None:
        _retry_all(session, run_id, code or [], force=force)
    elif segment_id is None or code:
        raise typer.BadParameter("name VIDEO and SEGMENT together, without --code, or neither")
    else:
        one = session.client.prompt_runs.retry_segment(run_id, video_id, segment_id, force=force)
        session.answer(one, lambda: _retries([one]))
    if watch:
        raise typer.Exit(follow(session, run_id))


def _retry_all(session: Session, run_id: str, codes: list[str], *, force: bool) -> None:
    retried = session.client.prompt_runs.retry_failed(run_id, failure_codes=codes, force=force)
    session.answer(retried, lambda: _retried(retried))


def _manifest(manifest: FailedSegmentManifest) -> RenderableType:
    counts = manifest.operation_counts
    named: tuple[tuple[str, int], ...] = (
        ("field extraction", counts.field_extraction),
        ("transcription", counts.transcription),
        ("image embedding", counts.image_embedding),
        ("processing", counts.processing),
    )
    by_operation = ", ".join(f"{count} {name}" for name, count in named if count)
    heading = Text.assemble(
        (f"{manifest.failed_segments} failed segments", "bold"),
        f" in {manifest.videos_with_failures} media items",
        f" ({by_operation})" if by_operation else "",
        "  run ",
        tables.status(manifest.status),
    )
    return Group(heading, *(_failed_video(video) for video in manifest.videos))


def _failed_video(video: FailedVideo) -> RenderableType:
    return tables.table(
        ("time", "segment", "what failed, and why"),
        [_failed_segment(segment) for segment in video.segments],
        title=video.video_id,
    )


def _failed_segment(segment: FailedSegment) -> tuple[Any, ...]:
    return (
        tables.span(segment.start_time, segment.end_time),
        segment.segment_id,
        _what_failed(segment),
    )


def _what_failed(segment: FailedSegment) -> Text:
    """One paragraph, which fits beside an id however narrow the terminal is."""
    operations = ", ".join(str(one).replace("_", " ") for one in segment.failed_operations)
    attempts = f"{segment.attempts} attempt{'' if segment.attempts == 1 else 's'}"
    mend = "a retry may help" if segment.retryable else "a retry needs --force"
    return Text.assemble(
        (str(segment.failure_code or "failed"), "red"),
        f" in {operations or 'processing'}, {attempts}, {mend}. ",
        segment.failure_message or "",
    )


def _retried(retried: RetriedSegments) -> RenderableType:
    if not retried.retry_count and not retried.skipped_count:
        return "Nothing to retry."
    parts: list[RenderableType] = [
        f"{retried.retry_count} retries accepted, {retried.skipped_count} segments left out"
    ]
    if retried.retries:
        parts.append(_retries(list(retried.retries)))
    if retried.skipped:
        rows = [(one.segment_id, one.reason) for one in retried.skipped]
        parts.append(tables.table(("segment", "left out because"), rows))
    return Group(*parts)


def _retries(retries: list[Retry]) -> RenderableType:
    rows = [
        (one.retry_id, one.video_id, one.segment_id, tables.status(one.status)) for one in retries
    ]
    return tables.table(("retry", "video", "segment", "status"), rows)
