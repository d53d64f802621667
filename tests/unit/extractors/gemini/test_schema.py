"""What of a JSON Schema is sent to Gemini, and what is left to our own validation."""

from typing import Any

import pytest

from promptreel_server.extractors.gemini.chat import thinking
from promptreel_server.extractors.gemini.schema import holds_whole, taken

Schema = dict[str, Any]


def of(**fields: Any) -> Schema:
    return {"type": "object", "properties": fields}


def field(schema: Schema) -> Any:
    reduced = taken(of(a=schema))
    assert reduced is not None
    return reduced["properties"]["a"]


def test_what_the_api_documents_is_sent_as_it_is() -> None:
    schema = of(
        people={
            "type": "array",
            "minItems": 1,
            "items": {"$ref": "#/$defs/person"},
            "description": "Who is seen",
        },
        score={"anyOf": [{"type": "number", "minimum": 0, "maximum": 1}, {"type": "null"}]},
        mood={"type": ["string", "null"]},
        pair={"type": "array", "prefixItems": [{"type": "integer"}, {"type": "string"}]},
        when={"type": "string", "format": "date-time"},
        rating={"type": "integer", "enum": [1, 2, 3]},
    ) | {
        "required": ["people"],
        "additionalProperties": False,
        "$defs": {"person": of(name={"type": "string"})},
    }
    assert taken(schema) == schema
    assert holds_whole(schema)


@pytest.mark.parametrize(
    ("schema", "sent"),
    [
        ({"type": "string", "pattern": "^a", "minLength": 2, "maxLength": 9}, {"type": "string"}),
        ({"type": "number", "exclusiveMinimum": 0, "multipleOf": 2}, {"type": "number"}),
        ({"type": "array", "uniqueItems": True, "contains": {}}, {"type": "array"}),
        ({"type": "string", "format": "email"}, {"type": "string"}),
        ({"not": {"type": "null"}, "type": "string"}, {"type": "string"}),
        ({"type": "boolean", "enum": [True]}, {"type": "boolean"}),
        ({"type": "string", "enum": ["", "a"]}, {"type": "string"}),
        ({"type": "string", "default": "x", "examples": ["y"]}, {"type": "string"}),
        (True, {}),
    ],
)
def test_other_keywords_are_dropped_and_the_schema_is_spelled_out(
    schema: Any, sent: Schema
) -> None:
    assert field(schema) == sent
    assert not holds_whole(of(a=schema))


def test_a_constant_becomes_a_choice_of_one() -> None:
    assert field({"const": "clip"}) == {"enum": ["clip"]}


def test_null_among_choices_becomes_an_alternative() -> None:
    schema = {"type": ["string", "null"], "enum": ["a", "b", None], "description": "Which"}
    assert field(schema) == {
        "description": "Which",
        "anyOf": [{"type": "string", "enum": ["a", "b"]}, {"type": "null"}],
    }


def test_beside_a_reference_nothing_else_is_sent() -> None:
    assert field({"$ref": "#/$defs/x", "description": "d"}) == {"$ref": "#/$defs/x"}
    assert field({"allOf": [{"$ref": "#/$defs/x"}], "title": "t"}) == {"$ref": "#/$defs/x"}


def test_a_property_that_must_not_be_there_is_not_named() -> None:
    assert taken(of(a={"type": "string"}, b=False)) == of(a={"type": "string"})


def test_a_schema_without_a_property_that_can_be_sent_is_not_sent() -> None:
    several = [of(a={"type": "string"}), of(b={"type": "string"})]
    assert taken({"type": "object", "allOf": several}) is None


@pytest.mark.parametrize(
    ("model", "budget", "says"),
    [
        ("gemini-2.5-flash", 512, {"thinking_budget": 512}),
        ("gemini-2.5-flash-lite", 0, {"thinking_budget": 0}),
        ("gemini-2.5-pro", -1, None),
        ("gemini-2.0-flash", 512, None),
        ("gemini-3.5-flash", 512, {"thinking_level": "LOW"}),
        ("gemini-3.1-pro-preview", 8000, None),
        ("gemini-flash-latest", 512, None),
    ],
)
def test_models_are_told_how_much_to_think_in_the_way_they_take(
    model: str, budget: int, says: Schema | None
) -> None:
    config = thinking(model, budget)
    assert (config and config.model_dump(exclude_none=True, mode="json")) == says
