"""`promptreel run`: one prompt over one target, watched to its end unless told otherwise."""

from enum import StrEnum
from typing import Annotated, Any

import typer
from rich.console import Group
from rich.json import JSON

from promptreel_client.cli import tables
from promptreel_client.cli.runs import run_facts
from promptreel_client.cli.session import Session, connected
from promptreel_client.cli.watch import follow


class VideoSegmentation(StrEnum):
    """How videos can be asked to be cut."""

    SMART = "smart"
    FIXED = "fixed"
    CONTENT_AWARE = "content_aware"


class AudioSegmentation(StrEnum):
    """How audio can be asked to be cut."""

    CONTENT_AWARE = "content_aware"
    FIXED = "fixed"


@connected
def run(
    session: Session,
    prompt_id: Annotated[str, typer.Argument(metavar="PROMPT", help="The prompt, by its id.")],
    index: Annotated[
        str | None, typer.Option(metavar="INDEX", help="Cover all media of an index.")
    ] = None,
    video: Annotated[
        list[str] | None, typer.Option(metavar="VIDEO", help="Cover this media item; repeatable.")
    ] = None,
    playground: Annotated[
        bool, typer.Option("--playground", help="Cover the playground's media.")
    ] = False,
    segmentation: Annotated[
        VideoSegmentation, typer.Option(help="How videos are cut.")
    ] = VideoSegmentation.SMART,
    segment_seconds: Annotated[
        int | None,
        typer.Option(min=1, max=300, metavar="N", help="Seconds a video segment, with fixed."),
    ] = None,
    audio_segmentation: Annotated[
        AudioSegmentation, typer.Option(help="How audio is cut.")
    ] = AudioSegmentation.CONTENT_AWARE,
    audio_segment_seconds: Annotated[
        int | None,
        typer.Option(min=1, max=300, metavar="N", help="Seconds an audio segment, with fixed."),
    ] = None,
    model: Annotated[
        str | None, typer.Option(help="The model; without it, the server's default.")
    ] = None,
    transcription: Annotated[bool, typer.Option(help="Transcribe what is said.")] = True,
    image_embedding: Annotated[bool, typer.Option(help="Embed a picture a segment.")] = True,
    reuse: Annotated[
        bool | None, typer.Option(help="Answer from earlier LLM calls that asked the same.")
    ] = None,
    estimate: Annotated[
        bool, typer.Option("--estimate", help="Check and estimate it; start nothing.")
    ] = False,
    watch: Annotated[bool, typer.Option(help="Watch it to its end.")] = True,
) -> None:
    """Run a prompt over an index, videos or the playground.

    Watched, it shows what `promptreel watch` shows and exits alike; with --no-watch it answers the
    accepted run at once.
    """
    asked: dict[str, Any] = {
        "prompt_id": prompt_id,
        "target": _target(index, video or [], playground),
        "video_segmentation_type": segmentation.value,
        "audio_segmentation_type": audio_segmentation.value,
        "video_segment_duration": segment_seconds,
        "audio_segment_duration": audio_segment_seconds,
        "processing_model": model,
        "enable_transcription": transcription,
        "enable_image_embedding": image_embedding,
        "reuse_llm_calls": reuse,
    }
    if estimate:
        _estimate(session, asked)
        return
    accepted = session.client.prompt_runs.execute(**asked)
    if watch:
        raise typer.Exit(follow(session, accepted.run_id))
    session.answer(accepted, lambda: run_facts(accepted))


def _target(index: str | None, videos: list[str], playground: bool) -> dict[str, Any]:
    if playground and not index and not videos:
        return {"type": "playground"}
    if playground or not (index or videos):
        raise typer.BadParameter("name --index, --video or --playground, one kind of target")
    if videos:
        within = {"index_id": index} if index else {}
        return {"type": "videos", "video_ids": videos, **within}
    return {"type": "index", "index_id": index}


def _estimate(session: Session, asked: dict[str, Any]) -> None:
    estimated = session.client.prompt_runs.estimate(**asked)
    session.answer(
        estimated,
        lambda: Group(tables.facts([], title="Estimate"), JSON.from_data(estimated.breakdown)),
    )
