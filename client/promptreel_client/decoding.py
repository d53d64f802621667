"""Messages to the model's dataclasses, by the fields that both sides name alike."""

from collections.abc import Callable, Hashable, Mapping
from dataclasses import fields
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from functools import cache
from types import NoneType, UnionType
from typing import Any, TypeVar, cast, get_args, get_origin, get_type_hints

from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from google.protobuf.struct_pb2 import Struct
from google.protobuf.timestamp_pb2 import Timestamp

from promptreel_client.structs import from_struct

T = TypeVar("T")
Read = Callable[[Any], Any]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_WELL_KNOWN: Mapping[str, Read] = {
    Timestamp.DESCRIPTOR.full_name: lambda stamp: (
        _EPOCH + timedelta(seconds=stamp.seconds, microseconds=stamp.nanos // 1000)
    ),
    Duration.DESCRIPTOR.full_name: lambda duration: duration.seconds + duration.nanos / 1e9,
    Struct.DESCRIPTOR.full_name: from_struct,
}


def decode(message: Message, kind: type[T]) -> T:
    """Answer a message as a dataclass of the model.

    An absent field is None where the dataclass allows it, else what protobuf reads in its place
    (0, "", an empty message). Fields that only the message has, from a newer server, are left out;
    a word that this client does not know reads `unspecified`.
    """
    plan = _plan(message.DESCRIPTOR, cast(Hashable, kind))
    return kind(**{name: read(message) for name, read in plan})


@cache
def _plan(descriptor: Any, kind: Any) -> tuple[tuple[str, Read], ...]:
    """Work out once per dataclass how each of its fields is read from a message."""
    hints = get_type_hints(kind)
    named = descriptor.fields_by_name
    return tuple(
        (field.name, _field(named[field.name], hints[field.name], may_lack=field.default is None))
        for field in fields(kind)
    )


def _field(descriptor: Any, hint: Any, *, may_lack: bool) -> Read:
    """Answer what reads one field of a message."""
    name = descriptor.name
    if get_origin(hint) is UnionType:
        (hint,) = (part for part in get_args(hint) if part is not NoneType)
    if get_origin(hint) is dict and descriptor.message_type.GetOptions().map_entry:
        read_value = _value(descriptor.message_type.fields_by_name["value"], get_args(hint)[1])
        return lambda message: {
            key: read_value(value) for key, value in getattr(message, name).items()
        }
    if get_origin(hint) is tuple:
        read_one = _value(descriptor, get_args(hint)[0])
        return lambda message: tuple(read_one(one) for one in getattr(message, name))
    read = _value(descriptor, hint)
    if may_lack and descriptor.has_presence:
        return lambda message: read(getattr(message, name)) if message.HasField(name) else None
    return lambda message: read(getattr(message, name))


def _value(descriptor: Any, hint: Any) -> Read:
    """Answer what turns one value of a field into what the dataclass holds."""
    if descriptor.enum_type is not None:
        return _word(descriptor.enum_type, hint)
    if descriptor.message_type is None:
        return _as_it_is
    well_known = _WELL_KNOWN.get(descriptor.message_type.full_name)
    return well_known or (lambda message: decode(message, hint))


def _word(enum: Any, kind: type[StrEnum]) -> Read:
    spelled = {member.value: member for member in kind}
    members = {value.number: spelled.get(value.name) for value in enum.values}
    return lambda number: members.get(number) or spelled["unspecified"]


def _as_it_is(value: Any) -> Any:
    return value
