"""How large a request of each method may be, once its caller is known."""

from promptreel_server.errors import TooLarge

USUAL = 64 * 1024
"""Bytes of a request that names things."""

WITH_SCHEMA = 512 * 1024
"""Bytes of a request that holds schemas: as a message a schema takes several times its JSON."""

WITH_DATA = 2 * 1024 * 1024
"""Bytes of a request that holds data of the caller's, as the gateway takes it."""

MOST = 4 * 1024 * 1024
"""Bytes of any message, such as a chunk of an upload: what is longer is refused unread."""

_LARGER = {
    "CreatePrompt": WITH_SCHEMA,
    "UpdatePrompt": WITH_SCHEMA,
    "TestSchema": WITH_DATA,
    "BatchGetVideos": WITH_SCHEMA,
    "BatchGetVideoStatus": WITH_SCHEMA,
    "BatchGetVideoSegments": WITH_SCHEMA,
}


def bound_of(method: str) -> int:
    """Answer the most bytes that a request of a method may have."""
    return _LARGER.get(method.rpartition("/")[2], USUAL)


def check(method: str, request: bytes) -> None:
    """Refuse a request that is too large for its method.

    Raises:
        TooLarge: says how large it may be.
    """
    most = bound_of(method)
    if len(request) > most:
        raise TooLarge(
            f"The request has {len(request)} bytes; one of {method.rpartition('/')[2]} "
            f"may have {most}."
        )
