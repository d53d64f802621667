"""JSON Schema (Draft 2020-12): what a prompt may ask for, and whether an answer meets it."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from jsonschema import Draft202012Validator, SchemaError, ValidationError

from promptreel_server.domain.prompt import JsonObject
from promptreel_server.errors import Invalid
from promptreel_server.extractors.json_schema import patterns
from promptreel_server.extractors.json_schema.leaves import (
    EndlessSchema,
    leaves,
    metadata_text,
    resolve,
)
from promptreel_server.extractors.json_schema.sample import BLANK, sample

__all__ = [
    "BLANK",
    "RESERVED_NAMES",
    "CompiledSchema",
    "check_schema",
    "compiled",
    "leaves",
    "metadata_text",
    "parse_answer",
    "sample",
]

RESERVED_NAMES = frozenset({"start_time", "end_time", "transcription", "metadata_text"})
"""Paths that mean something else wherever fields are named: no field of the root has them."""

MOST_BYTES = 64 * 1024
DEEPEST = 24
"""Levels of the schema document; an object inside an array inside an object takes seven."""
MOST_ERRORS = 8
_LONGEST_MESSAGE = 300
_FOREIGN = ("$id", "$anchor", "$dynamicRef", "$dynamicAnchor", "$recursiveRef", "$vocabulary")
_BY_NAME = ("properties", "$defs", "definitions", "dependentSchemas")
_LISTED = ("prefixItems", "allOf", "anyOf", "oneOf")
_SINGLE = (
    *("items", "contains", "additionalProperties", "unevaluatedItems", "unevaluatedProperties"),
    *("propertyNames", "not", "if", "then", "else"),
)


def check_schema(json_schema: JsonObject, field: str = "json_schema") -> None:
    """Refuse what no prompt can ask; `field` is what the request calls the schema.

    Raises:
        Invalid: it is no Draft 2020-12 schema, its root is no object, a name is reserved or can't
            stand in a field path, it refers outside itself or endlessly, or it is too large or
            too deep. Names the place.
    """
    schema = _check_size(json_schema, field)
    if schema.get("type") != "object":
        raise Invalid.field(f"{field}.type", 'must be "object": an answer is one JSON object')
    try:
        Draft202012Validator.check_schema(schema)
    except SchemaError as error:
        place = ".".join([field, *map(str, error.absolute_path)])
        raise Invalid.field(place, f"no JSON Schema: {_readable(error)}") from error
    for place, node in _subschemas(schema, field):
        _check_node(node, place, schema)
    _check_fields(schema, field)


def _check_size(json_schema: JsonObject, field: str) -> dict[str, Any]:
    try:
        schema = _plain(json_schema, DEEPEST)
        size = len(json.dumps(schema, allow_nan=False))
    except (TypeError, ValueError) as error:
        raise Invalid.field(field, f"no JSON object that can be used: {error}") from error
    if size > MOST_BYTES:
        raise Invalid.field(field, f"{size} bytes long; at most {MOST_BYTES}")
    return schema  # type: ignore[no-any-return]  # a mapping stays one


def _check_fields(schema: JsonObject, field: str) -> None:
    try:
        found = leaves(schema)
    except EndlessSchema as error:
        raise Invalid.field(field, f"must come to an end, but {error}") from error
    if not found:
        raise Invalid.field(f"{field}.properties", "names no field to extract")
    for path in found:
        first = re.split(r"[.\[]", path)[0]
        if first in RESERVED_NAMES:
            raise Invalid.field(f"{field}.properties.{first}", "is a reserved name; choose another")


def _check_node(node: JsonObject, place: str, root: JsonObject) -> None:
    for name in node.get("properties", {}):
        if not name or any(sign in name for sign in ".[]"):
            raise Invalid.field(
                f"{place}.properties", f'a name can\'t be empty or hold . [ ]: "{name}"'
            )
    for keyword in _FOREIGN:
        if keyword in node:
            raise Invalid.field(f"{place}.{keyword}", "is not supported; use $ref to #/$defs/…")
    if "patternProperties" in node:
        raise Invalid.field(f"{place}.patternProperties", "is not supported: name every field")
    if "$ref" in node:
        _check_reference(node["$ref"], f"{place}.$ref", root)
    wrong = patterns.fault(node["pattern"]) if "pattern" in node else None
    if wrong:
        raise Invalid.field(f"{place}.pattern", wrong)


def _check_reference(reference: str, place: str, root: JsonObject) -> None:
    if not reference.startswith("#/"):
        raise Invalid.field(place, "may only point into the schema itself, like #/$defs/person")
    try:
        target = resolve(reference, root)
    except (LookupError, TypeError, ValueError) as error:
        raise Invalid.field(place, f"{reference} points at nothing") from error
    if not isinstance(target, Mapping | bool):
        raise Invalid.field(place, f"{reference} points at no schema")


def _subschemas(node: Any, place: str) -> Iterator[tuple[str, JsonObject]]:
    if not isinstance(node, Mapping):
        return
    yield place, node
    for keyword in _BY_NAME:
        for name, child in node.get(keyword, {}).items():
            yield from _subschemas(child, f"{place}.{keyword}.{name}")
    for keyword in _LISTED:
        for index, child in enumerate(node.get(keyword, ())):
            yield from _subschemas(child, f"{place}.{keyword}.{index}")
    for keyword in _SINGLE:
        yield from _subschemas(node.get(keyword), f"{place}.{keyword}")


def _plain(value: Any, levels: int) -> Any:
    """Copy into dict, list and int: what came as protobuf has 3.0 for 3, which grammars refuse."""
    if levels < 0:
        raise ValueError(f"nested deeper than {DEEPEST} levels")
    if isinstance(value, Mapping):
        return {str(key): _plain(child, levels - 1) for key, child in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(child, levels - 1) for child in value]
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value


@dataclass(frozen=True)
class CompiledSchema:
    """A schema made ready for many answers; `schema` is it in plain JSON types."""

    schema: dict[str, Any]
    text: str

    @cached_property
    def _validator(self) -> Draft202012Validator:
        return patterns.validator(self.schema)

    @cached_property
    def sample(self) -> JsonObject:
        """A small valid object with every property; raises Invalid where none could be made."""
        made = sample(self.schema)
        errors = self.validate(made)
        if errors:
            raise Invalid.field("json_schema", f"no sample answer can be made: {errors[0]}")
        return made

    @cached_property
    def template(self) -> str:
        """The sample as JSON text, with `BLANK` wherever any string is valid."""
        text = json.dumps(sample(self.schema, blank=BLANK), ensure_ascii=False)
        filled = json.loads(text.replace(json.dumps(BLANK), '"filled"'))
        return text if not self.validate(filled) else json.dumps(self.sample, ensure_ascii=False)

    def validate(self, instance: object) -> list[str]:
        """Say what is wrong with an answer, a sentence each, at most `MOST_ERRORS`; none: valid."""
        found: list[str] = []
        for error in self._validator.iter_errors(instance):
            place = ".".join(map(str, error.absolute_path)) or "the answer"
            found.append(f"{place}: {_readable(error)}")
            if len(found) == MOST_ERRORS:
                break
        return found


_kept: dict[int, tuple[JsonObject, CompiledSchema]] = {}
_MOST_KEPT = 256


def compiled(json_schema: JsonObject) -> CompiledSchema:
    """Answer the compiled form of a checked schema, kept for as long as it is used.

    Kept by identity, with the schema held so that the identity stays its own: a run hands the same
    frozen object in for every segment, and a look-up must cost next to nothing.
    """
    entry = _kept.get(id(json_schema))
    if entry is not None:
        return entry[1]
    schema = _plain(json_schema, DEEPEST)
    made = CompiledSchema(schema=schema, text=json.dumps(schema, ensure_ascii=False))
    while len(_kept) >= _MOST_KEPT:
        _kept.pop(next(iter(_kept)))
    _kept[id(json_schema)] = (json_schema, made)
    return made


def parse_answer(text: str) -> object:
    """Parse a model's answer as strict JSON; raises ValueError, for NaN and Infinity too."""
    return json.loads(text, parse_constant=_refuse_constant)


def _refuse_constant(name: str) -> object:
    raise ValueError(f"{name} is no JSON")


def _readable(error: ValidationError | SchemaError) -> str:
    message = str(error.message)
    if len(message) <= _LONGEST_MESSAGE:
        return message
    return f"…{message[-_LONGEST_MESSAGE:]}"
