"""Multipart forms as they stream in: small fields kept, the file handed on in pieces."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from google.api.httpbody_pb2 import HttpBody
from python_multipart import MultipartParser
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import parse_options_header

from promptreel_server.errors import Invalid

MOST_PARTS = 16
LONGEST_FIELD = 4096
FILE = "file"


class Sink(Protocol):
    """Takes the bytes of the file."""

    async def write(self, data: bytes) -> None:
        """Take the next bytes."""
        ...


@dataclass(frozen=True, kw_only=True)
class Form:
    """What a form said beside the bytes of its file."""

    fields: Mapping[str, str]
    file_name: str


@dataclass(kw_only=True)
class _Part:
    """One part of the form that is being read."""

    headers: dict[str, str] = field(default_factory=dict)
    name: str = ""
    text: bytearray = field(default_factory=bytearray)


_Told = tuple[str, bytes]


class _Teller:
    """Turns the parser's callbacks into a list of what was met, in order."""

    def __init__(self) -> None:
        self.told: list[_Told] = []
        self._name = bytearray()
        self._value = bytearray()

    def on_part_begin(self) -> None:
        self.told.append(("begin", b""))

    def on_header_field(self, data: bytes, start: int, end: int) -> None:
        self._name += data[start:end]

    def on_header_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def on_header_end(self) -> None:
        self.told.append(("header", bytes(self._name.lower() + b":" + self._value)))
        self._name.clear()
        self._value.clear()

    def on_headers_finished(self) -> None:
        self.told.append(("headers", b""))

    def on_part_data(self, data: bytes, start: int, end: int) -> None:
        self.told.append(("data", data[start:end]))

    def on_part_end(self) -> None:
        self.told.append(("end", b""))

    def on_end(self) -> None:
        self.told.append(("over", b""))


class FormReader:
    """Reads one form; `open_file` is called with the fields so far when the file begins."""

    def __init__(self, open_file: Callable[[Mapping[str, str]], Awaitable[Sink]]) -> None:
        self._open_file = open_file
        self._fields: dict[str, str] = {}
        self._file_name: str | None = None
        self._sink: Sink | None = None
        self._part = _Part()
        self._parts = 0
        self._over = False

    async def read(self, bodies: AsyncIterator[HttpBody]) -> Form:
        """Read the form to its end, in memory of the size of one body.

        Raises:
            Invalid: it is no form, it ends early, or it has no file, two files or too much else.
        """
        teller = _Teller()
        parser: MultipartParser | None = None
        try:
            async for body in bodies:
                if parser is None:
                    parser = _parser(body.content_type, teller)
                parser.write(body.data)
                told, teller.told = teller.told, []
                for kind, data in told:
                    await self._meet(kind, data)
        except FormParserError as error:
            raise Invalid.field("body", f"no multipart form that can be read: {error}") from error
        if not self._over:
            raise Invalid.field("body", "the form ended before its last boundary")
        if self._file_name is None:
            raise Invalid.field(FILE, "the form has no file; send one as the part named file")
        return Form(fields=self._fields, file_name=self._file_name)

    async def _meet(self, kind: str, data: bytes) -> None:
        if kind == "data":
            await self._take(data)
        elif kind == "begin":
            self._begin()
        elif kind == "header":
            name, _, value = data.partition(b":")
            self._part.headers[name.decode("latin-1")] = value.decode("latin-1").strip()
        elif kind == "headers":
            await self._head()
        elif kind == "end":
            self._end()
        else:
            self._over = True

    def _begin(self) -> None:
        self._parts += 1
        if self._parts > MOST_PARTS:
            raise Invalid.field("body", f"the form has more than {MOST_PARTS} parts")
        self._part = _Part()

    async def _head(self) -> None:
        _, options = parse_options_header(self._part.headers.get("content-disposition"))
        self._part.name = _text(options.get(b"name", b""))
        if self._part.name == FILE:
            if self._file_name is not None:
                raise Invalid.field(FILE, "the form has two files; send one at a time")
            self._file_name = _text(options.get(b"filename", b"")) or "upload"
            self._sink = await self._open_file(self._fields)

    async def _take(self, data: bytes) -> None:
        if self._part.name == FILE and self._sink is not None:
            await self._sink.write(data)
            return
        if len(self._part.text) + len(data) > LONGEST_FIELD:
            raise Invalid.field(self._part.name or "body", f"longer than {LONGEST_FIELD} bytes")
        self._part.text += data

    def _end(self) -> None:
        if self._part.name != FILE:
            self._fields[self._part.name] = _text(bytes(self._part.text))


def _parser(content_type: str, teller: _Teller) -> MultipartParser:
    kind, options = parse_options_header(content_type)
    boundary = options.get(b"boundary")
    if kind != b"multipart/form-data" or not boundary:
        raise Invalid.field("Content-Type", "must be multipart/form-data with a boundary")
    return MultipartParser(
        boundary,
        {
            "on_part_begin": teller.on_part_begin,
            "on_header_field": teller.on_header_field,
            "on_header_value": teller.on_header_value,
            "on_header_end": teller.on_header_end,
            "on_headers_finished": teller.on_headers_finished,
            "on_part_data": teller.on_part_data,
            "on_part_end": teller.on_part_end,
            "on_end": teller.on_end,
        },
    )


def _text(value: bytes) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError as error:
        raise Invalid.field("body", "names and fields must be UTF-8") from error
