"""The one way into every method: request id, key, scope, pace, and errors on the way out."""

import re
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import aclosing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NoReturn, cast
from urllib.parse import unquote

import grpc
from google.protobuf.message import Message
from ulid import ULID

from promptreel_server.domain.key import Scope
from promptreel_server.errors import (
    PromptreelError,
    RateLimited,
    ScopeMissing,
    Unauthenticated,
)
from promptreel_server.services.call import error_statuses, message_bounds, scopes
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

FAILURES_PER_SECOND, FAILURE_BURST = 2.0, 60
"""Calls with a refused key that one address may make; calls with a good key are not counted."""
_LOOPBACK = frozenset({"127.0.0.1", "::1"})

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

    def __init__(
        self, keys: KeyRing, limits: RateLimits, failures: RateLimits | None = None
    ) -> None:
        """Guard with keys; `failures` bounds refused keys by address."""
        self._keys = keys
        self._limits = limits
        self._failures = failures or RateLimits(
            per_second=FAILURES_PER_SECOND, burst=FAILURE_BURST, by="with keys that are refused"
        )
        self._wrapped: dict[str, Handler] = {}

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Handler | None]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Handler | None:
        """Answer the handler of a method, wrapped; None where there is no such method."""
        method = handler_call_details.method
        refused = await self._refused(method, handler_call_details)
        if refused is not None:
            return self._refusing(refused)
        known = self._wrapped.get(method)
        if known is not None:
            return known
        handler = await continuation(handler_call_details)
        if handler is None:
            return handler
        wrapped = self._wrap(method, handler)
        self._wrapped[method] = wrapped
        return wrapped

    async def _refused(
        self, method: str, details: grpc.HandlerCallDetails
    ) -> PromptreelError | None:
        """Why a caller stays out, before anything of the request is read or inflated."""
        if method not in scopes.SCOPES:
            return None
        metadata = cast(Iterable[tuple[str, str]], details.invocation_metadata or ())
        try:
            await self._keys.authenticate(_secret(metadata))
        except PromptreelError as error:
            return error
        return None

    def _refusing(self, error: PromptreelError) -> Handler:
        """A handler that refuses: as one of streams it is called with nothing read."""

        async def refuse(_requests: Any, context: Context) -> Message:
            told: PromptreelError = error
            if isinstance(error, Unauthenticated):
                try:
                    self._failures.take(_address(context))
                except RateLimited as limited:
                    told = limited
            await _abort(context, told, _asked(context).request_id)

        return grpc.stream_unary_rpc_method_handler(refuse, None, None)

    def _wrap(self, method: str, handler: Handler) -> Handler:
        """Wrap a handler; a single request is parsed only once its caller is known."""
        scope = None if scopes.is_open(method) else scopes.SCOPES[method]
        serialize, parse = handler.response_serializer, handler.request_deserializer
        if handler.request_streaming and handler.response_streaming:
            return handler  # reflection alone is of this kind: open to all, and not ours
        if handler.request_streaming:
            guarded = self._guard(method, scope, handler.stream_unary, None)
            return grpc.stream_unary_rpc_method_handler(guarded, parse, serialize)
        if handler.response_streaming:
            guarded = self._guard_stream(method, scope, handler.unary_stream, parse)
            return grpc.unary_stream_rpc_method_handler(guarded, None, serialize)
        guarded = self._guard(method, scope, handler.unary_unary, parse)
        return grpc.unary_unary_rpc_method_handler(guarded, None, serialize)

    def _guard(self, method: str, scope: Scope | None, behaviour: Any, parse: Any) -> Behaviour:
        """Wrap a method that answers once."""

        async def guarded(request: Any, context: Context) -> Message:
            asked = _asked(context)
            headers: list[tuple[str, str]] = [("x-request-id", asked.request_id)]
            try:
                if scope is not None:
                    await self._admit(asked, scope, headers)
                if parse is not None:
                    message_bounds.check(method, request)
                    request = parse(request)
                answer: Message = await behaviour(request, context)
            except Exception as error:  # noqa: BLE001 - every error becomes a status
                await _abort(context, error, asked.request_id)
            await context.send_initial_metadata(tuple(headers))
            return answer

        return guarded

    def _guard_stream(
        self, method: str, scope: Scope | None, behaviour: Any, parse: Any
    ) -> Behaviour:
        """Wrap a method that answers with a stream; headers go out before the first message."""

        async def guarded(request: Any, context: Context) -> AsyncIterator[Message]:
            asked = _asked(context)
            headers: list[tuple[str, str]] = [("x-request-id", asked.request_id)]
            begun = False
            try:
                if scope is not None:
                    await self._admit(asked, scope, headers)
                message_bounds.check(method, request)
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
    request_id = idempotency_key = last_event_id = None
    metadata = cast(Iterable[tuple[str, str]], context.invocation_metadata() or ())
    for name, value in metadata:
        if name == "x-request-id":
            request_id = value
        elif name == "idempotency-key":
            idempotency_key = value
        elif name == "last-event-id":
            last_event_id = value
    if request_id is None or not _SANE_REQUEST_ID.fullmatch(request_id):
        request_id = str(ULID())
    return _Asked(
        request_id=request_id,
        secret=_secret(metadata),
        idempotency_key=idempotency_key,
        last_event_id=last_event_id,
    )


def _secret(metadata: Iterable[tuple[str, str]]) -> str | None:
    """The key that comes with a call."""
    secret = bearer = None
    for name, value in metadata:
        if name == "x-api-key":
            secret = value
        elif name == "authorization":
            bearer = value
    if secret is None and bearer is not None and bearer[:7].lower() == "bearer ":
        secret = bearer[7:].strip()
    return secret


def _address(context: Context) -> str:
    """Where a call comes from: what the gateway says of it, where it comes from this machine."""
    peer = unquote(context.peer())
    host = peer.partition(":")[2].rpartition(":")[0].strip("[]")
    if peer.startswith("unix") or host in _LOOPBACK:
        metadata = cast(Iterable[tuple[str, str]], context.invocation_metadata() or ())
        for name, value in metadata:
            if name == "x-forwarded-for":
                return str(value).rpartition(",")[2].strip()[:64]
    return host


async def _abort(context: Context, error: Exception, request_id: str) -> NoReturn:
    """End a call with the status of an error; one that was aborted already ends as it is."""
    if isinstance(error, grpc.aio.AbortError):
        raise error
    told = error_statuses.told(error_statuses.known(error, request_id), request_id)
    await context.abort(told.code, told.message, told.trailers)
