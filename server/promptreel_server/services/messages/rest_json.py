"""Messages as JSON, as the gateway's transcoder writes them.

Field names as in the contract, plain fields always, absent ones never, whole numbers without a
decimal point.
"""

import base64
import json
from collections.abc import Callable, Iterable
from functools import cache
from typing import Any

from google.protobuf.descriptor import Descriptor, EnumDescriptor, FieldDescriptor
from google.protobuf.message import Message

from promptreel_server.services.messages import json_structs

Write = Callable[[Any], Any]

_INT64 = frozenset(
    {
        FieldDescriptor.TYPE_INT64,
        FieldDescriptor.TYPE_UINT64,
        FieldDescriptor.TYPE_SINT64,
        FieldDescriptor.TYPE_FIXED64,
        FieldDescriptor.TYPE_SFIXED64,
    }
)
_FLOATS = frozenset({FieldDescriptor.TYPE_DOUBLE, FieldDescriptor.TYPE_FLOAT})


def render(message: Message) -> bytes:
    """Render one message as a JSON object."""
    return _dump(_object(message))


def render_array(messages: Iterable[Message]) -> bytes:
    """Render messages as a bare JSON array."""
    return _dump([_object(message) for message in messages])


def _dump(body: Any) -> bytes:
    return json.dumps(body, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()


def _object(message: Message) -> Any:
    special = _SPECIAL.get(message.DESCRIPTOR.full_name)
    if special is not None:
        return special(message)
    body: dict[str, Any] = {}
    for name, presence, write in _plan(message.DESCRIPTOR):
        if not presence or message.HasField(name):
            body[name] = write(getattr(message, name))
    return body


@cache
def _plan(descriptor: Descriptor) -> tuple[tuple[str, bool, Write], ...]:
    """Say once for each kind of message how its fields are written."""
    return tuple((field.name, field.has_presence, _writer(field)) for field in descriptor.fields)


def _writer(field: FieldDescriptor) -> Write:
    kind = field.message_type
    if kind is not None and kind.GetOptions().map_entry:
        of_value = _single(kind.fields_by_name["value"])
        return lambda items: {str(key): of_value(items[key]) for key in sorted(items)}
    single = _single(field)
    if field.is_repeated:
        return lambda items: [single(item) for item in items]
    return single


def _single(field: FieldDescriptor) -> Write:
    if field.message_type is not None:
        return _object
    if field.enum_type is not None:
        return _word(field.enum_type)
    if field.type == FieldDescriptor.TYPE_BYTES:
        return lambda value: base64.b64encode(value).decode()
    if field.type in _INT64:
        return str
    return json_structs.whole if field.type in _FLOATS else _same


def _word(enum: EnumDescriptor) -> Write:
    names = {number: value.name for number, value in enum.values_by_number.items()}
    return lambda number: names.get(number, number)


def _same(value: Any) -> Any:
    return value


_SPECIAL: dict[str, Write] = {
    "google.protobuf.Timestamp": lambda message: message.ToJsonString(),
    "google.protobuf.Duration": lambda message: message.ToJsonString(),
    "google.protobuf.Struct": json_structs.from_struct,
}
