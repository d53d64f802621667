"""Makes what many segments yielded short enough for one prompt, in levels, dropping nothing."""

from collections.abc import Awaitable, Callable, Sequence

from promptreel_server.extractors.extractor import SynthesisSource
from promptreel_server.extractors.json_schema.leaves import metadata_text

Condense = Callable[[str], Awaitable[str | None]]
"""Asks a model for notes on a stretch of sources; None where it failed."""

_MOST_LEVELS = 12


def source_lines(sources: Sequence[SynthesisSource]) -> list[str]:
    """Write each source on a line: its times and its fields."""
    return [
        f"[{source.start:.1f}-{source.end:.1f} s] "
        + (metadata_text(source.fields).replace("\n", "; ") or "nothing extracted")
        for source in sources
    ]


def batches(lines: Sequence[str], most: int) -> list[str]:
    """Gather lines, in order, into texts of at most `most` characters; too long ones are parted."""
    found: list[str] = []
    for line in lines:
        for first in range(0, len(line), most):
            piece = line[first : first + most]
            if found and len(found[-1]) + 1 + len(piece) <= most:
                found[-1] = f"{found[-1]}\n{piece}"
            else:
                found.append(piece)
    return found


async def condensed(lines: Sequence[str], most: int, condense: Condense) -> str | None:
    """Answer the lines as one text of at most `most` characters, condensed as often as it takes.

    None where the model failed on the way, or does not get any shorter.
    """
    texts = batches(lines, most)
    for _ in range(_MOST_LEVELS):
        if len(texts) <= 1:
            return texts[0] if texts else ""
        notes = []
        for text in texts:
            note = await condense(text)
            if note is None:
                return None
            notes.append(note)
        shorter = batches(notes, most)
        if len(shorter) >= len(texts):
            return None
        texts = shorter
    return None
