"""JSON objects on the wire: `google.protobuf.Struct` keeps every number as a double."""

from collections.abc import Mapping, Sequence
from typing import Any

from google.protobuf.struct_pb2 import ListValue, Struct, Value

from promptreel_server.domain.prompt import JsonObject

_LARGEST_EXACT = 2**53


def to_struct(body: JsonObject) -> Struct:
    """Turn a JSON object into its message."""
    struct = Struct()
    _fill(struct, body)
    return struct


def from_struct(struct: Struct) -> dict[str, Any]:
    """Turn a message into a JSON object: keys in order, whole numbers as integers."""
    return {name: _plain(struct.fields[name]) for name in sorted(struct.fields)}


def whole(number: float) -> int | float:
    """Write a whole number as JSON does: without a decimal point."""
    if number.is_integer() and abs(number) <= _LARGEST_EXACT:
        return int(number)
    return number


def _fill(struct: Struct, body: JsonObject) -> None:
    fields = struct.fields
    for name, item in body.items():
        _set(fields[name], item)


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
    elif isinstance(item, Sequence):
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
        return whole(value.number_value)
    return None if kind in (None, "null_value") else getattr(value, kind)


def _elements(values: ListValue) -> list[Any]:
    return [_plain(element) for element in values.values]
