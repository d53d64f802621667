"""What a prompt may ask for, and whether an answer meets it."""

import time
from typing import Any

import pytest

from promptreel_server.errors import Invalid
from promptreel_server.extractors.json_schema.compiled import (
    MOST_BYTES,
    check_schema,
    compiled,
    leaves,
    metadata_text,
    parse_answer,
)

PERSON = {
    "type": "object",
    "properties": {"name": {"type": "string"}, "emotion": {"type": ["string", "null"]}},
    "required": ["name"],
}
SCENE = {
    "type": "object",
    "properties": {
        "title": {"type": "string"},
        "mood": {"enum": ["calm", "tense"]},
        "score": {"type": "number", "minimum": 0.0, "maximum": 1.0},
        "scene": {
            "type": "object",
            "properties": {
                "place": {"type": "string"},
                "people": {"type": "array", "items": {"$ref": "#/$defs/person"}, "maxItems": 3.0},
            },
        },
        "topics": {"type": "array", "items": {"type": "string"}},
    },
    "required": ["title"],
    "$defs": {"person": PERSON},
}


def test_a_useful_schema_is_taken() -> None:
    check_schema(SCENE)


def _root(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties}


@pytest.mark.parametrize(
    ("schema", "place"),
    [
        ({"type": "array", "items": {}}, "s.type"),
        ({"properties": {"a": {}}}, "s.type"),
        ({"type": "object"}, "s.properties"),
        (_root(**{"a.b": {}}), "s.properties"),
        (_root(**{"a[]": {}}), "s.properties"),
        (_root(**{"": {}}), "s.properties"),
        (_root(a=_root(**{"b]": {}})), "s.properties.a.properties"),
        (_root(start_time={"type": "number"}), "s.properties.start_time"),
        (_root(metadata_text={"type": "string"}), "s.properties.metadata_text"),
        (_root(transcription=PERSON), "s.properties.transcription"),
        ({**_root(a={}), "allOf": [_root(end_time={})]}, "s.properties.end_time"),
        (_root(a={"type": "strin"}), "s.properties.a.type"),
        (_root(a={"type": "array", "items": 3}), "s.properties.a.items"),
        (_root(a={"$ref": "https://example.org/a"}), "s.properties.a.$ref"),
        (_root(a={"$ref": "#/$defs/none"}), "s.properties.a.$ref"),
        (_root(a={"$ref": "#/type"}), "s.properties.a.$ref"),
        (_root(a={"$id": "x"}), "s.properties.a.$id"),
        (_root(a={"patternProperties": {"a": {}}}), "s.properties.a.patternProperties"),
        (_root(a={"type": "string", "pattern": "(?=a)"}), "s.properties.a.pattern"),
        (_root(a={"type": "string", "pattern": "a" * 300}), "s.properties.a.pattern"),
        (_root(a={"description": "x" * MOST_BYTES}), "s"),
        (_root(a={"minimum": float("nan")}), "s"),
        (_root(a={"enum": [object()]}), "s"),
    ],
)
def test_a_schema_that_cannot_be_asked_is_refused_with_its_place(
    schema: dict[str, Any], place: str
) -> None:
    with pytest.raises(Invalid) as refused:
        check_schema(schema, "s")
    assert [violation.field for violation in refused.value.violations] == [place]


def test_a_schema_that_refers_to_itself_is_refused() -> None:
    node = {"type": "object", "properties": {"child": {"$ref": "#/$defs/node"}}}
    with pytest.raises(Invalid, match="refers to itself"):
        check_schema({**_root(tree={"$ref": "#/$defs/node"}), "$defs": {"node": node}})


def test_a_schema_that_doubles_with_every_reference_is_refused_at_once() -> None:
    twice: dict[str, Any] = {"d0": {"type": "string"}}
    for level in range(1, 20):
        below = {"$ref": f"#/$defs/d{level - 1}"}
        twice[f"d{level}"] = _root(a=below, b=below)
    before = time.process_time()
    with pytest.raises(Invalid, match="unfolds"):
        check_schema({**_root(x={"$ref": "#/$defs/d19"}), "$defs": twice})
    assert time.process_time() - before < 1.0


def test_a_schema_nested_beyond_reason_is_refused() -> None:
    deep: dict[str, Any] = {"type": "string"}
    for _ in range(5000):
        deep = {"type": "array", "items": deep}
    with pytest.raises(Invalid, match="nested deeper"):
        check_schema(_root(a=deep))


def test_a_reserved_name_below_the_root_is_a_field_like_any_other() -> None:
    check_schema(_root(events={"type": "array", "items": _root(start_time={"type": "number"})}))


def test_leaves_are_named_as_the_contract_names_them() -> None:
    assert leaves(SCENE) == (
        "title",
        "mood",
        "score",
        "scene.place",
        "scene.people[].name",
        "scene.people[].emotion",
        "topics",
    )


def test_leaves_of_alternatives_are_all_named() -> None:
    either = {"anyOf": [_root(a={"type": "string"}), _root(b={"type": "string"}), {"type": "null"}]}
    assert leaves(_root(x=either, y={"type": ["array", "null"], "items": _root(z={})})) == (
        "x.a",
        "x.b",
        "y[].z",
    )


def test_a_valid_answer_has_no_errors() -> None:
    assert compiled(SCENE).validate({"title": "A", "scene": {"people": [{"name": "Ada"}]}}) == []


def test_errors_name_the_place_and_the_fault() -> None:
    errors = compiled(SCENE).validate({"title": 3, "scene": {"people": [{}]}})
    assert sorted(errors) == [
        "scene.people.0: 'name' is a required property",
        "title: 3 is not of type 'string'",
    ]


def test_errors_stay_short_however_long_the_answer() -> None:
    errors = compiled(SCENE).validate({"title": list(range(100_000)), "mood": "x" * 100_000})
    assert max(map(len, errors)) < 400


def test_float_bounds_are_checked_though_grammars_cannot() -> None:
    assert compiled(SCENE).validate({"title": "A", "score": 1.5})


def test_patterns_that_hang_other_engines_are_matched_at_once() -> None:
    schema = compiled(_root(a={"type": "string", "pattern": "^(a|a)*$"}))
    before = time.process_time()
    assert schema.validate({"a": "a" * 100 + "b"})
    assert not schema.validate({"a": "a" * 100})
    assert time.process_time() - before < 0.5


def test_whole_numbers_that_came_as_floats_are_whole_again() -> None:
    people = compiled(SCENE).schema["properties"]["scene"]["properties"]["people"]
    assert people["maxItems"] == 3
    assert isinstance(people["maxItems"], int)


@pytest.mark.parametrize(
    "schema",
    [
        SCENE,
        _root(a={"type": "array", "items": {"type": "integer"}, "minItems": 3}),
        _root(a={"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1}),
        _root(a={"type": "string", "minLength": 4}, b={"const": 7}, c={"type": "null"}),
        _root(a={"type": "string", "pattern": r"^\d{4}-\d{2}-\d{2}$"}),
        _root(a={"allOf": [{"$ref": "#/$defs/p"}, _root(x={"type": "boolean"})]})
        | {"$defs": {"p": PERSON}},
        _root(a={"oneOf": [PERSON, {"type": "null"}]}),
    ],
)
def test_samples_are_valid(schema: dict[str, Any]) -> None:
    made = compiled(schema).sample
    assert compiled(schema).validate(made) == []
    assert set(made) == set(schema["properties"])


def test_a_sample_that_cannot_be_made_is_refused_not_invented() -> None:
    with pytest.raises(Invalid, match="no sample"):
        compiled(_root(a={"type": "string", "pattern": "^Q[xyz]{7}$"})).sample  # noqa: B018


def test_compiling_the_same_schema_again_gives_the_same() -> None:
    assert compiled(SCENE) is compiled(SCENE)


def test_metadata_text_is_a_line_a_leaf() -> None:
    metadata = {
        "title": "A  fine\nday",
        "live": True,
        "score": 3.0,
        "scene": {"people": [{"name": "Ada", "emotion": None}, {"name": "Bo", "emotion": "joy"}]},
        "topics": ["sea", "", "sky"],
        "empty": [],
    }
    assert metadata_text(metadata).splitlines() == [
        "title: A fine day",
        "live: yes",
        "score: 3",
        "scene.people[].name: Ada",
        "scene.people[].name: Bo",
        "scene.people[].emotion: joy",
        "topics: sea, sky",
    ]


@pytest.mark.parametrize("disabled", ["scene", "scene.people", "scene.people[]"])
def test_a_disabled_path_leaves_out_all_below_it(disabled: str) -> None:
    metadata = {"title": "A", "scene": {"people": [{"name": "Ada"}]}}
    assert metadata_text(metadata, [disabled]) == "title: A"


@pytest.mark.parametrize("text", ["", "{", '{"a": NaN}', '{"a": Infinity}'])
def test_what_is_no_json_is_no_answer(text: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        parse_answer(text)
