"""Where the server is and who asks: arguments first, then the environment."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import grpc

from promptreel_client.errors import AuthenticationError, InvalidRequestError

DEFAULT_ADDRESS = "127.0.0.1:50051"
_MOST_MESSAGE_BYTES = 64 * 1024 * 1024

Tls = bool | str | Path | grpc.ChannelCredentials | None
"""True: TLS with the system's roots; a path: TLS with the roots in this PEM file; False: none;
None: TLS if the address begins with `https://`."""


@dataclass(frozen=True, kw_only=True)
class Connection:
    """All that a channel to the server needs."""

    target: str
    api_key: str = field(repr=False)
    timeout: float | None
    """Seconds that one call may take, its repetitions included. None: as long as it takes."""
    credentials: grpc.ChannelCredentials | None

    def metadata(self, request_id: str, idempotency_key: str | None) -> tuple[tuple[str, str], ...]:
        """Answer what goes with a call."""
        pairs = (("x-api-key", self.api_key), ("x-request-id", request_id))
        return pairs if idempotency_key is None else (*pairs, ("idempotency-key", idempotency_key))


def connect(
    address: str | None, api_key: str | None, timeout: float | None, tls: Tls
) -> Connection:
    """Settle where to connect to, and as whom.

    Raises:
        AuthenticationError: there is no API key.
        InvalidRequestError: the address is none, or the file of roots can't be read.
    """
    return _connection(os.environ, address, api_key, timeout, tls)


def _connection(
    environ: Mapping[str, str],
    address: str | None,
    api_key: str | None,
    timeout: float | None,
    tls: Tls,
) -> Connection:
    address = address or environ.get("PROMPTREEL_ADDRESS") or DEFAULT_ADDRESS
    api_key = api_key or environ.get("PROMPTREEL_API_KEY")
    if not api_key:
        raise AuthenticationError("Give an api_key, or set PROMPTREEL_API_KEY.")
    scheme, found, rest = address.rpartition("://")
    if found and scheme not in ("http", "https", "grpc", "grpcs"):
        raise InvalidRequestError.of_field("address", "must be HOST:PORT, or http(s)://HOST:PORT")
    if tls is None:
        tls = scheme in ("https", "grpcs")
    return Connection(
        target=rest.rstrip("/"), api_key=api_key, timeout=timeout, credentials=_credentials(tls)
    )


def _credentials(tls: Tls) -> grpc.ChannelCredentials | None:
    if isinstance(tls, grpc.ChannelCredentials):
        return tls
    if isinstance(tls, str | Path):
        try:
            roots = Path(tls).read_bytes()
        except OSError as error:
            raise InvalidRequestError.of_field("tls", f"can't be read: {error}") from error
        return grpc.ssl_channel_credentials(root_certificates=roots)
    return grpc.ssl_channel_credentials() if tls else None


def options(*, watching: bool) -> tuple[tuple[str, Any], ...]:
    """Answer the options of a channel; one for watches shares its TCP connection with no other.

    Watches are pinged when nothing has come for 30 s, which is twice the server's heartbeat: a
    dead connection is noticed, and a living one sees no ping that a proxy could take amiss.
    """
    shared = (
        ("grpc.primary_user_agent", f"promptreel-python/{_version()}"),
        ("grpc.max_receive_message_length", _MOST_MESSAGE_BYTES),
        ("grpc.max_send_message_length", _MOST_MESSAGE_BYTES),
        ("grpc.initial_reconnect_backoff_ms", 200),
        ("grpc.max_reconnect_backoff_ms", 5_000),
    )
    if not watching:
        return shared
    return (
        *shared,
        ("grpc.use_local_subchannel_pool", 1),
        ("grpc.keepalive_time_ms", 30_000),
        ("grpc.keepalive_timeout_ms", 10_000),
    )


def _version() -> str:
    try:
        return version("promptreel")
    except PackageNotFoundError:
        return "0"  # a source tree that is not installed
