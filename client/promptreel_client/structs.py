"""JSON objects on the wire: `google.protobuf.Struct` keeps every number as a double."""

from collections.abc import Mapping, Sequence
from typing import Any

from google.protobuf.struct_pb2 import ListValue, Struct, Value

from promptreel_client.errors import InvalidRequestError
from promptreel_client.model.json_object import JsonObject

_LARGEST_EXACT = 2**53


def to_struct(body: Mapping[str, Any], field: str) -> Struct:
    """Turn a JSON object into its message; `field` is what the request calls it.

    Raises:
        InvalidRequestError: something in it is no JSON value.
    """
    struct = Struct()
    try:
        _fill(struct, body)
    except (TypeError, AttributeError) as error:
        raise InvalidRequestError.of_field(field, f"must be a JSON object ({error})") from error
    return struct


def from_struct(struct: Struct) -> JsonObject:
    """Turn a message into a JSON object: keys sorted, whole numbers as integers."""
    return {name: _plain(struct.fields[name]) for name in sorted(struct.fields)}


def _fill(struct: Struct, body: Mapping[str, Any]) -> None:
    for name, item in body.items():
        _set(struct.fields[name], item)


def _set(value: Value, item: Any) -> None:
    if item is None:
        value.null_value = 0  # type: ignore[assignment]  # NULL_VALUE, whose type has no plain 0
    elif isinstance(item, bool):
        value.bool_value = item
    elif isinstance(item, str):
        value.string_value = item
    elif isinstance(item, int | float):
        value.number_value = item
    elif isinstance(item, Mapping):
        value.struct_value.SetInParent()
        _fill(value.struct_value, item)
    elif isinstance(item, Sequence) and not isinstance(item, bytes | bytearray):
        value.list_value.SetInParent()
        for element in item:
            _set(value.list_value.values.add(), element)
    else:
        raise TypeError(f"{type(item).__name__} is no JSON value")


def _plain(value: Value) -> Any:
    kind = value.WhichOneof("kind")
    if kind == "struct_value":
        return from_struct(value.struct_value)
    if kind == "list_value":
        return _elements(value.list_value)
    if kind == "number_value":
        return _whole(value.number_value)
    return None if kind in (None, "null_value") else getattr(value, kind)


def _elements(values: ListValue) -> list[Any]:
    return [_plain(element) for element in values.values]


def _whole(number: float) -> int | float:
    exact = number.is_integer() and abs(number) <= _LARGEST_EXACT
    return int(number) if exact else number
