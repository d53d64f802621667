"""`promptreel demo`: a stranger's first run, on a server of its own, through every real part."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import Annotated

import typer

from promptreel_client.cli import demo_prompt
from promptreel_client.cli.demo_server import DemoServer, demo_server, pull_models
from promptreel_client.cli.exits import Exit, exit_for
from promptreel_client.cli.failing import CommandFailed
from promptreel_client.cli.results import results_table, synthesis_text
from promptreel_client.cli.session import Session
from promptreel_client.cli.upload import upload_one
from promptreel_client.cli.watch import watched


def demo(
    stay: Annotated[
        bool, typer.Option("--stay", help="Leave the server up until Ctrl-C, to look around.")
    ] = False,
) -> None:
    """See a run over a short clip, on a server of its own: upload, run, watch, results, synthesis.

    Uses the offline models, and fetches those that are missing first. Whatever it started it stops.
    """
    clip = find_clip()
    with _stopped_by_signals():
        pull_models()
        with demo_server() as server:
            ended = _show(server, clip, stay=stay)
    raise typer.Exit(ended)


def find_clip() -> Path:
    """Find the clip: beside this module in a wheel, in `demo/` of a checkout.

    Raises CommandFailed where there is neither.
    """
    here = Path(__file__).resolve()
    places = (here.parent / "clip" / "clip.mp4", here.parents[3] / "demo" / "clip.mp4")
    for place in places:
        if place.is_file():
            return place
    raise CommandFailed("the demo's clip is not part of this installation; clone the project")


def _show(server: DemoServer, clip: Path, *, stay: bool) -> Exit:
    session = Session(address=server.address, api_key=server.api_key, as_json=False)
    try:
        session.console.print(f"Server up: REST {server.rest}, gRPC {server.address}")
        ended = _run(session, clip)
        _where_next(session, server, stay=stay)
    finally:
        session.close()
    return ended


def _run(session: Session, clip: Path) -> Exit:
    client, console = session.client, session.console
    index = client.indexes.create(name="Demo")
    prompt = client.prompts.create(
        name=demo_prompt.NAME,
        prompt_text=demo_prompt.TEXT,
        json_schema=demo_prompt.JSON_SCHEMA,
        video_level=demo_prompt.VIDEO_LEVEL,
    )
    console.print(f"Uploading {clip.name} to index {index.index_id}")
    job = upload_one(session, clip, clip.name, index.index_id)
    if not job.video_ids:
        raise CommandFailed(f"the clip was refused: {job.error_message}")
    run = client.prompt_runs.execute(
        prompt_id=prompt.prompt_id,
        target={"type": "index", "index_id": index.index_id},
        video_segmentation_type="smart",
        audio_segmentation_type="content_aware",
        processing_model="local",
        enable_transcription=True,
        enable_image_embedding=True,
    )
    console.print(f"Running prompt “{prompt.name}” as {run.run_id}")
    status = watched(session, run.run_id)
    _results(session, run.run_id, job.video_ids[0])
    return exit_for(status)


def _results(session: Session, run_id: str, video_id: str) -> None:
    runs = session.client.prompt_runs
    found = list(runs.list_results(run_id, video_id=video_id))
    session.console.print(results_table(found, title="What the segments yielded", ids=False))
    session.console.print(synthesis_text(runs.get_video_result(run_id, video_id)))


def _where_next(session: Session, server: DemoServer, *, stay: bool) -> None:
    console = session.console
    if stay:
        console.print("The server stays up until Ctrl-C. In another terminal:")
        console.print(f"  export PROMPTREEL_ADDRESS={server.address}")
        console.print(f"  export PROMPTREEL_API_KEY={server.api_key}")
        console.print("  promptreel runs", "  promptreel prompts list", sep="\n")
        console.print(
            f'  curl -H "X-API-Key: $PROMPTREEL_API_KEY" {server.rest}/api/v2/prompt-runs'
        )
        with suppress(KeyboardInterrupt):  # the way this ends, not a failure
            signal.pause()
    console.print("Where to look next:")
    console.print("  promptreel demo --stay    the same, and the server stays up to look around")
    console.print("  promptreel serve          a server of your own, on your own media")
    console.print("  promptreel --help         upload, prompts, run, watch, results, failed, retry")


@contextmanager
def _stopped_by_signals() -> Iterator[None]:
    """Let SIGTERM and a closed terminal end the demo as Ctrl-C does: nothing is left running."""

    def stop(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = {name: signal.signal(name, stop) for name in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for name, handler in before.items():
            signal.signal(name, handler)
