"""The keywords of JSON Schema (Draft 2020-12) that a prompt may use, and the shape of each.

A subschema stands only where this module says so. Every other place (`default`, `const`, `enum`,
`examples`, a keyword that is not known) holds plain data that no `$ref` may point into.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

DIALECT = "https://json-schema.org/draft/2020-12/schema"
MOST_MEMBERS = 1000
"""Members of an `enum`, names in a `required`."""
MOST_LEAST = 1000
"""The highest `minItems`, `minContains` or `minProperties`: an answer must hold so many."""
LONGEST_LEAST = 10_000
"""The highest `minLength`."""

BY_NAME = frozenset({"properties", "$defs", "definitions", "dependentSchemas"})
LISTED = frozenset({"prefixItems", "allOf", "anyOf", "oneOf"})
SINGLE = frozenset(
    {
        *("items", "contains", "additionalProperties", "unevaluatedItems"),
        *("unevaluatedProperties", "propertyNames", "not", "if", "then", "else"),
    }
)
_DOLLAR = frozenset({"$schema", "$ref", "$defs", "$comment"})
_TYPES = frozenset({"array", "boolean", "integer", "null", "number", "object", "string"})


def children(node: Mapping[str, Any]) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Name each place below a subschema where another stands, by its steps, with what is there."""
    for keyword, value in node.items():
        if keyword in BY_NAME and isinstance(value, Mapping):
            yield from (((keyword, name), child) for name, child in value.items())
        elif keyword in LISTED and isinstance(value, list):
            yield from (((keyword, str(n)), child) for n, child in enumerate(value))
        elif keyword in SINGLE:
            yield (keyword,), value


def fault(keyword: str, value: Any) -> str | None:
    """Say why a keyword can't have this value, or None where it can."""
    if keyword.startswith("$") and keyword not in _DOLLAR:
        return "is not supported; use $ref to #/$defs/…"
    if keyword == "patternProperties":
        return "is not supported: name every field"
    if keyword in BY_NAME:
        return None if isinstance(value, Mapping) else "must be an object of schemas by name"
    if keyword in LISTED:
        return None if isinstance(value, list) and value else "must be a list of schemas, not empty"
    if keyword in SINGLE:
        return _schema(value)
    shape = _SHAPES.get(keyword)
    return None if shape is None else shape(value)


def _schema(value: Any) -> str | None:
    return (
        None if isinstance(value, Mapping | bool) else "must be a schema: an object, true or false"
    )


def _text(value: Any) -> str | None:
    return None if isinstance(value, str) else "must be a text"


def _number(value: Any) -> str | None:
    return None if _is_number(value) else "must be a number"


def _positive(value: Any) -> str | None:
    return None if _is_number(value) and value > 0 else "must be a number above 0"


def _count(value: Any) -> str | None:
    return None if _is_count(value) else "must be a whole number, 0 or more"


def _least(most: int) -> Callable[[Any], str | None]:
    def check(value: Any) -> str | None:
        if _is_count(value) and value <= most:
            return None
        return f"must be a whole number from 0 to {most}"

    return check


def _flag(value: Any) -> str | None:
    return None if isinstance(value, bool) else "must be true or false"


def _names(value: Any) -> str | None:
    if not isinstance(value, list) or not all(isinstance(name, str) for name in value):
        return "must be a list of names"
    if len(value) > MOST_MEMBERS:
        return f"must hold {MOST_MEMBERS} names at the most"
    return None if len(set(value)) == len(value) else "must hold each name once"


def _names_by_name(value: Any) -> str | None:
    if not isinstance(value, Mapping):
        return "must be an object of lists of names"
    return next((wrong for names in value.values() if (wrong := _names(names))), None)


def _enum(value: Any) -> str | None:
    if not isinstance(value, list) or not value:
        return "must be a list of values, not empty"
    return None if len(value) <= MOST_MEMBERS else f"must hold {MOST_MEMBERS} values at the most"


def _list(value: Any) -> str | None:
    return None if isinstance(value, list) else "must be a list"


def _type(value: Any) -> str | None:
    kinds = value if isinstance(value, list) else [value]
    known = all(isinstance(kind, str) and kind in _TYPES for kind in kinds)
    if not kinds or not known or len(set(kinds)) != len(kinds):
        return f"must be one of {', '.join(sorted(_TYPES))}, or a list of these, each once"
    return None


def _dialect(value: Any) -> str | None:
    if isinstance(value, str) and value.rstrip("#") == DIALECT:
        return None
    return f"must be left out or {DIALECT}: no other dialect is supported"


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


_SHAPES: dict[str, Callable[[Any], str | None]] = {
    "$schema": _dialect,
    "type": _type,
    "enum": _enum,
    "examples": _list,
    "required": _names,
    "dependentRequired": _names_by_name,
    "multipleOf": _positive,
    "minLength": _least(LONGEST_LEAST),
    **dict.fromkeys(("minItems", "minContains", "minProperties"), _least(MOST_LEAST)),
    **dict.fromkeys(("maxLength", "maxItems", "maxContains", "maxProperties"), _count),
    **dict.fromkeys(
        ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"),
        _number,
    ),
    **dict.fromkeys(("uniqueItems", "deprecated", "readOnly", "writeOnly"), _flag),
    **dict.fromkeys(
        ("$ref", "$comment", "title", "description", "format", "pattern"),
        _text,
    ),
}
