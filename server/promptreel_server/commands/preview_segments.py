"""`promptreel segments FILE`: show where a local file would be cut, without a server."""

import asyncio
import json
from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from promptreel_server.domain.media import MediaFacts, MediaType
from promptreel_server.domain.segment import SegmentationMode
from promptreel_server.errors import PromptreelError
from promptreel_server.media.inspect.probe import probe
from promptreel_server.media.process.ffmpeg import Ffmpeg, locate
from promptreel_server.segmenters import (
    Limits,
    SegmentationRequest,
    Signals,
    Span,
    segmenter_for,
    survey,
)

MODES = {
    MediaType.VIDEO: SegmentationMode.SMART,
    MediaType.AUDIO: SegmentationMode.CONTENT_AWARE,
    MediaType.IMAGE: SegmentationMode.IMAGE,
}
"""How a medium is cut where no mode is named."""


def segments(
    file: Annotated[Path, typer.Argument(help="A video, a sound or an image.")],
    mode: Annotated[
        SegmentationMode | None,
        typer.Option(help="How to cut it (default: smart; sound: content_aware)."),
    ] = None,
    seconds: Annotated[
        int | None, typer.Option(min=1, max=300, help="Length of a segment, with --mode fixed.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for scripts.")] = False,
    shots: Annotated[bool, typer.Option("--shots", help="Stop after the list of shots.")] = False,
    sheet: Annotated[
        Path | None,
        typer.Option("--contact-sheet", help="Write a page of thumbnails, one a segment (JPEG)."),
    ] = None,
    shortest: Annotated[
        float | None, typer.Option(help="Seconds that a segment lasts at least.")
    ] = None,
    longest: Annotated[
        float | None, typer.Option(help="Seconds that a segment lasts at most.")
    ] = None,
    target: Annotated[
        float | None, typer.Option(help="Seconds that a segment lasts where nothing else decides.")
    ] = None,
) -> None:
    """Show where a local file would be cut: shots, speech and segments."""
    console = Console(stderr=True)
    try:
        limits = _limits(shortest, longest, target)
        preview = asyncio.run(
            _preview(file.resolve(), mode, seconds, limits, console, shots_only=shots)
        )
        if sheet is not None:
            asyncio.run(preview.draw(sheet))
    except (PromptreelError, ValueError) as error:
        console.print(f"{file}: {error}", style="red", markup=False)
        raise typer.Exit(1) from error
    if as_json:
        print(json.dumps(preview.to_json()))
    else:
        Console().print(preview.table())


class Preview:
    """What a file looks like once it is cut; without segments where only shots were asked for."""

    def __init__(
        self,
        path: Path,
        programs: Ffmpeg,
        facts: MediaFacts,
        signals: Signals,
        spans: Sequence[Span] | None,
    ) -> None:
        """`spans` are the segments, None where the list of shots is all that was asked for."""
        self._path = path
        self._programs = programs
        self._facts = facts
        self._signals = signals
        self._spans = spans

    def to_json(self) -> dict[str, object]:
        """Times in seconds on the container's clock."""
        listed: dict[str, object] = {
            "duration": float(self._facts.duration),
            "shots": _times(self._signals.shots or ()),
        }
        if self._spans is not None:
            listed["speech"] = _times(self._signals.speech or ())
            listed["segments"] = _times(self._spans)
        return listed

    def table(self) -> Table:
        """One row a segment (or a shot), with how much of it is speech."""
        table = Table("", "start", "end", "seconds", "shots", "speech")
        for number, span in enumerate(self._shown(), start=1):
            begun = sum(span.start <= shot.start < span.end for shot in self._signals.shots or ())
            spoken = sum(
                max(Fraction(0), min(part.end, span.end) - max(part.start, span.start))
                for part in self._signals.speech or ()
            )
            share = f"{float(spoken / span.duration):.0%}" if span.duration and spoken else ""
            table.add_row(
                str(number),
                _clock(span.start),
                _clock(span.end),
                f"{float(span.duration):.2f}",
                str(begun or ""),
                share,
            )
        return table

    async def draw(self, file: Path) -> None:
        """Write a contact sheet: the frame in the middle of each segment."""
        # What draws is slow to load, and seldom asked for.
        from promptreel_server.media.frames.contact_sheet import THUMBNAIL_WIDTH, contact_sheet
        from promptreel_server.media.frames.pictures import Pictures

        shown = self._shown()
        pictures = Pictures(ffmpeg=self._programs, longest_side=THUMBNAIL_WIDTH)
        middles = [float(span.start + span.duration / 2) for span in shown]
        stills = await pictures.frames(self._path, self._facts, middles)
        captions = [
            f"{number}  {_clock(span.start)} - {_clock(span.end)}"
            for number, span in enumerate(shown, start=1)
        ]
        frames = stills if len(stills) == len(shown) else [None] * len(shown)
        page = contact_sheet(list(zip(captions, frames, strict=True)))
        await asyncio.to_thread(page.save, file, "JPEG", quality=85)

    def _shown(self) -> Sequence[Span]:
        return self._spans if self._spans is not None else self._signals.shots or ()


async def _preview(
    path: Path,
    mode: SegmentationMode | None,
    seconds: int | None,
    limits: Limits,
    console: Console,
    *,
    shots_only: bool,
) -> Preview:
    """Probe, look, listen and cut, with a bar on the console while that lasts."""
    programs = await asyncio.to_thread(locate)
    facts = await probe(path, ffmpeg=programs)
    chosen = mode or (SegmentationMode.FIXED if seconds else MODES[facts.media_type])
    request = SegmentationRequest(
        path=path,
        media_type=facts.media_type,
        facts=facts,
        mode=chosen,
        fixed_duration=seconds,
        limits=limits,
    )
    columns = (TextColumn("{task.description}"), BarColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True) as bars:
        bar = bars.add_task(path.name, total=float(facts.duration) or 1.0)
        signals = await survey(
            programs,
            request,
            lambda done, _: bars.update(bar, completed=float(done)),
            listen=not shots_only,
        )
    if shots_only:
        return Preview(path, programs, facts, signals, None)
    segmenter = segmenter_for(chosen, facts.media_type, programs)
    cut = await segmenter.cut(replace(request, known=signals), lambda *_: None)
    return Preview(path, programs, facts, signals, cut.spans)


def _limits(shortest: float | None, longest: float | None, target: float | None) -> Limits:
    """The limits asked for, in milliseconds; one for the shortest holds for pictures and sound."""
    usual = Limits()

    def exact(asked: float | None, otherwise: Fraction) -> Fraction:
        return otherwise if asked is None else Fraction(round(asked * 1000), 1000)

    return Limits(
        shortest=exact(shortest, usual.shortest),
        spoken_shortest=exact(shortest, usual.spoken_shortest),
        longest=exact(longest, usual.longest),
        target=exact(target, usual.target),
    )


def _times(spans: Sequence[Span]) -> list[dict[str, float]]:
    return [{"start_time": float(span.start), "end_time": float(span.end)} for span in spans]


def _clock(at: Fraction) -> str:
    minutes, seconds = divmod(float(at), 60)
    return f"{int(minutes)}:{seconds:05.2f}"
