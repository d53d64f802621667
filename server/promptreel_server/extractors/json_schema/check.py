"""What a prompt may ask for: one walk over every place of a schema where a subschema stands."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from promptreel_server.domain.json_values import misfit
from promptreel_server.domain.prompt import JsonObject
from promptreel_server.errors import Invalid
from promptreel_server.extractors.json_schema import keywords, patterns
from promptreel_server.extractors.json_schema.leaves import MOST_NODES, EndlessSchema, leaves

RESERVED_NAMES = frozenset({"start_time", "end_time", "transcription", "metadata_text"})
"""Paths that mean something else wherever fields are named: no field of the root has them."""

MOST_BYTES = 64 * 1024
DEEPEST = 24
"""Levels of the schema document; an object inside an array inside an object takes seven."""
DEEPEST_UNFOLDED = 48
"""Subschemas within each other, with references followed: each takes frames of the call stack."""

_LONGEST_STEP = 80
"""Characters of a name that an error repeats."""

Pointer = tuple[str, ...]
"""The steps to a place in the schema document."""


def check_schema(json_schema: JsonObject, field: str = "json_schema") -> dict[str, Any]:
    """Refuse what no prompt can ask, and answer the schema in plain JSON types.

    `field` is what the request calls the schema.

    Raises:
        Invalid: it is no Draft 2020-12 schema, its root is no object, a name is reserved or can't
            stand in a field path, a reference leaves the schema, points at no subschema or refers
            to itself, or the schema is too large or too deep, with references followed too. Names
            the place.
    """
    schema = plain_schema(json_schema, field)
    if schema.get("type") != "object":
        raise Invalid.field(f"{field}.type", 'must be "object": an answer is one JSON object')
    nodes = dict(_subschemas(schema, ()))
    for pointer, node in nodes.items():
        if isinstance(node, Mapping):
            _check_node(node, _place(field, pointer), is_root=not pointer)
    _Unfolding(nodes, field).check()
    _check_fields(schema, field)
    return schema


def plain_schema(json_schema: JsonObject, field: str = "json_schema") -> dict[str, Any]:
    """Copy a schema into plain JSON types; raises Invalid where it is too large or too deep."""
    try:
        schema = _plain(json_schema, DEEPEST)
        size = len(json.dumps(schema, allow_nan=False))
    except (TypeError, ValueError) as error:
        raise Invalid.field(field, f"no JSON object that can be used: {error}") from error
    if size > MOST_BYTES:
        raise Invalid.field(field, f"{size} bytes long; at most {MOST_BYTES}")
    wrong = misfit(schema, most_levels=DEEPEST + 1)
    if wrong is not None:
        raise Invalid.field(field, wrong)
    return schema  # type: ignore[no-any-return]  # a mapping stays one


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


def _subschemas(node: Any, pointer: Pointer) -> Iterator[tuple[Pointer, Any]]:
    yield pointer, node
    if isinstance(node, Mapping):
        for steps, child in keywords.children(node):
            yield from _subschemas(child, pointer + steps)


def _check_node(node: JsonObject, place: str, *, is_root: bool) -> None:
    for keyword, value in node.items():
        wrong = keywords.fault(keyword, value)
        if keyword == "$schema" and not is_root:
            wrong = "may stand at the root alone"
        if wrong is not None:
            raise Invalid.field(f"{place}.{keyword}", wrong)
    for steps, child in keywords.children(node):
        if not isinstance(child, Mapping | bool):
            raise Invalid.field(_place(place, steps), "must be a schema: an object, true or false")
    for name in node.get("properties", {}):
        if not name or any(sign in name for sign in ".[]"):
            raise Invalid.field(
                f"{place}.properties", f'a name can\'t be empty or hold . [ ]: "{_short(name)}"'
            )
    wrong = patterns.fault(node["pattern"]) if "pattern" in node else None
    if wrong:
        raise Invalid.field(f"{place}.pattern", wrong)


@dataclass
class _Unfolding:
    """The schema with its references followed: how many subschemas that makes, and how deep."""

    nodes: Mapping[Pointer, Any]
    named: str
    _sizes: dict[Pointer, tuple[int, int]] = field(default_factory=dict)
    """Subschemas and levels from a place on, of the places that have been seen."""
    _open: set[Pointer] = field(default_factory=set)

    def check(self) -> None:
        for pointer in self.nodes:
            self._measure(pointer, 0)

    def _measure(self, pointer: Pointer, above: int) -> tuple[int, int]:
        if pointer in self._sizes:
            return self._sizes[pointer]
        if pointer in self._open:
            raise Invalid.field(
                self._place(pointer), "refers to itself; a schema must come to an end"
            )
        if above > DEEPEST_UNFOLDED:
            raise self._too_deep(pointer)
        self._open.add(pointer)
        count, levels = 1, 1
        for below in self._below(pointer):
            more, deeper = self._measure(below, above + 1)
            count, levels = count + more, max(levels, deeper + 1)
        self._open.remove(pointer)
        if count > MOST_NODES:
            raise Invalid.field(
                self._place(pointer),
                f"unfolds to more than {MOST_NODES} subschemas with its references followed",
            )
        if levels > DEEPEST_UNFOLDED:
            raise self._too_deep(pointer)
        self._sizes[pointer] = count, levels
        return count, levels

    def _below(self, pointer: Pointer) -> Iterator[Pointer]:
        node = self.nodes[pointer]
        if not isinstance(node, Mapping):
            return
        for steps, _ in keywords.children(node):
            yield pointer + steps
        if "$ref" in node:
            yield self._target(node["$ref"], f"{self._place(pointer)}.$ref")

    def _target(self, reference: str, place: str) -> Pointer:
        if reference != "#" and not reference.startswith("#/"):
            raise Invalid.field(place, "may only point into the schema itself, like #/$defs/person")
        steps = reference.removeprefix("#").split("/")[1:]
        target = tuple(step.replace("~1", "/").replace("~0", "~") for step in steps)
        if target not in self.nodes:
            raise Invalid.field(place, f"{_short(reference)} points at no subschema")
        return target

    def _place(self, pointer: Pointer) -> str:
        return _place(self.named, pointer)

    def _too_deep(self, pointer: Pointer) -> Invalid:
        return Invalid.field(
            self._place(pointer),
            f"is nested deeper than {DEEPEST_UNFOLDED} levels with its references followed",
        )


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


def _place(root: str, pointer: Pointer) -> str:
    return ".".join((root, *map(_short, pointer)))


def _short(text: str) -> str:
    return text if len(text) <= _LONGEST_STEP else f"{text[:_LONGEST_STEP]}…"
