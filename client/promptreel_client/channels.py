"""Channels to one server: one for calls, and one for watches, made when first needed.

Many open watches fill a connection, and further calls on it then wait without a word; so watches
have a connection of their own.
"""

from collections.abc import Callable
from threading import Lock
from typing import Any

from promptreel_client.connection import Connection, options
from promptreel_client.contract import Rpc
from promptreel_client.errors import UnavailableError

MakeChannel = Callable[[Connection, tuple[tuple[str, Any], ...]], Any]
"""Makes a channel, blocking or asyncio, from a connection and options."""


class Channels:
    """The channels and what was made of them; both kinds of grpc name their parts alike."""

    def __init__(self, connection: Connection, make: MakeChannel) -> None:
        self._connection = connection
        self._make = make
        self._lock = Lock()
        self._channels: dict[bool, Any] = {}
        self._methods: dict[str, Any] = {}
        self._closed = False

    def method(self, rpc: Rpc) -> Any:
        """Answer what calls an rpc.

        Raises:
            UnavailableError: the client is closed.
        """
        found = self._methods.get(rpc.path)
        if found is not None:
            return found
        with self._lock:
            channel = self._channel(watching=rpc.shape == "unary_stream")
            made = getattr(channel, rpc.shape)(
                rpc.path,
                request_serializer=rpc.request.SerializeToString,
                response_deserializer=rpc.answer.FromString,
            )
            return self._methods.setdefault(rpc.path, made)

    def taken(self) -> list[Any]:
        """Hand out all channels for closing; from now on there are none."""
        with self._lock:
            self._closed = True
            channels = list(self._channels.values())
            self._channels.clear()
            self._methods.clear()
        return channels

    def _channel(self, *, watching: bool) -> Any:
        if self._closed:
            raise UnavailableError("This client is closed; make a new one.", code="client_closed")
        channel = self._channels.get(watching)
        if channel is None:
            channel = self._make(self._connection, options(watching=watching))
            self._channels[watching] = channel
        return channel
