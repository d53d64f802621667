"""The rpcs of the contract, each found by the message that asks for it."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

from promptreel.v2 import (
    account_pb2,
    api_key_pb2,
    event_pb2,
    import_job_pb2,
    index_pb2,
    prompt_pb2,
    prompt_run_pb2,
    video_pb2,
)

_FILES = (
    account_pb2,
    api_key_pb2,
    event_pb2,
    import_job_pb2,
    index_pb2,
    prompt_pb2,
    prompt_run_pb2,
    video_pb2,
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Rpc:
    """One rpc: where it is called, and what it takes and answers."""

    path: str
    """`/package.Service/Method`, as on the wire."""
    request: type[Message]
    answer: type[Message]
    shape: str
    """Which of a channel's four factories makes it: `unary_unary`, `unary_stream`, …"""


def rpc_of(request: type[Message]) -> Rpc:
    """Answer the rpc that takes a message; no two rpcs of the typed services take the same."""
    return _BY_REQUEST[request]


def all_rpcs() -> Iterator[Rpc]:
    """Answer every typed rpc, service by service."""
    for file in _FILES:
        services: Any = file.DESCRIPTOR.services_by_name
        for service in services.values():
            for method in service.methods:
                yield Rpc(
                    path=f"/{service.full_name}/{method.name}",
                    request=GetMessageClass(method.input_type),
                    answer=GetMessageClass(method.output_type),
                    shape=f"{_arity(method.client_streaming)}_{_arity(method.server_streaming)}",
                )


def _arity(streaming: bool) -> str:
    return "stream" if streaming else "unary"


_BY_REQUEST = {rpc.request: rpc for rpc in all_rpcs()}
