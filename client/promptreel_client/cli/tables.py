"""How resources look to people: tables of the few columns that matter."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from rich import box
from rich.markup import escape
from rich.table import Table
from rich.text import Text

_COLOURS = {
    "completed": "green",
    "processed": "green",
    "success": "green",
    "imported": "green",
    "partial": "yellow",
    "completed_with_failures": "yellow",
    "processing": "cyan",
    "failed": "red",
    "error": "red",
    "blocked": "red",
    "cancelled": "magenta",
}

_WHOLE = frozenset({"index", "video", "prompt", "run", "segment", "retry", "call", "time"})
"""Columns that are of use only unbroken: ids to copy, and times."""


def status(word: object) -> Text:
    """Colour a status by what it means."""
    return Text(str(word), style=_COLOURS.get(str(word), ""))


def clock(seconds: float) -> str:
    """Write media time as `1:02:03.4`, or `02:03.4` within the hour."""
    tenths = round(seconds * 10)
    minutes, tenths = divmod(tenths, 600)
    hours, minutes = divmod(minutes, 60)
    start = f"{hours}:{minutes:02}" if hours else f"{minutes:02}"
    return f"{start}:{tenths // 10:02}.{tenths % 10}"


def span(start: float, end: float) -> str:
    """Write a stretch of a media item."""
    return f"{clock(start)} – {clock(end)}"


def when(moment: datetime | None) -> str:
    """Write a moment in the reader's own time zone, to the second."""
    return moment.astimezone().strftime("%Y-%m-%d %H:%M:%S") if moment else ""


def leaves(metadata: Mapping[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    """Flatten extracted fields to (field path, value) pairs, lists of plain values on one line."""
    found: list[tuple[str, str]] = []
    for name, value in metadata.items():
        found += _leaf(f"{prefix}{name}", value)
    return found


def _leaf(path: str, value: Any) -> list[tuple[str, str]]:
    if isinstance(value, Mapping):
        return leaves(value, f"{path}.")
    if isinstance(value, Sequence) and not isinstance(value, str):
        if any(isinstance(one, Mapping) for one in value):
            return [
                leaf for place, one in enumerate(value) for leaf in _leaf(f"{path}[{place}]", one)
            ]
        return [(path, ", ".join(map(_word, value)))]
    return [(path, _word(value))]


def _word(value: Any) -> str:
    """Write a plain value as a reader would."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "" if value is None else str(value)


def fields(metadata: Mapping[str, Any]) -> Text:
    """Show extracted fields, one leaf a line; empty ones are left out."""
    shown = Text()
    for path, value in leaves(metadata):
        if value == "":
            continue
        if shown:
            shown.append("\n")
        shown.append(f"{path}: ", style="dim")
        shown.append(value)
    return shown


def table(
    columns: Iterable[str], rows: Iterable[Sequence[Any]], *, title: str = "", lines: bool = False
) -> Table:
    """Lay rows out under column names; a name that starts with `>` is aligned to the right."""
    shown = Table(
        title=escape(title) if title else None,
        title_justify="left",
        show_lines=lines,
        box=box.HORIZONTALS if lines else box.SIMPLE_HEAD,
        show_edge=lines,
        pad_edge=False,
    )
    for name in columns:
        justify: Any = "right" if name.startswith(">") else "left"
        shown.add_column(
            name.removeprefix(">"), justify=justify, overflow="fold", no_wrap=name in _WHOLE
        )
    for row in rows:
        shown.add_row(*(cell if isinstance(cell, Text) else Text(_cell(cell)) for cell in row))
    return shown


def facts(pairs: Iterable[tuple[str, Any]], *, title: str = "") -> Table:
    """Lay out one resource, a name and a value a line; absent values are left out."""
    shown = Table(
        title=escape(title) if title else None, title_justify="left", show_header=False, box=None
    )
    shown.add_column(style="dim")
    shown.add_column(overflow="fold")
    for name, value in pairs:
        if value not in (None, ""):
            shown.add_row(name, value if isinstance(value, Text) else Text(_cell(value)))
    return shown


def _cell(value: Any) -> str:
    if value is None:
        return ""
    return when(value) if isinstance(value, datetime) else str(value)
