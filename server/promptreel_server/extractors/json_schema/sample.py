"""A minimal object that is valid against a JSON Schema, for tests and benchmarks."""

from collections.abc import Mapping
from typing import Any

from promptreel_server.domain.prompt import JsonObject
from promptreel_server.errors import Invalid
from promptreel_server.extractors.json_schema.leaves import resolve
from promptreel_server.extractors.json_schema.patterns import matches

MOST_NODES = 5_000
MOST_CHARACTERS = 200_000
"""What a sample may hold; `minItems` within `minItems` multiplies."""

_WORDS = ("", "a", "A", "0", "00:00:00", "2000-01-01", "2000-01-01T00:00:00Z", "a@example.org")
"""Tried in turn where a pattern must be met; no attempt is made to solve harder ones."""


BLANK = "{blank}"
"""Stands where any string is valid, to be replaced by text that says something."""


def sample(json_schema: JsonObject, blank: str = "") -> JsonObject:
    """Make an object with every declared property, each as small as its schema allows.

    Meets type, enum, const, lengths, ranges, simple patterns, references and the first of
    alternatives. Whether that was enough is for the caller to validate. Strings that the schema
    does not bind are `blank`.
    """
    made = _Sampler(json_schema, blank).make(json_schema)
    return made if isinstance(made, dict) else {}


class _Sampler:
    def __init__(self, root: JsonObject, blank: str) -> None:
        self._root = root
        self._blank = blank
        self._nodes = MOST_NODES
        self._characters = MOST_CHARACTERS

    def make(self, node: Any) -> Any:
        self._nodes -= 1
        if self._nodes < 0:
            raise Invalid.field("json_schema", f"a sample would hold over {MOST_NODES} values")
        if not isinstance(node, Mapping):
            return ""
        node = self._merged(node)
        for keyword in ("const", "default"):
            if keyword in node:
                return node[keyword]
        for keyword in ("enum", "examples"):
            if node.get(keyword):
                return node[keyword][0]
        return self._typed(node)

    def _merged(self, node: JsonObject) -> JsonObject:
        merged = dict(node)
        branches = [*node.get("allOf", ())]
        branches += [node[keyword][0] for keyword in ("anyOf", "oneOf") if node.get(keyword)]
        if "$ref" in node:
            branches.append(resolve(node["$ref"], self._root))
        for keyword in ("allOf", "anyOf", "oneOf", "$ref"):
            merged.pop(keyword, None)
        for branch in branches:
            if isinstance(branch, Mapping):
                for key, value in self._merged(branch).items():
                    inherits = key == "properties" and key in merged
                    merged[key] = {**value, **merged[key]} if inherits else merged.get(key, value)
        return merged

    def _typed(self, node: JsonObject) -> Any:
        kind = node.get("type", "object" if "properties" in node else "string")
        kind = kind[0] if isinstance(kind, list) else kind
        if kind == "object":
            return {name: self.make(child) for name, child in node.get("properties", {}).items()}
        if kind == "array":
            return self._array(node)
        if kind in ("integer", "number"):
            return _number(node, whole=kind == "integer")
        if kind == "string":
            bound = set(node) - {"type", "title", "description"}
            return self._text(node) if bound else self._blank
        return False if kind == "boolean" else None

    def _array(self, node: JsonObject) -> list[Any]:
        first = [self.make(child) for child in node.get("prefixItems", ())]
        length = max(int(node.get("minItems", 0)), min(1, int(node.get("maxItems", 1))))
        while len(first) < length:
            first.append(self.make(node.get("items", {})))
        return first

    def _text(self, node: JsonObject) -> str:
        shortest = int(node.get("minLength", 0))
        self._characters -= shortest
        if self._characters < 0:
            raise Invalid.field(
                "json_schema", f"a sample would hold over {MOST_CHARACTERS} characters"
            )
        if "pattern" not in node:
            return "a" * shortest
        met = (word for word in _WORDS if len(word) >= shortest and matches(node["pattern"], word))
        return next(met, "a" * shortest)


def _number(node: JsonObject, *, whole: bool) -> float:
    step = node.get("multipleOf", 1)
    low = node.get("minimum", node.get("exclusiveMinimum", 0))
    high = node.get("maximum", node.get("exclusiveMaximum", max(low, 0)))
    value = min(max(0, low), high)
    if value == node.get("exclusiveMinimum"):
        value += step if whole or "exclusiveMaximum" not in node else (high - value) / 2
    if value == node.get("exclusiveMaximum"):
        value -= step
    return int(value) if whole else value
