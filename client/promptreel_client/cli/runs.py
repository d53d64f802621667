"""`promptreel runs` and `promptreel cancel`: what was run, and the wish to stop it."""

from typing import Annotated

import typer
from rich.table import Table

from promptreel_client.cli import tables
from promptreel_client.cli.session import Limit, Session, connected
from promptreel_client.model.runs import PromptRun


@connected
def runs(
    session: Session,
    run_id: Annotated[
        str | None, typer.Argument(metavar="RUN", help="Show this run; without it, list them.")
    ] = None,
    index: Annotated[
        str | None, typer.Option(metavar="INDEX", help="Only those over this index.")
    ] = None,
    prompt: Annotated[
        str | None, typer.Option(metavar="PROMPT", help="Only those of this prompt.")
    ] = None,
    status: Annotated[str | None, typer.Option(help="Only those that stand so.")] = None,
    limit: Limit = 20,
) -> None:
    """List runs, newest first, or show one."""
    if run_id is not None:
        run = session.client.prompt_runs.retrieve(run_id)
        session.answer(run, lambda: run_facts(run))
        return
    found = session.client.prompt_runs.list(index_id=index, prompt_id=prompt, status=status)
    listed = session.first(found, limit)
    session.answer(listed, lambda: _table(listed))


@connected
def cancel(
    session: Session, run_id: Annotated[str, typer.Argument(metavar="RUN", help="The run.")]
) -> None:
    """Ask a run to stop: nothing new starts, what is in hand ends and is kept."""
    run = session.client.prompt_runs.cancel(run_id)
    session.answer(run, lambda: run_facts(run))


def run_facts(run: PromptRun) -> Table:
    """Show one run as it stands."""
    stop = run.stop_state
    return tables.facts(
        [
            ("run", run.run_id),
            ("status", tables.status(run.status)),
            ("error", run.error_message),
            ("warning", run.processing_warning),
            ("prompt", f"{run.prompt_name} ({run.prompt_id})"),
            ("executed", run.executed_at),
            ("model", run.processing_model),
            ("segmentation", _segmentation(run)),
            ("media", _media(run)),
            ("segments", f"{run.completed_segments} of {run.total_segments} completed"),
            ("failures", _failures(run)),
            ("synthesis", _synthesis(run)),
            ("stop asked", stop.requested_at if stop else None),
            ("stopped", stop.completed_at if stop else None),
        ],
        title="Run",
    )


def _table(listed: list[PromptRun]) -> Table:
    return tables.table(
        ("run", "prompt", "status", "executed", ">segments", ">failures", "model"),
        [
            (
                run.run_id,
                run.prompt_name,
                tables.status(run.status),
                run.executed_at,
                f"{run.completed_segments}/{run.total_segments}",
                _failures(run),
                run.processing_model,
            )
            for run in listed
        ],
    )


def _segmentation(run: PromptRun) -> str:
    video, audio = run.video_segment_duration, run.audio_segment_duration
    shown = f"video {run.video_segmentation_type}" + (f" {video} s" if video else "")
    return f"{shown}, audio {run.audio_segmentation_type}" + (f" {audio} s" if audio else "")


def _media(run: PromptRun) -> str:
    counted = (
        ("video", run.total_videos, run.completed_videos),
        ("audio", run.total_audios, run.completed_audios),
        ("image", run.total_images, run.completed_images),
    )
    return ", ".join(
        f"{done} of {total} {kind} completed" for kind, total, done in counted if total
    )


def _failures(run: PromptRun) -> str:
    counted = (
        ("field extraction", run.field_extraction_failures),
        ("transcription", run.transcription_failures),
        ("image embedding", run.image_embedding_failures),
    )
    return ", ".join(f"{count} {kind}" for kind, count in counted if count)


def _synthesis(run: PromptRun) -> str:
    if not run.video_level_enabled:
        return ""
    return f"{run.video_level_completed_items} of {run.video_level_total_items} completed"
