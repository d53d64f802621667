"""`promptreel results`: what the segments of a run yielded, and the synthesis."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated

import typer
from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.text import Text

from promptreel_client.cli import tables
from promptreel_client.cli.covered import videos_of
from promptreel_client.cli.session import Limit, Session, connected
from promptreel_client.errors import NotFoundError
from promptreel_client.model.results import SegmentResult, VideoResult
from promptreel_client.model.runs import PromptRun


@connected
def results(
    session: Session,
    run_id: Annotated[str, typer.Argument(metavar="RUN", help="The run, by its id.")],
    video: Annotated[
        list[str] | None,
        typer.Option(metavar="VIDEO", help="Only of this media item; repeatable."),
    ] = None,
    limit: Limit = 50,
) -> None:
    """Show times, transcript and extracted fields of each segment, and the synthesis.

    Works while the run goes on, too.
    """
    run = session.client.prompt_runs.retrieve(run_id)
    found = list(_of_each(session, run, video, limit))
    session.answer(
        [
            {"video_id": one.video_id, "results": one.results, "video_result": one.synthesis}
            for one in found
        ],
        lambda: Group(*(part for one in found for part in _shown(one))),
    )


@dataclass(frozen=True, kw_only=True)
class _Yield:
    """What one media item yielded in a run."""

    video_id: str
    results: list[SegmentResult]
    synthesis: VideoResult | None


def _of_each(
    session: Session, run: PromptRun, named: list[str] | None, limit: int
) -> Iterator[_Yield]:
    for video_id in named or videos_of(session.client, run):
        try:
            yield _of_one(session, run, video_id, limit)
        except NotFoundError:
            if named:  # else it came into the index after the run
                raise


def _of_one(session: Session, run: PromptRun, video_id: str, limit: int) -> _Yield:
    prompt_runs = session.client.prompt_runs
    return _Yield(
        video_id=video_id,
        results=session.first(prompt_runs.list_results(run.run_id, video_id=video_id), limit),
        synthesis=prompt_runs.get_video_result(run.run_id, video_id)
        if run.video_level_enabled
        else None,
    )


def _shown(one: _Yield) -> Iterator[RenderableType]:
    yield results_table(one.results, title=_title(one))
    if one.synthesis is not None:
        yield synthesis_text(one.synthesis)


def results_table(found: list[SegmentResult], *, title: str, ids: bool = True) -> RenderableType:
    """Show the results of one media item, a segment a row, with or without its id."""
    return tables.table(
        ("time", "transcript", "fields", *(["segment"] if ids else [])),
        [
            (
                tables.span(one.start_time, one.end_time),
                _transcript(one),
                _fields(one),
                *([Text(one.segment_id, style="dim")] if ids else []),
            )
            for one in found
        ],
        title=title,
        lines=True,
    )


def synthesis_text(synthesis: VideoResult) -> RenderableType:
    """Show the synthesis of one media item."""
    heading = Text.assemble(("Synthesis  ", "bold"), tables.status(synthesis.status))
    body = tables.fields(synthesis.metadata)
    if synthesis.error_message:
        body = Text(synthesis.error_message, style="red")
    return Group(heading, Padding(body, (0, 0, 1, 2)))


def _transcript(one: SegmentResult) -> Text:
    if one.transcription_error:
        return Text(one.transcription_error, style="red")
    return Text(one.transcription.text if one.transcription else "")


def _fields(one: SegmentResult) -> Text:
    if one.field_extraction_error:
        return Text(one.field_extraction_error, style="red")
    return tables.fields(one.metadata)


def _title(one: _Yield) -> str:
    candidates = [*(found.video_name for found in one.results)]
    if one.synthesis is not None:
        candidates.append(one.synthesis.video_name)
    named = next(filter(None, candidates), None)
    return f"{named} ({one.video_id})" if named else one.video_id
