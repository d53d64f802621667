"""Whatever comes in at the gRPC port, the server lives, grows little and serves the others."""

import random
import socket
import struct
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import grpc
import psutil
import pytest
from google.protobuf import descriptor_pool
from google.protobuf.descriptor import MethodDescriptor

from promptreel.v2 import rest_pb2  # noqa: F401 - registers every service in the pool
from promptreel_client import Client
from tests.owners import Owners
from tests.served import Served

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
CONNECTIONS = 300
HALF_OPEN = 1000
MESSAGES = 12
"""Random messages to each method."""
MOST_MIB = 64
SERVICES = (
    *("AccountService", "ApiKeyService", "EventService", "ImportJobService", "IndexService"),
    *("PromptRunService", "PromptService", "RestService", "VideoService"),
)
CALLERS_FAULT = {
    *(grpc.StatusCode.OK, grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.NOT_FOUND),
    *(grpc.StatusCode.FAILED_PRECONDITION, grpc.StatusCode.ABORTED, grpc.StatusCode.CANCELLED),
    *(grpc.StatusCode.PERMISSION_DENIED, grpc.StatusCode.RESOURCE_EXHAUSTED),
    *(grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED),
}


@pytest.fixture
def unharmed(serving: Served, owners: Owners) -> Iterator[None]:
    """Before and after, another caller is served at once, and the server is hardly larger."""
    process = psutil.Process(serving.process.pid)
    with Client(address=serving.grpc, api_key=owners.key()) as client:
        client.indexes.create(name="mine")
        before = process.memory_info().rss
        yield
        began = time.monotonic()
        assert [index.name for index in client.indexes.list(include_defaults=False)] == ["mine"]
        assert time.monotonic() - began < 2.0
    grown = (process.memory_info().rss - before) / 2**20
    print(f"the server grew by {grown:.1f} MiB")
    assert grown < MOST_MIB


@contextmanager
def connection(serving: Served) -> Iterator[socket.socket]:
    host, _, port = serving.grpc.rpartition(":")
    with socket.create_connection((host, int(port)), timeout=5) as opened:
        yield opened


def frame(kind: int, flags: int, stream: int, payload: bytes, length: int | None = None) -> bytes:
    said = len(payload) if length is None else length
    return struct.pack(">I", said)[1:] + bytes([kind, flags]) + struct.pack(">I", stream) + payload


def nonsense(dice: random.Random) -> bytes:
    """What no client would say: no HTTP/2 at all, or frames that lie about all they can."""
    if dice.random() < 0.1:
        return dice.randbytes(dice.randint(1, 4096))
    said = PREFACE + frame(4, 0, 0, b"")
    for _ in range(dice.randint(1, 12)):
        payload = dice.randbytes(dice.choice((0, 1, 4, 5, 8, 64, 1024, 16384)))
        length = dice.choice((None, None, None, 0, 1, 2**24 - 1))
        stream = dice.choice((0, 1, 2, 3, 2**31 - 1))
        said += frame(dice.randrange(12), dice.randrange(256), stream, payload, length)
    return said


@pytest.mark.usefixtures("unharmed")
def test_malformed_frames_end_their_own_connection_alone(serving: Served) -> None:
    dice = random.Random(2)
    for _ in range(CONNECTIONS):
        with connection(serving) as opened:
            try:
                opened.sendall(nonsense(dice))
                opened.settimeout(0.02)
                opened.recv(65536)
            except OSError:
                continue  # it was shut in our face, or says nothing: both will do


@pytest.mark.usefixtures("unharmed")
def test_a_thousand_half_open_connections_keep_nobody_out(serving: Served, owners: Owners) -> None:
    with ExitStack() as stack:
        for number in range(HALF_OPEN):
            opened = stack.enter_context(connection(serving))
            opened.sendall(PREFACE[: number % len(PREFACE)])
        with Client(address=serving.grpc, api_key=owners.key()) as client:
            began = time.monotonic()
            client.indexes.create(name="among a thousand")
            assert time.monotonic() - began < 2.0


def methods() -> Iterator[MethodDescriptor]:
    pool = descriptor_pool.Default()
    for name in SERVICES:
        yield from pool.FindServiceByName(f"promptreel.v2.{name}").methods


def answer(channel: Any, method: MethodDescriptor, body: bytes, key: str) -> object:
    """Send bytes to a method and answer the status that comes back."""
    path = f"/{method.containing_service.full_name}/{method.name}"
    said = (("x-api-key", key),)
    try:
        if method.client_streaming:
            channel.stream_unary(path)(iter([body]), metadata=said, timeout=5)
        elif method.server_streaming:
            next(channel.unary_stream(path)(body, metadata=said, timeout=0.3), None)
        else:
            channel.unary_unary(path)(body, metadata=said, timeout=5)
    except grpc.RpcError as error:
        return error.code()
    return grpc.StatusCode.OK


@pytest.mark.usefixtures("unharmed")
def test_random_messages_are_refused_or_understood_and_never_a_crash(
    serving: Served, owners: Owners
) -> None:
    dice = random.Random(3)
    key = owners.key()
    with grpc.insecure_channel(serving.grpc) as channel:
        for method in methods():
            if method.name in ("RevokeApiKey", "RotateApiKey", "DeleteApiKey"):
                continue
            for _ in range(MESSAGES):
                body = scrambled(dice, method)
                code = answer(channel, method, body, key)
                assert code in CALLERS_FAULT, (method.full_name, body, code)


def scrambled(dice: random.Random, method: MethodDescriptor) -> bytes:
    """Bytes that are no message, or one whose fields hold anything at all."""
    if dice.random() < 0.3:
        return dice.randbytes(dice.randint(0, 200))
    body = b""
    for field in method.input_type.fields:
        if dice.random() < 0.5:
            continue
        text = dice.choice((b"", b"x" * 5000, "é\x00\U0001f600".encode(), dice.randbytes(9)))
        number = dice.choice((0, 1, 7, 2**31 - 1, 2**64 - 1))
        wire = dice.choice((0, 2, 2, 2))
        body += varint(field.number << 3 | wire)
        body += varint(number) if wire == 0 else varint(len(text)) + text
    return body


def varint(number: int) -> bytes:
    said = b""
    while number > 127:
        said += bytes([number & 127 | 128])
        number >>= 7
    return said + bytes([number])


def _code(call: Any) -> grpc.StatusCode:
    code: grpc.StatusCode = call.exception().code()
    return code


BOMBS = 40
BOMB = 60 * 2**20
"""Bytes of zeros, which gzip makes 60 kB of."""


@pytest.mark.parametrize("with_key", [False, True])
def test_compressed_bombs_are_refused_unread(
    serving: Served, owners: Owners, unharmed: None, with_key: bool
) -> None:
    metadata = (("x-api-key", owners.key()),) if with_key else ()
    with grpc.insecure_channel(
        serving.grpc, options=[("grpc.max_send_message_length", 2 * BOMB)]
    ) as channel:
        call: grpc.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary(
            "/promptreel.v2.PromptService/TestSchema"
        )
        asked = [
            call.future(
                bytes(BOMB), metadata=metadata, compression=grpc.Compression.Gzip, timeout=60
            )
            for _ in range(BOMBS if not with_key else BOMBS // 4)
        ]
        codes = {_code(one) for one in asked}
    assert codes <= {
        grpc.StatusCode.UNAUTHENTICATED,
        grpc.StatusCode.UNIMPLEMENTED,
        grpc.StatusCode.RESOURCE_EXHAUSTED,
        grpc.StatusCode.INTERNAL if with_key else grpc.StatusCode.UNAUTHENTICATED,
    }, codes


def test_a_request_larger_than_its_method_takes_is_refused_with_the_bound(
    serving: Served, owners: Owners, unharmed: None
) -> None:
    with grpc.insecure_channel(serving.grpc) as channel:
        call: grpc.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary(
            "/promptreel.v2.IndexService/GetIndex"
        )
        with pytest.raises(grpc.RpcError) as refused:
            call(b"\x0a\x80\x80\x08" + bytes(2**17), metadata=(("x-api-key", owners.key()),))
    assert refused.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert "may have 65536" in str(refused.value.details())


def test_guessing_keys_is_slowed_by_address_and_good_keys_are_served_meanwhile(
    serving: Served, owners: Owners, unharmed: None
) -> None:
    key = owners.key()
    with grpc.insecure_channel(serving.grpc) as channel:
        call: grpc.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary(
            "/promptreel.v2.IndexService/ListIndexes"
        )
        codes = []
        for number in range(150):
            try:
                call(b"", metadata=(("x-api-key", f"sk_guess_{number}"),))
            except grpc.RpcError as error:
                codes.append(error.code())
        assert codes[0] is grpc.StatusCode.UNAUTHENTICATED
        assert grpc.StatusCode.RESOURCE_EXHAUSTED in codes
        call(b"", metadata=(("x-api-key", key),))
