"""The schema that a local model's answers are constrained by: bounded, and without what it can't.

A grammar holds the shape of an answer, not every keyword of JSON Schema. What is left out here is
checked on the finished answer.
"""

import json
from collections.abc import Mapping
from functools import reduce
from typing import Any

from promptreel_server.domain.prompt import JsonObject
from promptreel_server.extractors.json_schema.leaves import resolve

LONGEST_TEXT = 400
"""Characters of a string that the schema does not bound."""
MOST_TEXT = 2000
USUAL_ITEMS = 6
"""Items of an array that the schema does not bound."""
MOST_ITEMS = 30

_NUMBER = ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf")
_FORMATS = ("date", "time", "date-time")
_ANYTHING = {"type": ["string", "number", "boolean", "null"], "maxLength": LONGEST_TEXT}


def grammar(json_schema: JsonObject) -> str:
    """Write the grammar for llama.cpp's llguidance: JSON on one line, bounded everywhere."""
    # Spaces after comma and colon: without them a small model answers noticeably worse.
    style = {"whitespace_flexible": False, "item_separator": ", ", "key_separator": ": "}
    bounded = {**bounded_schema(json_schema), "x-guidance": style}
    return f"%llguidance {{}}\nstart: %json {json.dumps(bounded, ensure_ascii=False)}"


def bounded_schema(json_schema: JsonObject) -> dict[str, Any]:
    """Answer a schema without references in which every string and array has an end.

    Every property is asked for; one that the schema does not require may be null in its place.
    """
    return _Bounds(json_schema).node(json_schema)


def allows_null(node: Any, root: JsonObject) -> bool:
    """Tell whether null is valid for a subschema, as far as types and enums say."""
    if not isinstance(node, Mapping):
        return node is not False
    if "$ref" in node:
        return allows_null(resolve(node["$ref"], root), root)
    for keyword in ("anyOf", "oneOf"):
        if keyword in node:
            return any(allows_null(branch, root) for branch in node[keyword])
    if "enum" in node:
        return None in node["enum"]
    if "const" in node:
        return node["const"] is None
    kinds = node.get("type")
    if kinds is None:
        return "properties" not in node and "items" not in node
    return kinds == "null" or (isinstance(kinds, list) and "null" in kinds)


class _Bounds:
    def __init__(self, root: JsonObject) -> None:
        self._root = root

    def node(self, node: Any) -> dict[str, Any]:
        if not isinstance(node, Mapping):
            return dict(_ANYTHING)
        node = self._merged(node)
        for keyword in ("enum", "const"):
            if keyword in node:
                return {keyword: node[keyword]}
        branches = node.get("anyOf", node.get("oneOf"))
        if branches:
            return {"anyOf": [self.node(branch) for branch in branches]}
        kinds = node.get("type")
        if kinds is None:
            kinds = "object" if "properties" in node else "array" if "items" in node else None
        if kinds is None:
            return dict(_ANYTHING)
        if isinstance(kinds, list) and len(kinds) > 1:
            return {"anyOf": [self._typed(kind, node) for kind in kinds]}
        return self._typed(kinds[0] if isinstance(kinds, list) else kinds, node)

    def _merged(self, node: JsonObject) -> JsonObject:
        """Follow a reference and fold `allOf` in; what stands nearest wins."""
        others = [*node.get("allOf", ())]
        if "$ref" in node:
            others.append(resolve(node["$ref"], self._root))
        if not others:
            return node
        mine = {key: value for key, value in node.items() if key not in ("$ref", "allOf")}
        plain = [self._merged(other) for other in others if isinstance(other, Mapping)]
        return reduce(_joined, plain, mine)

    def _typed(self, kind: str, node: JsonObject) -> dict[str, Any]:
        if kind == "object":
            return self._object(node)
        if kind == "array":
            return self._array(node)
        if kind == "string":
            return _string(node)
        if kind in ("integer", "number"):
            return {"type": kind, **{key: node[key] for key in _NUMBER if key in node}}
        return {"type": kind}

    def _object(self, node: JsonObject) -> dict[str, Any]:
        required = node.get("required", ())
        properties = {}
        for name, child in node.get("properties", {}).items():
            bounded = self.node(child)
            if name not in required and not allows_null(child, self._root):
                bounded = {"anyOf": [bounded, {"type": "null"}]}
            properties[name] = bounded
        return {
            "type": "object",
            "properties": properties,
            "required": list(properties),
            "additionalProperties": False,
        }

    def _array(self, node: JsonObject) -> dict[str, Any]:
        least = int(node.get("minItems", 0))
        most = min(int(node.get("maxItems", USUAL_ITEMS)), MOST_ITEMS)
        bounded: dict[str, Any] = {"type": "array", "minItems": least, "maxItems": max(least, most)}
        if "prefixItems" in node:
            bounded["prefixItems"] = [self.node(child) for child in node["prefixItems"]]
        items = node.get("items", True)
        bounded["items"] = False if items is False else self.node(items)
        return bounded


def _string(node: JsonObject) -> dict[str, Any]:
    least = int(node.get("minLength", 0))
    bounded: dict[str, Any] = {"type": "string"}
    if "pattern" in node:
        bounded["pattern"] = node["pattern"]
    elif node.get("format") in _FORMATS:
        bounded["format"] = node["format"]
    else:
        most = min(int(node.get("maxLength", LONGEST_TEXT)), MOST_TEXT)
        bounded |= {"minLength": least, "maxLength": max(least, most)}
    return bounded


def _joined(one: JsonObject, other: JsonObject) -> JsonObject:
    joined = {**other, **one}
    joined["properties"] = {**other.get("properties", {}), **one.get("properties", {})}
    joined["required"] = [*one.get("required", ()), *other.get("required", ())]
    if not joined["properties"]:
        del joined["properties"], joined["required"]
    return joined
