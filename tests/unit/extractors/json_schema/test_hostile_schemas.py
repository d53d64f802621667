"""A schema from a caller is data: it opens nothing, reaches nothing and costs a bounded amount."""

import asyncio
import time
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from promptreel_server.errors import Invalid
from promptreel_server.extractors.json_schema.check import check_schema
from promptreel_server.extractors.json_schema.compiled import (
    MOST_STEPS,
    STEPS_AT_ONCE,
    TOO_INTRICATE,
    CompiledSchema,
    compiled,
)
from promptreel_server.extractors.json_schema.validator import (
    Budget,
    BudgetExceeded,
    errors,
    validator,
)

MOST_CPU = 8.0
"""Seconds that any validation ends within, on a machine that is slow and busy."""


def root(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties}


def refused(schema: dict[str, Any]) -> str:
    with pytest.raises(Invalid) as error:
        check_schema(schema, "s")
    return error.value.violations[0].field


HIDDEN = {"$dynamicRef": "file:///etc/secret.json#/password"}


@pytest.mark.parametrize(
    "keyword", ["x-note", "default", "const", "examples", "contentSchema", "dependencies"]
)
def test_a_reference_into_plain_data_is_refused(keyword: str) -> None:
    value: Any = [HIDDEN] if keyword == "examples" else HIDDEN
    step = "/0" if keyword == "examples" else ""
    schema = root(a={keyword: value}, b={"$ref": f"#/properties/a/{keyword}{step}"})
    assert refused(schema) == "s.properties.b.$ref"


def test_a_reference_into_an_enum_is_refused() -> None:
    schema = root(a={"enum": [HIDDEN]}, b={"$ref": "#/properties/a/enum/0"})
    assert refused(schema) == "s.properties.b.$ref"


@pytest.mark.parametrize(
    ("keyword", "value"),
    [
        ("$schema", "http://json-schema.org/draft-07/schema#"),
        ("$schema", "https://json-schema.org/draft/2020-12/schema"),
        ("$id", "file:///etc/"),
        ("$anchor", "a"),
        ("$dynamicAnchor", "a"),
        ("$dynamicRef", "file:///etc/secret.json#/password"),
        ("$recursiveRef", "#"),
        ("$recursiveAnchor", True),
        ("$vocabulary", {}),
    ],
)
@pytest.mark.parametrize("place", ["properties", "items", "anyOf", "if", "not", "$defs"])
def test_what_changes_the_meaning_of_a_subschema_is_refused_wherever_one_stands(
    keyword: str, value: Any, place: str
) -> None:
    bad = {keyword: value}
    node: dict[str, Any] = {
        "properties": root(b=bad),
        "items": {"items": bad},
        "anyOf": {"anyOf": [bad]},
        "if": {"if": bad},
        "not": {"not": bad},
        "$defs": {"$defs": {"d": bad}},
    }[place]
    assert refused(root(a=node)).endswith(f".{keyword}")


def test_another_dialect_at_the_root_is_refused() -> None:
    assert refused({**root(a={}), "$schema": "http://json-schema.org/draft-07/schema#"}) == (
        "s.$schema"
    )
    check_schema({**root(a={}), "$schema": "https://json-schema.org/draft/2020-12/schema"})


@pytest.mark.parametrize(
    ("node", "place"),
    [
        ({"items": [{}]}, "items"),
        ({"anyOf": []}, "anyOf"),
        ({"anyOf": {}}, "anyOf"),
        ({"anyOf": [3]}, "anyOf.0"),
        ({"properties": []}, "properties"),
        ({"properties": {"b": 1}}, "properties.b"),
        ({"$defs": {"d": "x"}}, "$defs.d"),
        ({"if": 1}, "if"),
        ({"type": []}, "type"),
        ({"type": [["string"]]}, "type"),
        ({"type": {"a": 1}}, "type"),
        ({"enum": []}, "enum"),
        ({"enum": "abc"}, "enum"),
        ({"required": "abc"}, "required"),
        ({"required": ["a", "a"]}, "required"),
        ({"required": [["a"]]}, "required"),
        ({"pattern": 1}, "pattern"),
        ({"$ref": 1}, "$ref"),
        ({"minimum": "1"}, "minimum"),
        ({"minimum": True}, "minimum"),
        ({"multipleOf": 0}, "multipleOf"),
        ({"minItems": -1}, "minItems"),
        ({"minItems": 1.5}, "minItems"),
        ({"minItems": 1_000_000_000}, "minItems"),
        ({"minLength": 1_000_000_000}, "minLength"),
        ({"uniqueItems": "yes"}, "uniqueItems"),
        ({"dependentRequired": {"a": "b"}}, "dependentRequired"),
        ({"dependentSchemas": {"a": 1}}, "dependentSchemas.a"),
        ({"enum": list(range(2000))}, "enum"),
    ],
)
def test_a_malformed_subschema_is_refused_with_its_place(node: dict[str, Any], place: str) -> None:
    assert refused(root(a=node)) == f"s.properties.a.{place}"


@pytest.mark.parametrize(
    "keyword",
    ["if", "not", "contains", "propertyNames", "additionalProperties", "unevaluatedProperties"],
)
def test_a_schema_that_refers_to_itself_through_any_keyword_is_refused(keyword: str) -> None:
    assert "a" in refused(root(a={keyword: {"$ref": "#/properties/a"}}))
    assert refused({**root(a={}), keyword: {"$ref": "#"}}).startswith("s")


def test_names_of_any_length_make_short_errors() -> None:
    with pytest.raises(Invalid) as error:
        check_schema(root(**{"n" * 30_000: {"type": "strin"}}))
    assert len(error.value.message) < 500


def test_checking_a_schema_as_large_as_may_be_costs_little() -> None:
    schema = root(**{f"f{n}": {"type": "string", "title": "x" * 40} for n in range(800)})
    before = time.process_time()
    check_schema(schema)
    assert time.process_time() - before < 1.0


def test_a_validator_retrieves_nothing_even_from_a_schema_that_was_not_checked(
    tmp_path: Path,
) -> None:
    secret = tmp_path / "secret.json"
    secret.write_text('{"password": {"const": "hunter2"}}')
    asked: list[str] = []

    class Recorder(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b'{"const": "hunter2"}')

    server = HTTPServer(("127.0.0.1", 0), Recorder)
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        for reference in (
            f"{secret.as_uri()}#/password",
            f"http://127.0.0.1:{server.server_port}/a",
        ):
            for keyword in ("$ref", "$dynamicRef"):
                unchecked = CompiledSchema(schema=root(a={keyword: reference}), text="")
                with pytest.raises(Exception, match=r"(?i)unresolvable") as error:
                    unchecked.validate({"a": "x"})
                assert "hunter2" not in str(error.value)
    finally:
        server.shutdown()
        server.server_close()
    assert asked == []


NASTY: list[tuple[str, dict[str, Any], Any]] = [
    (
        "uniqueItems over objects",
        root(a={"type": "array", "uniqueItems": True}),
        {"a": [{"a": n, "b": [n] * 3} for n in range(30_000)]},
    ),
    (
        "enum",
        root(a={"items": {"enum": [{"k": n} for n in range(1000)]}}),
        {"a": [{"k": -1}] * 20_000},
    ),
    (
        "anyOf",
        root(a={"items": {"anyOf": [{"required": [f"k{n}"]} for n in range(900)]}}),
        {"a": [{"z": 1}] * 20_000},
    ),
    (
        "oneOf",
        root(a={"items": {"oneOf": [{"type": "integer"}] * 900}}),
        {"a": list(range(20_000))},
    ),
    ("contains", root(a={"contains": {"const": -1}}), {"a": list(range(100_000))}),
    (
        "unevaluatedProperties",
        {**root(a={}), "unevaluatedProperties": False},
        {f"k{n}": 1 for n in range(100_000)},
    ),
    (
        "unevaluatedItems",
        root(a={"type": "array", "contains": {"type": "string"}, "unevaluatedItems": False}),
        {"a": list(range(100_000))},
    ),
    (
        "propertyNames",
        {**root(a={}), "propertyNames": {"pattern": "(a|a)*b$"}},
        {f"{'a' * 60}{n}": 1 for n in range(50_000)},
    ),
    (
        "pattern",
        root(a={"items": {"type": "string", "pattern": "^(a|a)*$"}}),
        {"a": ["a" * 26 + "b"] * 20_000},
    ),
    (
        "long messages",
        root(a={"anyOf": [{"const": n} for n in range(900)]}),
        {"a": ["x" * 100] * 10_000},
    ),
]


@pytest.mark.parametrize(
    ("schema", "instance"), [case[1:] for case in NASTY], ids=[c[0] for c in NASTY]
)
def test_a_validation_ends_within_its_budget_whatever_is_validated(
    schema: dict[str, Any], instance: Any
) -> None:
    ready = validator(check_schema(schema))
    before = time.process_time()
    try:
        next(errors(ready, instance, Budget(MOST_STEPS)), None)
        list(errors(ready, instance, Budget(MOST_STEPS)))
    except BudgetExceeded:
        pass
    assert time.process_time() - before < MOST_CPU


async def test_what_takes_long_is_validated_beside_the_loop_and_refused_in_the_end() -> None:
    missing = [{"required": [f"k{n}"]} for n in range(900)]
    schema = compiled(root(a={"items": {"anyOf": [*missing, {"type": "object"}]}}))
    instance = {"a": [{"z": 1}] * 20_000}
    assert schema.validate(instance) == [TOO_INTRICATE], "on the loop only what is small"
    ticks = 0

    async def tick() -> None:
        nonlocal ticks
        while True:
            await asyncio.sleep(0.001)
            ticks += 1

    ticking = asyncio.create_task(tick())
    assert await schema.checked(instance) == [TOO_INTRICATE]
    ticking.cancel()
    assert ticks > 10, "the loop went on meanwhile"


async def test_a_large_answer_that_is_simple_is_validated_whole() -> None:
    schema = compiled(root(a={"type": "array", "items": {"type": "integer"}}))
    instance = {"a": [*range(STEPS_AT_ONCE), "last"]}
    (wrong,) = await schema.checked(instance)
    assert wrong.startswith(f"a.{STEPS_AT_ONCE}: ")


async def test_a_validation_ends_when_nobody_waits_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    schema = compiled(root(a={"contains": {"const": -1}}))
    monkeypatch.setattr(
        "promptreel_server.extractors.json_schema.compiled.MOST_STEPS", 1_000_000_000
    )
    task = asyncio.create_task(schema.checked({"a": list(range(5_000_000))}))
    await asyncio.sleep(0.3)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await schema.checked({"a": [-1] * 10_000}) == [], "the one thread is free again"


@pytest.mark.parametrize(
    ("schema", "instance", "valid"),
    [
        ({"enum": [1]}, 1.0, True),
        ({"enum": [1]}, True, False),
        ({"enum": [0]}, False, False),
        ({"const": {"a": [1, {"b": 2.0}]}}, {"a": [1.0, {"b": 2}]}, True),
        ({"const": None}, 0, False),
        ({"const": "1"}, 1, False),
        ({"uniqueItems": True}, [1, True, "1", [1], [True], {"a": 1}], True),
        ({"uniqueItems": True}, [{"a": 1, "b": 2}, {"b": 2.0, "a": 1}], False),
        ({"uniqueItems": True}, [[], {}], True),
        ({"uniqueItems": False}, [1, 1], True),
    ],
)
def test_equality_is_that_of_json_schema(
    schema: dict[str, Any], instance: Any, valid: bool
) -> None:
    assert (compiled(root(a=schema)).validate({"a": instance}) == []) is valid
