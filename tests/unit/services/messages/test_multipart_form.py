from collections.abc import AsyncIterator, Mapping

import pytest
from google.api.httpbody_pb2 import HttpBody
from hypothesis import given, settings
from hypothesis import strategies as st

from promptreel_server.errors import Invalid
from promptreel_server.services.messages.multipart_form import (
    LONGEST_FIELD,
    MOST_PARTS,
    Form,
    FormReader,
)

KIND = 'multipart/form-data; boundary="e dge"'


class _Taken:
    """Keeps what it is given, and the largest piece of it."""

    def __init__(self) -> None:
        self.data = b""
        self.largest = 0

    async def write(self, data: bytes) -> None:
        self.data += data
        self.largest = max(self.largest, len(data))


def _part(name: str, content: bytes, file_name: str | None = None) -> bytes:
    head = f'Content-Disposition: form-data; name="{name}"'
    if file_name is not None:
        head += f'; filename="{file_name}"'
    return b"--e dge\r\n" + head.encode() + b"\r\n\r\n" + content + b"\r\n"


async def _read(body: bytes, size: int = 1000, kind: str = KIND) -> tuple[Form, _Taken]:
    taken = _Taken()

    async def bodies() -> AsyncIterator[HttpBody]:
        for start in range(0, len(body), size):
            yield HttpBody(content_type=kind, data=body[start : start + size])

    async def open_file(fields: Mapping[str, str]) -> _Taken:
        return taken

    return await FormReader(open_file).read(bodies()), taken


@settings(max_examples=50, deadline=None)
@given(content=st.binary(max_size=3000), size=st.integers(1, 500))
async def test_the_file_arrives_as_it_was_sent_however_it_is_cut(content: bytes, size: int) -> None:
    body = _part("title", "Häfen".encode()) + _part("file", content, "ä.mp4") + b"--e dge--\r\n"

    form, taken = await _read(body, size)

    assert taken.data == content
    assert taken.largest <= size + 64  # the parser may hold back what could begin a boundary
    assert form.fields == {"title": "Häfen"}
    assert form.file_name == "ä.mp4"


async def test_what_looks_like_a_boundary_is_content() -> None:
    content = b"\r\n--e dg\r\n--e dge\n--e dge--"

    _, taken = await _read(_part("file", content, "x") + b"--e dge--\r\n", size=3)

    assert taken.data == content


@pytest.mark.parametrize(
    ("body", "field"),
    [
        (_part("title", b"x") + b"--e dge--\r\n", "file"),
        (_part("file", b"x", "a") + _part("file", b"y", "b") + b"--e dge--\r\n", "file"),
        (_part("file", b"x", "a"), "body"),
        (b"no form at all", "body"),
        (b"", "body"),
        (_part("title", b"\xff") + _part("file", b"x", "a") + b"--e dge--\r\n", "body"),
        (_part("title", b"x" * (LONGEST_FIELD + 1)) + b"--e dge--\r\n", "title"),
        (_part("x", b"") * (MOST_PARTS + 1) + b"--e dge--\r\n", "body"),
        (b"--e dge\r\nX: " + b"y" * 10_000 + b"\r\n\r\n", "body"),
    ],
)
async def test_a_form_that_breaks_a_rule_is_refused_by_name(body: bytes, field: str) -> None:
    with pytest.raises(Invalid) as refused:
        await _read(body)

    assert [violation.field for violation in refused.value.violations] == [field]


@pytest.mark.parametrize(
    "kind", ["", "text/plain", "multipart/form-data", "multipart/mixed; boundary=x"]
)
async def test_another_content_type_is_refused(kind: str) -> None:
    with pytest.raises(Invalid, match="Content-Type"):
        await _read(b"x", kind=kind)
