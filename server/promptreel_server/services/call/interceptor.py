"""The one way into every method: request id, key, scope, pace, and errors on the way out."""

import re
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import aclosing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NoReturn, cast

import grpc
from google.protobuf.message import Message
from ulid import ULID

from promptreel_server.domain.key import Scope
from promptreel_server.errors import ScopeMissing
from promptreel_server.services.call import error_statuses, scopes
from promptreel_server.services.call.context import Call, current
from promptreel_server.services.call.idempotency import read_key
from promptreel_server.services.call.key_cache import KeyRing
from promptreel_server.services.call.rate_limits import RateLimits

Context = grpc.aio.ServicerContext[Any, Any]
if TYPE_CHECKING:
    Handler = grpc.RpcMethodHandler[Any, Any]
else:  # generic in its stubs alone
    Handler = grpc.RpcMethodHandler
Behaviour = Callable[[Any, Context], Any]

_SANE_REQUEST_ID = re.compile(r"[A-Za-z0-9._:/+=@-]{1,128}")


@dataclass(frozen=True, kw_only=True, slots=True)
class _Asked:
    """What the metadata of a call say."""

    request_id: str
    secret: str | None
    idempotency_key: str | None
    last_event_id: str | None


class Gate(grpc.aio.ServerInterceptor):
    """Stands before every method; wraps each once and remembers the wrapping."""

    def __init__(self, keys: KeyRing, limits: RateLimits) -> None:
        self._keys = keys
        self._limits = limits
        self._wrapped: dict[str, Handler] = {}

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Handler | None]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Handler | None:
        """Answer the handler of a method, wrapped; None where there is no such method."""
        method = handler_call_details.method
        known = self._wrapped.get(method)
        if known is not None:
            return known
        handler = await continuation(handler_call_details)
        if handler is None:
            return handler
        wrapped = self._wrap(method, handler)
        self._wrapped[method] = wrapped
        return wrapped

    def _wrap(self, method: str, handler: Handler) -> Handler:
        """Wrap a handler; a single request is parsed only once its caller is known."""
        scope = None if scopes.is_open(method) else scopes.SCOPES[method]
        serialize, parse = handler.response_serializer, handler.request_deserializer
        if handler.request_streaming and handler.response_streaming:
            return handler  # reflection alone is of this kind: open to all, and not ours
        if handler.request_streaming:
            guarded = self._guard(scope, handler.stream_unary, None)
            return grpc.stream_unary_rpc_method_handler(guarded, parse, serialize)
        if handler.response_streaming:
            guarded = self._guard_stream(scope, handler.unary_stream, parse)
            return grpc.unary_stream_rpc_method_handler(guarded, None, serialize)
        guarded = self._guard(scope, handler.unary_unary, parse)
        return grpc.unary_unary_rpc_method_handler(guarded, None, serialize)

    def _guard(self, scope: Scope | None, behaviour: Any, parse: Any) -> Behaviour:
        """Wrap a method that answers once."""

        async def guarded(request: Any, context: Context) -> Message:
            asked = _asked(context)
            headers: list[tuple[str, str]] = [("x-request-id", asked.request_id)]
            try:
                if scope is not None:
                    await self._admit(asked, scope, headers)
                if parse is not None:
                    request = parse(request)
                answer: Message = await behaviour(request, context)
            except Exception as error:  # noqa: BLE001 - every error becomes a status
                await _abort(context, error, asked.request_id)
            await context.send_initial_metadata(tuple(headers))
            return answer

        return guarded

    def _guard_stream(self, scope: Scope | None, behaviour: Any, parse: Any) -> Behaviour:
        """Wrap a method that answers with a stream; headers go out before the first message."""

        async def guarded(request: Any, context: Context) -> AsyncIterator[Message]:
            asked = _asked(context)
            headers: list[tuple[str, str]] = [("x-request-id", asked.request_id)]
            begun = False
            try:
                if scope is not None:
                    await self._admit(asked, scope, headers)
                async with aclosing(behaviour(parse(request), context)) as messages:
                    async for message in messages:
                        if not begun:
                            begun = True
                            await context.send_initial_metadata(tuple(headers))
                        yield message
                        del message  # a quiet stream holds nothing
            except Exception as error:  # noqa: BLE001 - every error becomes a status
                await _abort(context, error, asked.request_id)

        return guarded

    async def _admit(self, asked: _Asked, scope: Scope, headers: list[tuple[str, str]]) -> None:
        """Let a caller in, and make the call known to everything that serves it.

        Raises:
            Unauthenticated, ScopeMissing, RateLimited: the caller stays out.
            Invalid: the idempotency key is none.
        """
        key = await self._keys.authenticate(asked.secret)
        self._limits.take(key.key_id)
        if key.scope < scope:
            raise ScopeMissing(
                f"This needs an API key of scope {scope.name.lower()}; "
                f"yours has {key.scope.name.lower()}.",
                details={"needed": scope.name.lower(), "given": key.scope.name.lower()},
            )
        current.set(
            Call(
                owner_id=key.owner_id,
                key_id=key.key_id,
                scope=key.scope,
                request_id=asked.request_id,
                idempotency_key=read_key(asked.idempotency_key),
                last_event_id=asked.last_event_id,
                headers=headers,
            )
        )


def _asked(context: Context) -> _Asked:
    request_id = secret = bearer = idempotency_key = last_event_id = None
    metadata = cast(Iterable[tuple[str, str]], context.invocation_metadata() or ())
    for name, value in metadata:
        if name == "x-api-key":
            secret = value
        elif name == "authorization":
            bearer = value
        elif name == "x-request-id":
            request_id = value
        elif name == "idempotency-key":
            idempotency_key = value
        elif name == "last-event-id":
            last_event_id = value
    if request_id is None or not _SANE_REQUEST_ID.fullmatch(request_id):
        request_id = str(ULID())
    if secret is None and bearer is not None and bearer[:7].lower() == "bearer ":
        secret = bearer[7:].strip()
    return _Asked(
        request_id=request_id,
        secret=secret,
        idempotency_key=idempotency_key,
        last_event_id=last_event_id,
    )


async def _abort(context: Context, error: Exception, request_id: str) -> NoReturn:
    """End a call with the status of an error; one that was aborted already ends as it is."""
    if isinstance(error, grpc.aio.AbortError):
        raise error
    told = error_statuses.told(error_statuses.known(error, request_id), request_id)
    await context.abort(told.code, told.message, told.trailers)
