"""What a prompt must keep to, checked before it is stored."""

from collections.abc import Iterable, Iterator, Sequence

from promptreel_server.domain import texts
from promptreel_server.domain.prompt import JsonObject, Prompt, VideoLevel
from promptreel_server.errors import FieldViolation, Invalid
from promptreel_server.extractors.json_schema.compiled import check_schema, leaves

NAME_LENGTHS = (3, 100)
TEXT_LENGTHS = (10, 5000)
LONGEST_DESCRIPTION = 500
ALWAYS_READABLE = frozenset({"transcription", "metadata_text"})
"""What a synthesis may read beside the fields of the segment schema."""


def check_prompt(prompt: Prompt) -> None:
    """Refuse a prompt that can't be asked.

    Raises:
        Invalid: names every text of a wrong length at once, else the first bad place of a schema,
            else every field path that names nothing.
    """
    _refuse(_lengths(prompt))
    check_schema(prompt.json_schema)
    if prompt.video_level is not None:
        check_schema(prompt.video_level.json_schema, "video_level.json_schema")
    _refuse(_paths(prompt))


def _refuse(violations: Iterable[FieldViolation]) -> None:
    found = tuple(violations)
    if found:
        message = "; ".join(f"{each.field}: {each.description}" for each in found)
        raise Invalid(message, violations=found)


def _lengths(prompt: Prompt) -> Iterator[FieldViolation]:
    found = texts.line_problem(prompt.name, *NAME_LENGTHS)
    if found is not None:
        yield FieldViolation(field="name", description=found)
    yield from _length("prompt_text", prompt.prompt_text, *TEXT_LENGTHS)
    yield from _length("description", prompt.description, 0, LONGEST_DESCRIPTION)
    if prompt.video_level is not None:
        text = prompt.video_level.instructions_text
        yield from _length("video_level.instructions_text", text, *TEXT_LENGTHS)


def _length(field: str, text: str, least: int, most: int) -> Iterator[FieldViolation]:
    found = texts.problem(text, least, most)
    if found is not None:
        yield FieldViolation(field=field, description=found)


def _paths(prompt: Prompt) -> Iterator[FieldViolation]:
    indexing = prompt.semantic_indexing
    segment_fields = _known(prompt.json_schema)
    yield from _unknown(
        "semantic_indexing.disabled_segment_fields",
        indexing.disabled_segment_fields,
        segment_fields,
    )
    level: VideoLevel | None = prompt.video_level
    yield from _unknown(
        "semantic_indexing.disabled_video_level_fields",
        indexing.disabled_video_level_fields,
        frozenset() if level is None else _known(level.json_schema),
    )
    if level is not None:
        yield from _unknown(
            "video_level.included_segment_fields",
            level.included_segment_fields,
            segment_fields | ALWAYS_READABLE,
        )


def _known(json_schema: JsonObject) -> frozenset[str]:
    """Name every leaf, and everything above it: a path may stand for all below it."""
    known: set[str] = set()
    for leaf in leaves(json_schema):
        parts = leaf.split(".")
        known.update(".".join(parts[: count + 1]) for count in range(len(parts)))
    return frozenset(known | {path.removesuffix("[]") for path in known})


def _unknown(field: str, paths: Sequence[str], known: frozenset[str]) -> Iterator[FieldViolation]:
    for path in paths:
        if path not in known:
            yield FieldViolation(field=field, description=f"{path!r} names no field of the schema")
