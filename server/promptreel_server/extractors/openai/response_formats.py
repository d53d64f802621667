"""How an OpenAI-compatible endpoint is asked for JSON, and what it would not take."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from promptreel_server.domain.prompt import JsonObject
from promptreel_server.errors import FailureCode, ModelFailure
from promptreel_server.extractors.json_schema.compiled import CompiledSchema

_MOST_REMEMBERED = 1000
_ABOUT_LIMIT = re.compile(r"max_completion_tokens", re.IGNORECASE)
_ABOUT_FORMAT = re.compile(
    r"response_format|json_schema|json_object|schema|grammar|guided|structured", re.IGNORECASE
)
_STRICT = frozenset(
    {"type", "title", "description", "properties", "required", "additionalProperties"}
    | {"items", "enum", "const", "anyOf", "$ref", "$defs", "pattern", "minimum", "maximum"}
    | {"exclusiveMinimum", "exclusiveMaximum", "multipleOf", "minItems", "maxItems"}
)
"""Keywords of the schemas that OpenAI holds its answers to without exception."""


class Format(Enum):
    """What an answer is held to, from most to least."""

    JSON_SCHEMA = "json_schema"
    JSON_OBJECT = "json_object"
    NOTHING = "nothing"


_NEXT = {Format.JSON_SCHEMA: Format.JSON_OBJECT, Format.JSON_OBJECT: Format.NOTHING}


@dataclass(kw_only=True)
class Formats:
    """What was learnt about one endpoint and model: refusals are remembered, per schema."""

    limit_name: str = "max_tokens"
    _settled: dict[str, Format] = field(default_factory=dict)

    def of(self, schema: CompiledSchema) -> Format:
        """The most that the endpoint is not known to refuse for a schema."""
        return self._settled.get(schema.text, Format.JSON_SCHEMA)

    def learn(self, schema: CompiledSchema, failure: ModelFailure) -> bool:
        """Take note of a refusal; answer whether the same can be asked in another way."""
        message = failure.message
        if failure.failure_code not in (
            FailureCode.INVALID_REQUEST,
            FailureCode.MODEL_UNAVAILABLE,  # some servers say it with a 500
        ):
            return False
        if self.limit_name == "max_tokens" and _ABOUT_LIMIT.search(message):
            self.limit_name = "max_completion_tokens"
            return True
        settled = self.of(schema)
        if settled not in _NEXT or not _ABOUT_FORMAT.search(message):
            return False
        while len(self._settled) >= _MOST_REMEMBERED:
            self._settled.pop(next(iter(self._settled)))
        self._settled[schema.text] = _NEXT[settled]
        return True


def response_format(schema: CompiledSchema, kind: Format) -> JsonObject | None:
    """The `response_format` of a request; None where it is left out."""
    if kind is Format.NOTHING:
        return None
    if kind is Format.JSON_OBJECT:
        return {"type": "json_object"}
    held = {"name": "answer", "schema": schema.schema, "strict": strictly_held(schema.schema)}
    return {"type": "json_schema", "json_schema": held}


def strictly_held(node: Any) -> bool:
    """Whether OpenAI takes a schema as `strict`: every property required, nothing beside them.

    Rewriting others would change what they mean, so they are sent as they are, not strict.
    """
    if not isinstance(node, Mapping):
        return False
    if not set(node) <= _STRICT:
        return False
    named = node.get("properties")
    if node.get("type") == "object" or named is not None:
        closed = node.get("additionalProperties") is False
        if not closed or set(node.get("required", ())) != set(named or {}):
            return False
    children = [*(named or {}).values(), *node.get("$defs", {}).values(), *node.get("anyOf", ())]
    if "items" in node:
        children.append(node["items"])
    return all(strictly_held(child) for child in children)
