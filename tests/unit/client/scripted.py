"""A gRPC server that answers, over the real contract, whatever a test scripts for an rpc."""

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, NoReturn

import grpc
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo, RetryInfo
from google.rpc.status_pb2 import Status

from promptreel_client.contract import Rpc, all_rpcs

Script = Callable[[Any, grpc.ServicerContext], Any]
"""Given the request (an iterator of them, for an upload) and the context, answers the message, or
the messages of a stream."""


@dataclass(frozen=True, kw_only=True)
class Seen:
    """One call as it arrived."""

    rpc: str
    request: Any
    metadata: dict[str, str | bytes]


class Scripted(grpc.GenericRpcHandler):
    """Serves every typed rpc; what has no script is UNIMPLEMENTED."""

    def __init__(self, *, options: Iterable[tuple[str, Any]] = ()) -> None:
        self.scripts: dict[str, Script] = {}
        self.seen: list[Seen] = []
        self._rpcs = {rpc.path: rpc for rpc in all_rpcs()}
        self._server = grpc.server(
            ThreadPoolExecutor(16), options=(("grpc.so_reuseport", 0), *options)
        )
        self._server.add_generic_rpc_handlers((self,))
        self.port = self._server.add_insecure_port("127.0.0.1:0")
        self._server.start()

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def stop(self) -> None:
        self._server.stop(0).wait()

    def on(self, rpc: str, *scripts: Script) -> None:
        """Answer an rpc by these scripts, one call each; the last one for all that follow."""
        left = list(scripts)

        def script(request: Any, context: grpc.ServicerContext) -> Any:
            return (left.pop(0) if len(left) > 1 else left[0])(request, context)

        self.scripts[rpc] = script

    def service(
        self, handler_call_details: grpc.HandlerCallDetails
    ) -> "grpc.RpcMethodHandler[Any, Any] | None":
        rpc = self._rpcs.get(handler_call_details.method)
        name = handler_call_details.method.rsplit("/", 1)[1]
        if rpc is None or name not in self.scripts:
            return None
        make: Any = getattr(grpc, f"{rpc.shape}_rpc_method_handler")
        handler: grpc.RpcMethodHandler[Any, Any] = make(
            self._served(name, rpc),
            request_deserializer=rpc.request.FromString,
            response_serializer=rpc.answer.SerializeToString,
        )
        return handler

    def _served(self, name: str, rpc: Rpc) -> Script:
        def behave(request: Any, context: grpc.ServicerContext) -> Any:
            metadata: Any = context.invocation_metadata()
            self.seen.append(Seen(rpc=name, request=request, metadata=dict(metadata)))
            return self.scripts[name](request, context)

        return behave


def answering(message: Message) -> Script:
    """Answer always the same."""
    return lambda request, context: message


def streaming(*messages: Message) -> Script:
    """Answer a stream that then ends without a word."""
    return lambda request, context: iter(messages)


def refusing(
    code: grpc.StatusCode,
    reason: str | None = None,
    message: str = "Do something else.",
    *,
    metadata: dict[str, str] | None = None,
    violations: dict[str, str] | None = None,
    retry_after: float | None = None,
) -> Script:
    """Refuse as the server does; without a reason, as gRPC itself does."""
    details: list[Message] = []
    if reason is not None:
        details.append(ErrorInfo(reason=reason, domain="promptreel", metadata=metadata or {}))
    if violations:
        wrong = [
            BadRequest.FieldViolation(field=field, description=text)
            for field, text in violations.items()
        ]
        details.append(BadRequest(field_violations=wrong))
    if retry_after is not None:
        delay = Duration()
        delay.FromMilliseconds(int(retry_after * 1000))
        details.append(RetryInfo(retry_delay=delay))

    def refuse(request: Any, context: grpc.ServicerContext) -> NoReturn:
        if details:
            status = Status(code=code.value[0], message=message[:400])
            status.details.extend(_packed(detail) for detail in details)
            context.set_trailing_metadata(
                (("grpc-status-details-bin", status.SerializeToString()),)
            )
        context.abort(code, message)

    return refuse


def _packed(detail: Message) -> AnyMessage:
    packed = AnyMessage()
    packed.Pack(detail)
    return packed
