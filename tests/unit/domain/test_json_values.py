"""One definition of what the store, protobuf, JSON and the gateway can carry."""

import json
from typing import Any

import pytest
from google.protobuf.json_format import MessageToJson
from google.protobuf.struct_pb2 import Struct

from promptreel_server.domain.json_values import (
    LARGEST_COUNT,
    MOST_CHARACTERS,
    MOST_LEVELS,
    MOST_VALUES,
    UNREADABLE,
    count,
    misfit,
    storable,
)
from promptreel_server.services.messages.json_structs import to_struct


def nested(levels: int, innermost: Any = 1) -> Any:
    value = innermost
    for _ in range(levels):
        value = {"a": value}
    return value


@pytest.mark.parametrize(
    "value",
    [
        {},
        {"a": None, "b": True, "c": 1, "d": -1.5, "e": "é 🎉", "f": []},
        nested(MOST_LEVELS),
        {"a": 2**1000},
        {"🎉": "\u2028"},
    ],
)
def test_what_fits_is_carried_by_everything_unchanged(value: dict[str, Any]) -> None:
    assert misfit(value) is None
    struct = Struct.FromString(to_struct(value).SerializeToString())
    assert json.loads(MessageToJson(struct)) == value


@pytest.mark.parametrize(
    ("value", "why"),
    [
        ({"a": "party \ud83d"}, "surrogate"),
        ({"party \ud83d": 1}, "surrogate"),
        ({"a": "x\x00y"}, "NUL"),
        ({"x\x00": 1}, "NUL"),
        ({"a": float("inf")}, "not finite"),
        ({"a": float("nan")}, "not finite"),
        ({"a": 10**400}, "not finite"),
        ({"a": -(10**400)}, "not finite"),
        (nested(MOST_LEVELS + 1), "nested"),
        ({"a": [[[]]] and nested(50_000)}, "nested"),
        ({"a": [0] * (MOST_VALUES + 1)}, "values"),
        ({"a": "x" * (MOST_CHARACTERS + 1)}, "characters"),
        ({"a": object()}, "no JSON value"),
        ({1: "a"}, "no text"),
        (UNREADABLE, "no JSON"),
    ],
)
def test_what_does_not_fit_is_said_in_words_that_can_be_shown(value: Any, why: str) -> None:
    said = misfit(value)
    assert said is not None
    assert why in said
    assert said.isprintable()


def test_a_text_becomes_storable_with_all_that_it_said() -> None:
    assert storable("é 🎉") == "é 🎉"
    assert storable("party \ud83d\x00") == "party \\ud83d\\u0000"


def test_counts_of_a_server_are_brought_into_range() -> None:
    assert [count(-5), count(7), count(10**30)] == [0, 7, LARGEST_COUNT]
