import json
from typing import Any

import pytest
from google.protobuf import json_format
from google.protobuf.struct_pb2 import Struct
from hypothesis import given, settings
from hypothesis import strategies as st

from promptreel_server.services.messages.json_structs import from_struct, to_struct, whole


def _objects(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.dictionaries(st.text(max_size=6), inner, max_size=3)


_PLAIN = st.one_of(
    st.none(),
    st.booleans(),
    st.text(max_size=6),
    st.integers(-(2**53), 2**53),
    st.floats(allow_nan=False, allow_infinity=False),
)
_JSON = st.recursive(
    _PLAIN,
    lambda inner: st.one_of(st.lists(inner, max_size=3), _objects(inner)),
    max_leaves=6,
)


@settings(max_examples=50, deadline=None)
@given(_objects(_JSON))
def test_a_json_object_survives_the_wire(body: dict[str, Any]) -> None:
    assert from_struct(Struct.FromString(to_struct(body).SerializeToString())) == body


@settings(max_examples=50, deadline=None)
@given(_objects(_JSON))
def test_the_message_is_the_one_that_protobuf_makes_of_the_json(body: dict[str, Any]) -> None:
    assert to_struct(body) == json_format.Parse(json.dumps(body), Struct())


def test_whole_numbers_come_back_without_a_point_and_keys_in_order() -> None:
    back = from_struct(to_struct({"b": 5, "a": [1.0, 2.5], "c": {"z": 1, "y": 2}}))

    assert json.dumps(back) == '{"a": [1, 2.5], "b": 5, "c": {"y": 2, "z": 1}}'


@pytest.mark.parametrize(("number", "written"), [(1e300, 1e300), (-0.5, -0.5), (3.0, 3)])
def test_numbers_are_written_as_json_does(number: float, written: float) -> None:
    assert repr(whole(number)) == repr(written)


def test_what_is_no_json_is_refused() -> None:
    with pytest.raises(TypeError, match="set"):
        to_struct({"x": {1, 2}})
