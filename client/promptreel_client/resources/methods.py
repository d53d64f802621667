"""How a function that makes a call as data becomes a method that makes the call."""

from collections.abc import Callable, Coroutine
from functools import update_wrapper
from typing import Any, Generic, ParamSpec, TypeVar

from promptreel_client.async_transport import AsyncTransport
from promptreel_client.call import Call, Paged
from promptreel_client.following import Watching
from promptreel_client.model.import_jobs import ImportJob
from promptreel_client.pages import AsyncPager, Pager
from promptreel_client.transport import Transport
from promptreel_client.upload import Upload
from promptreel_client.watch import AsyncWatch, Watch

P = ParamSpec("P")
T = TypeVar("T")
A = TypeVar("A")
"""What a function asks for: a call, a list, a stream or an upload."""


class Resource:
    """One group of blocking methods."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport


class AsyncResource:
    """One group of asyncio methods."""

    def __init__(self, transport: AsyncTransport) -> None:
        self._transport = transport


class Method(Generic[P, T]):
    """A method with the parameters and the text of `ask`, which makes what it asks for.

    `do` is given the resource's transport and what was asked.
    """

    def __init__(self, ask: Callable[P, Any], do: Callable[[Any, Any], T]) -> None:
        self.ask = ask
        self._do = do
        update_wrapper(self, ask)  # type: ignore[arg-type]  # not callable itself, but told of alike

    def __get__(self, resource: Any, owner: type) -> Callable[P, T]:
        if resource is None:
            return self  # type: ignore[return-value]  # looked at on the class, not called

        def method(*args: P.args, **kwargs: P.kwargs) -> T:
            return self._do(resource._transport, self.ask(*args, **kwargs))

        return update_wrapper(method, self.ask)


def calls(ask: Callable[P, Call[T]]) -> Method[P, T]:
    """Make one call and answer what it answers."""
    return Method(ask, Transport.run)


def lists(ask: Callable[P, Paged[T]]) -> Method[P, Pager[T]]:
    """Answer a list that fetches its pages while it is gone through."""

    def pager(transport: Transport, paged: Paged[T]) -> Pager[T]:
        return Pager(lambda cursor: transport.run(paged.at(cursor)))

    return Method(ask, pager)


def watches(ask: Callable[P, Watching[T]]) -> Method[P, Watch[T]]:
    """Answer an iterator over what happens."""
    return Method(ask, Watch[T])


def uploads(ask: Callable[P, Upload]) -> Method[P, ImportJob]:
    """Send a media item."""
    return Method(ask, Transport.send)


def async_calls(ask: Callable[P, Call[T]]) -> Method[P, Coroutine[Any, Any, T]]:
    """Make one call and answer what it answers."""
    return Method(ask, AsyncTransport.run)


def async_lists(ask: Callable[P, Paged[T]]) -> Method[P, AsyncPager[T]]:
    """Answer a list that fetches its pages while it is gone through; needs no `await`."""

    def pager(transport: AsyncTransport, paged: Paged[T]) -> AsyncPager[T]:
        return AsyncPager(lambda cursor: transport.run(paged.at(cursor)))

    return Method(ask, pager)


def async_watches(ask: Callable[P, Watching[T]]) -> Method[P, AsyncWatch[T]]:
    """Answer an async iterator over what happens; needs no `await`."""
    return Method(ask, AsyncWatch[T])


def async_uploads(ask: Callable[P, Upload]) -> Method[P, Coroutine[Any, Any, ImportJob]]:
    """Send a media item."""
    return Method(ask, AsyncTransport.send)
