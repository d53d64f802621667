"""Takes back what a small model says without knowing: filler words, names nobody mentioned."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from promptreel_server.domain.prompt import JsonObject
from promptreel_server.extractors.json_schema.leaves import resolve
from promptreel_server.extractors.local.grammar import allows_null

_FILLER = frozenset(
    {
        *("none", "null", "nil", "n/a", "na", "-", "?", "empty", "nothing", "nobody", "no one"),
        *("unknown", "unspecified", "not known", "not specified", "not given", "not mentioned"),
        *("not available", "not recognised", "nothing recognised", "none in particular"),
    }
)
_LONGEST_CLAIM = 80
"""A longer text is a description in the model's own words."""
_STEM = 4
"""So many letters in common are the same word: "bridge" and "bridges"."""
_WORD = re.compile(r"\w{3,}")
_NUMBER = re.compile(r"\d{1,15}(?:\.\d{1,9})?")


def tidied(answer: JsonObject, json_schema: JsonObject, evidence: str) -> JsonObject:
    """Answer it without filler, and with null for what no word of the evidence supports.

    Only where the schema takes it: a text, a number, a yes or no becomes null where null is
    allowed; an optional property that is null where it may not be is left out; a list loses
    entries that are empty, repeated or name only what is nowhere in the evidence. Long
    descriptions, enums and what may not be null stay.
    """
    tidy = _Tidy(json_schema, evidence)
    found = tidy.value(answer, json_schema)
    return found if isinstance(found, Mapping) else answer


class _Tidy:
    def __init__(self, root: JsonObject, evidence: str) -> None:
        self._root = root
        self._evidence = evidence.lower()
        self._stems = _stems(evidence)
        self._numbers = {f"{float(number):g}" for number in _NUMBER.findall(evidence)}

    def value(self, value: Any, node: Any) -> Any:
        node = self._meant(node, value)
        if isinstance(value, Mapping):
            return self._object(value, node)
        if isinstance(value, list):
            return self._list(value, node)
        if isinstance(value, str):
            return self._text(value, node)
        return value

    def _meant(self, node: Any, value: Any) -> JsonObject:
        """The subschema with references followed, and of alternatives the one of this kind."""
        if not isinstance(node, Mapping):
            return {}
        if "$ref" in node:
            return self._meant(resolve(node["$ref"], self._root), value)
        for keyword in ("anyOf", "oneOf"):
            for branch in node.get(keyword, ()):
                meant = self._meant(branch, value)
                if isinstance(value, Mapping) and "properties" in meant:
                    return meant
                if isinstance(value, list) and "items" in meant:
                    return meant
        return node

    def _object(self, value: JsonObject, node: JsonObject) -> JsonObject:
        properties, required = node.get("properties", {}), node.get("required", ())
        found = {}
        for name, child in value.items():
            schema = properties.get(name, {})
            tidy = self.value(child, schema)
            if isinstance(tidy, bool | int | float) and not self._told(name, tidy, schema):
                tidy = None
            if tidy is None and name not in required and not allows_null(schema, self._root):
                continue
            found[name] = tidy
        return found

    def _list(self, value: list[Any], node: JsonObject) -> list[Any]:
        items = node.get("items", {})
        found: list[Any] = []
        for child in value:
            if self._stands(child, items):
                tidy = self.value(child, items)
                if not isinstance(tidy, str | Mapping) or tidy not in found:
                    found.append(tidy)
        return found if len(found) >= node.get("minItems", 0) else value

    def _stands(self, value: Any, node: Any) -> bool:
        """Whether an entry of a list says anything, and what it names is in the evidence."""
        claims = list(self._claims(value, node))
        if not claims:
            return not isinstance(value, Mapping) or any(
                child not in (None, "", [], {}) for child in value.values()
            )
        return any(not _is_filler(claim) and self._supported(claim) for claim in claims)

    def _claims(self, value: Any, node: Any) -> Iterator[str]:
        """The texts of an entry that the model was free to choose."""
        node = self._meant(node, value)
        if isinstance(value, str) and not {"enum", "const", "pattern", "format"} & set(node):
            yield value
        elif isinstance(value, Mapping):
            for name, child in value.items():
                yield from self._claims(child, node.get("properties", {}).get(name, {}))

    def _text(self, value: str, node: JsonObject) -> str | None:
        if "enum" in node or "const" in node or not allows_null(node, self._root):
            return "" if _is_filler(value) and _takes_empty(node) else value
        return None if _is_filler(value) or not self._supported(value) else value

    def _told(self, name: str, value: float, node: Any) -> bool:
        """Whether the evidence has the number, or for yes and no a word of the field's name."""
        if not allows_null(node, self._root) or node in ({}, True):
            return True
        if isinstance(value, bool):
            return bool(_stems(name.replace("_", " ")) & self._stems)
        return f"{value:g}" in self._numbers

    def _supported(self, value: str) -> bool:
        if len(value) > _LONGEST_CLAIM or _stems(value) & self._stems:
            return True
        return value.strip().lower() in self._evidence  # short names, scripts without spaces


def _is_filler(text: str) -> bool:
    return text.strip().strip(".").lower() in _FILLER or not text.strip()


def _takes_empty(node: JsonObject) -> bool:
    bound = {"enum", "const", "pattern", "format"} & set(node)
    return not bound and not node.get("minLength")


def _stems(text: str) -> set[str]:
    return {word[:_STEM].lower() for word in _WORD.findall(text)}
