"""JSON Schemas of messages as REST callers see them, made from the descriptors."""

from typing import Any

from google.protobuf.descriptor import Descriptor, EnumDescriptor, FieldDescriptor

from promptreel_server.services.rest.openapi_rules import REQUIRED, RULES

Schema = dict[str, Any]

_NUMBERS: dict[int, Schema] = {
    FieldDescriptor.CPPTYPE_INT32: {"type": "integer", "format": "int32"},
    FieldDescriptor.CPPTYPE_UINT32: {"type": "integer", "format": "int32", "minimum": 0},
    FieldDescriptor.CPPTYPE_INT64: {"type": "string", "pattern": "^-?[0-9]+$"},
    FieldDescriptor.CPPTYPE_UINT64: {"type": "string", "pattern": "^[0-9]+$"},
    FieldDescriptor.CPPTYPE_DOUBLE: {"type": "number"},
    FieldDescriptor.CPPTYPE_FLOAT: {"type": "number"},
    FieldDescriptor.CPPTYPE_BOOL: {"type": "boolean"},
}
_WELL_KNOWN: dict[str, Schema] = {
    "google.protobuf.Timestamp": {"type": "string", "format": "date-time"},
    "google.protobuf.Duration": {"type": "string"},
    "google.protobuf.Struct": {"type": "object"},
    "google.protobuf.Value": {},
}


class Schemas:
    """Collects the components that are referred to; requests and answers have their own.

    What is always printed is `required` in an answer; what a request needs is a rule of ours.
    """

    def __init__(self) -> None:
        self.components: dict[str, Schema] = {}

    def answer(self, message: Descriptor) -> Schema:
        """Refer to the schema of an answer."""
        return self._refer(message, asked=False)

    def body(self, message: Descriptor, leaving_out: frozenset[str]) -> Schema:
        """Make the schema of a request's body, without the fields that its path carries."""
        schema = self._object(message, asked=True, leaving_out=leaving_out)
        return {**schema, "propertyNames": {"minLength": 1}}  # all that the transcoder asks of them

    def required(self, message: Descriptor | None) -> tuple[str, ...]:
        """Name what a request can't leave out."""
        return () if message is None else REQUIRED.get(message.name, ())

    def field(self, field: FieldDescriptor, *, asked: bool) -> Schema:
        """Make the schema of one field."""
        kind = field.message_type
        if kind is not None and kind.GetOptions().map_entry:
            value = self._single(kind.fields_by_name["value"], asked=asked)
            return {"type": "object", "additionalProperties": value}
        schema = self._single(field, asked=asked)
        if field.is_repeated:
            schema = {"type": "array", "items": schema}
        owner = field.containing_type
        if not asked or owner is None:
            return schema
        return {**schema, **RULES.get(owner.name, {}).get(field.name, {})}

    def _single(self, field: FieldDescriptor, *, asked: bool) -> Schema:
        if field.message_type is not None:
            return self._refer(field.message_type, asked=asked)
        if field.enum_type is not None:
            return {"type": "string", "enum": words(field.enum_type)}
        if field.type == FieldDescriptor.TYPE_BYTES:
            return {"type": "string", "contentEncoding": "base64"}
        return dict(_NUMBERS.get(field.cpp_type, {"type": "string"}))

    def _refer(self, message: Descriptor, *, asked: bool) -> Schema:
        if message.full_name in _WELL_KNOWN:
            return dict(_WELL_KNOWN[message.full_name])
        name = f"{message.name}Input" if asked else message.name
        if name not in self.components:
            self.components[name] = {}  # holds the place while the message refers to itself
            self.components[name] = self._object(message, asked=asked)
        return {"$ref": f"#/components/schemas/{name}"}

    def _object(
        self, message: Descriptor, *, asked: bool, leaving_out: frozenset[str] = frozenset()
    ) -> Schema:
        fields = [field for field in message.fields if field.name not in leaving_out]
        if asked:
            required = [name for name in self.required(message) if name not in leaving_out]
        else:
            required = [field.name for field in fields if not field.has_presence]
        schema: Schema = {
            "type": "object",
            "properties": {field.name: self.field(field, asked=asked) for field in fields},
        }
        return {**schema, "required": required} if required else schema


def words(enum: EnumDescriptor) -> list[str]:
    """Name the members of a closed set; zero is never on the wire."""
    return [value.name for value in enum.values if value.number]
