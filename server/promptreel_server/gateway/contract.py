"""What the gateway must know of the contract, read from its descriptor set."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from google.api import annotations_pb2
from google.api.http_pb2 import HttpRule
from google.protobuf.descriptor_pb2 import (
    DescriptorProto,
    EnumDescriptorProto,
    FileDescriptorProto,
    FileDescriptorSet,
)

PACKAGE = "promptreel.v2"


@dataclass(frozen=True, kw_only=True)
class Route:
    """One HTTP method on one path template, like GET `/api/v2/prompt-runs/{run_id}`."""

    method: str
    path: str
    body: str = ""
    """The field of the request that the body is; empty where it is the request, or none."""

    @property
    def variables(self) -> tuple[str, ...]:
        """The names of the fields in the path."""
        return tuple(re.findall(r"\{([^}]*)\}", self.path))

    @property
    def lua_pattern(self) -> str:
        """The template as a Lua pattern over the whole path."""
        parts = re.split(r"(\{[^}]*\})", self.path)
        inner = "".join(
            "[^/]+" if part.startswith("{") else re.sub(r"([^\w/])", r"%\1", part) for part in parts
        )
        return f"^{inner}$"


@dataclass(frozen=True, kw_only=True)
class Contract:
    """The services to transcode, their routes, and the words of each enum by its full name."""

    services: tuple[str, ...]
    routes: tuple[Route, ...]
    words: dict[str, tuple[str, ...]]


def read_contract(descriptor: Path) -> Contract:
    """Read a serialised `FileDescriptorSet`; raises OSError where the file can't be read."""
    # The import registers google.api.http; without it the option would be an unknown field. Its
    # stub does not say that it extends MethodOptions.
    rule_of: Any = annotations_pb2.http
    files = FileDescriptorSet.FromString(descriptor.read_bytes()).file
    ours = [file for file in files if file.package == PACKAGE]
    methods = [method for file in ours for service in file.service for method in service.method]
    return Contract(
        services=tuple(f"{PACKAGE}.{service.name}" for file in ours for service in file.service),
        routes=tuple(
            route
            for method in methods
            if method.options.HasExtension(rule_of)
            for route in _routes(method.options.Extensions[rule_of])
        ),
        words={name: words for file in ours for name, words in _enums(file)},
    )


def _routes(rule: HttpRule) -> Iterator[Route]:
    verb = rule.WhichOneof("pattern")
    if verb is not None and verb != "custom":
        body = "" if rule.body == "*" else rule.body
        yield Route(method=verb.upper(), path=getattr(rule, verb), body=body)
    for other in rule.additional_bindings:
        yield from _routes(other)


def _enums(file: FileDescriptorProto) -> Iterator[tuple[str, tuple[str, ...]]]:
    yield from _words(file.package, file.enum_type)
    for message in file.message_type:
        yield from _enums_within(file.package, message)


def _enums_within(scope: str, message: DescriptorProto) -> Iterator[tuple[str, tuple[str, ...]]]:
    name = f"{scope}.{message.name}"
    yield from _words(name, message.enum_type)
    for nested in message.nested_type:
        yield from _enums_within(name, nested)


def _words(
    scope: str, enums: Iterable[EnumDescriptorProto]
) -> Iterator[tuple[str, tuple[str, ...]]]:
    for enum in enums:
        # 0 means unspecified: a caller leaves the field out instead of saying so.
        yield f"{scope}.{enum.name}", tuple(value.name for value in enum.value if value.number)
