"""Schemas of a hostile grammar: refused with a place, or checked, sampled and validated in bounds.

`FUZZ_CASES=20000 pytest tests/fuzz` (in `make fuzz`) tries more of them.
"""

import os
import time
from contextlib import suppress
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from promptreel_server.domain.json_values import misfit
from promptreel_server.errors import Invalid
from promptreel_server.extractors.canned.extractor import CannedExtractor
from promptreel_server.extractors.json_schema.check import check_schema
from promptreel_server.extractors.json_schema.compiled import MOST_STEPS, CompiledSchema
from promptreel_server.extractors.json_schema.keywords import BY_NAME, LISTED, SINGLE
from promptreel_server.extractors.json_schema.validator import Budget, BudgetExceeded, errors
from promptreel_server.extractors.local.grammar import grammar

CASES = int(os.environ.get("FUZZ_CASES", "300"))
MOST_CPU = 8.0
"""Seconds of CPU that one case may take on a slow and busy machine."""

names = st.sampled_from(["a", "b", "person", "$defs", "~", "a/b", "é", "x" * 70])
scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.sampled_from([10**400, -(10**400), 1e308, 0, 1, 1_000_000_000]),
    st.text(max_size=8),
    st.sampled_from(["\x00", "\ud83d", "(a|a)*b", "^(?=a)", "[", "string", "object", "null"]),
)
data = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(names, inner, max_size=4)
)
references = st.sampled_from(
    [
        *("#", "#/", "#/properties/a", "#/$defs/person", "#/properties/a/default", "#/enum/0"),
        *("#a", "file:///etc/passwd#/a", "http://127.0.0.1:1/", "#/properties/a/x-note", "x"),
        *("#/allOf/0", "#/properties/~1", "#/$defs/~0", "urn:a"),
    ]
)
plain_keywords = st.sampled_from(
    [
        *("type", "enum", "const", "default", "examples", "title", "description", "format"),
        *("minimum", "maximum", "exclusiveMinimum", "multipleOf", "minLength", "maxLength"),
        *("minItems", "maxItems", "minContains", "minProperties", "uniqueItems", "required"),
        *("dependentRequired", "pattern", "$schema", "$id", "$anchor", "$dynamicAnchor"),
        *("$dynamicRef", "$recursiveRef", "$vocabulary", "$comment", "x-note", "nullable"),
        *("dependencies", "additionalItems", "contentSchema", "patternProperties"),
    ]
)


def _nodes(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    below = inner | references.map(lambda reference: {"$ref": reference})
    return st.dictionaries(plain_keywords, data, max_size=3).flatmap(
        lambda plain: st.fixed_dictionaries(
            {},
            optional={
                **dict.fromkeys(sorted(BY_NAME), st.dictionaries(names, below, max_size=3) | data),
                **dict.fromkeys(sorted(LISTED), st.lists(below, max_size=3) | data),
                **dict.fromkeys(sorted(SINGLE), below | data),
                "$ref": references,
            },
        ).map(lambda found: {**plain, **found})
    )


schemas: st.SearchStrategy[Any] = st.recursive(st.booleans() | st.just({}), _nodes, max_leaves=12)
roots = st.dictionaries(names, schemas, min_size=1, max_size=4).flatmap(
    lambda properties: schemas.map(
        lambda node: {
            **(node if isinstance(node, dict) else {}),
            "type": "object",
            "properties": properties,
        }
    )
)


def _checked(schema: dict[str, Any]) -> tuple[dict[str, Any], Invalid | None]:
    try:
        return check_schema(schema), None
    except Invalid as refused:
        return {}, refused


@settings(
    max_examples=CASES,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(schema=roots | data.filter(lambda value: isinstance(value, dict)), instance=data)
def test_a_schema_is_refused_with_its_place_or_costs_a_bounded_amount(
    schema: dict[str, Any], instance: Any
) -> None:
    before = time.process_time()
    plain, refused = _checked(schema)
    if refused is not None:
        assert refused.violations[0].field.startswith("json_schema")
        return
    ready = CompiledSchema(schema=plain, text="")
    with suppress(BudgetExceeded):
        list(errors(ready._validator, instance, Budget(MOST_STEPS)))
    reason = CannedExtractor().refuse(schema)
    if reason is None:
        assert misfit(ready.sample) is None
        assert ready.validate(ready.sample) == []
    grammar(plain)
    assert time.process_time() - before < MOST_CPU
