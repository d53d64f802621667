"""The schema that a local model's answers are constrained by."""

import json
from typing import Any

import pytest

from promptreel_server.extractors.json_schema.compiled import compiled, sample
from promptreel_server.extractors.local.grammar import (
    LONGEST_TEXT,
    MOST_ITEMS,
    USUAL_ITEMS,
    allows_null,
    bounded_schema,
    grammar,
)


def _root(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": list(properties)}


def _property(node: dict[str, Any], **more: Any) -> Any:
    return bounded_schema(_root(a=node) | more)["properties"]["a"]


def test_strings_and_arrays_without_an_end_get_one() -> None:
    assert _property({"type": "string"})["maxLength"] == LONGEST_TEXT
    assert _property({"type": "array", "items": {"type": "string"}})["maxItems"] == USUAL_ITEMS
    assert _property({"type": "array", "maxItems": 10_000})["maxItems"] == MOST_ITEMS
    assert _property({"type": "array", "minItems": 50})["maxItems"] == 50


def test_bounds_that_the_schema_sets_stay() -> None:
    assert _property({"type": "string", "minLength": 2, "maxLength": 5}) == {
        "type": "string",
        "minLength": 2,
        "maxLength": 5,
    }
    number = {"type": "number", "minimum": 0, "maximum": 1}
    assert _property(number) == number
    assert _property({"enum": ["a", None]}) == {"enum": ["a", None]}
    assert _property({"type": "string", "pattern": "^a+$"})["pattern"] == "^a+$"


def test_every_property_is_asked_for_and_optional_ones_may_be_null() -> None:
    schema = {"type": "object", "properties": {"a": {"type": "integer"}, "b": {"type": "null"}}}
    bounded = bounded_schema(schema)
    assert bounded["required"] == ["a", "b"]
    assert bounded["additionalProperties"] is False
    assert bounded["properties"]["a"] == {"anyOf": [{"type": "integer"}, {"type": "null"}]}
    assert bounded["properties"]["b"] == {"type": "null"}


def test_references_and_conjunctions_are_folded_in() -> None:
    person = {"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]}
    bounded = _property(
        {"allOf": [{"$ref": "#/$defs/person"}, {"properties": {"age": {"type": "integer"}}}]},
        **{"$defs": {"person": person}},
    )
    assert set(bounded["properties"]) == {"name", "age"}
    assert "$ref" not in json.dumps(bounded)


def test_alternatives_stay_alternatives() -> None:
    assert _property({"oneOf": [{"type": "integer"}, {"type": "null"}]}) == {
        "anyOf": [{"type": "integer"}, {"type": "null"}]
    }
    assert _property({"type": ["integer", "null"]}) == {
        "anyOf": [{"type": "integer"}, {"type": "null"}]
    }


def test_keywords_that_no_grammar_holds_are_left_to_the_check_afterwards() -> None:
    node = {
        "type": "array",
        "items": {"type": "string", "not": {"const": "x"}, "format": "email"},
        "uniqueItems": True,
        "contains": {"const": "a"},
    }
    assert not {"uniqueItems", "contains", "not", "email"} & set(
        json.dumps(_property(node)).split('"')
    )


@pytest.mark.parametrize(
    "schema",
    [
        _root(a={"type": "string"}, b={"type": "array", "items": _root(c={"type": "boolean"})}),
        _root(a={"anyOf": [_root(x={"enum": [1, 2]}), {"type": "null"}]}),
        _root(a=True, b={}),
    ],
)
def test_what_the_grammar_allows_is_valid_for_the_schema(schema: dict[str, Any]) -> None:
    assert compiled(schema).validate(sample(bounded_schema(schema))) == []


def test_the_grammar_is_one_line_of_llguidance() -> None:
    head, start = grammar(_root(a={"type": "string"})).splitlines()
    assert head == "%llguidance {}"
    assert json.loads(start.removeprefix("start: %json "))["x-guidance"]["item_separator"] == ", "


@pytest.mark.parametrize(
    ("node", "allowed"),
    [
        ({"type": "string"}, False),
        ({"type": ["string", "null"]}, True),
        ({"enum": ["a", None]}, True),
        ({"enum": ["a"], "type": ["string", "null"]}, False),
        ({"anyOf": [{"type": "string"}, {"type": "null"}]}, True),
        ({"$ref": "#/$defs/n"}, True),
        ({}, True),
        ({"const": 1}, False),
        (True, True),
        (False, False),
    ],
)
def test_whether_null_is_valid_is_told(node: Any, allowed: bool) -> None:
    assert allows_null(node, {"$defs": {"n": {"type": "null"}}}) is allowed
