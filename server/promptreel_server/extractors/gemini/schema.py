"""The part of a JSON Schema that Gemini holds its answers to; we validate the rest."""

from collections.abc import Mapping, Sequence
from typing import Any

from promptreel_server.domain.prompt import JsonObject

_KEPT = frozenset({"type", "title", "description", "required", "minItems", "maxItems"}) | {
    "minimum",
    "maximum",
}
_NAMED = ("properties", "$defs", "definitions")
_LISTED = ("anyOf", "oneOf", "prefixItems")
_FORMATS = frozenset({"date-time", "date", "time"})


def taken(json_schema: JsonObject) -> JsonObject | None:
    """Reduce a schema to the keywords that the API documents; None where nothing is left to hold.

    `const` becomes an `enum`, null in an `enum` an alternative of its own, an `allOf` of one
    schema that schema. Every other keyword is dropped: the model must read it in the prompt.
    """
    reduced = _node(json_schema)
    return reduced if reduced.get("properties") else None


def holds_whole(json_schema: JsonObject) -> bool:
    """Whether Gemini holds its answers to all of a schema, so that it need not read it."""
    return taken(json_schema) == json_schema


def _node(node: Any) -> dict[str, Any]:
    if not isinstance(node, Mapping):
        return {}  # `true`: anything
    only = node.get("allOf")
    if isinstance(only, Sequence) and len(only) == 1 and isinstance(only[0], Mapping):
        node = {**only[0], **{key: value for key, value in node.items() if key != "allOf"}}
    if "$ref" in node:  # beside it nothing else may stand
        return {"$ref": node["$ref"]} | {
            name: _by_name(node[name]) for name in ("$defs", "definitions") if name in node
        }
    kept = {key: value for key, value in node.items() if key in _KEPT}
    if node.get("format") in _FORMATS:
        kept["format"] = node["format"]
    kept |= {name: _by_name(node[name]) for name in _NAMED if name in node}
    kept |= {name: [_node(child) for child in node[name]] for name in _LISTED if name in node}
    if isinstance(node.get("items"), Mapping):
        kept["items"] = _node(node["items"])
    extra = node.get("additionalProperties")
    if extra is not None:
        kept["additionalProperties"] = extra if isinstance(extra, bool) else _node(extra)
    return _choice(kept, node)


def _by_name(children: Mapping[str, Any]) -> dict[str, Any]:
    """Reduce each child; a property that is `false` must not be there, so it is not named."""
    return {name: _node(child) for name, child in children.items() if child is not False}


def _choice(kept: dict[str, Any], node: Mapping[str, Any]) -> dict[str, Any]:
    """Add the values to choose from, as far as they are texts or numbers."""
    values = [node["const"]] if "const" in node else node.get("enum")
    if values is None:
        return kept
    some = [value for value in values if value is not None]
    if not some or not all(_nameable(value) for value in some):
        return kept
    if len(some) == len(values):
        return kept | {"enum": some}
    words = {key: kept.pop(key) for key in ("title", "description") if key in kept}
    kinds = kept.get("type")
    if isinstance(kinds, list):
        kept["type"] = next((kind for kind in kinds if kind != "null"), "string")
    return words | {"anyOf": [kept | {"enum": some}, {"type": "null"}]}


def _nameable(value: object) -> bool:
    if isinstance(value, str):
        return value != ""
    return isinstance(value, int | float) and not isinstance(value, bool)
