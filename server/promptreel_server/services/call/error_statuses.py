"""Errors on the wire: a gRPC status with details, and the same as the REST envelope."""

import errno
import json
import logging
import math
from dataclasses import dataclass
from itertools import islice
from typing import Any
from urllib.parse import quote

import grpc
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import DecodeError
from google.rpc import error_details_pb2, status_pb2
from sqlalchemy.exc import OperationalError

from promptreel_server.errors import (
    Code,
    Invalid,
    OperationFailure,
    PromptreelError,
    Unavailable,
)

DOMAIN = "promptreel"
_MOST_BYTES = 6 * 1024
"""What message, details and envelope may take together: metadata are limited to 8 KB in all."""
_CUTS = ((20, 1000), (12, 300), (6, 120), (3, 60), (1, 30))
"""How many details are told, and how long a text of them may be: the first that fits."""
_RETRY_SECONDS = 10.0
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EROFS})

_CODES = {code.value[0]: code for code in grpc.StatusCode}

Metadata = tuple[tuple[str, str | bytes], ...]

logger = logging.getLogger(__name__)


class Internal(PromptreelError):
    """Something broke on our side; the log holds what, under the request id."""

    code = Code.INTERNAL
    http_status = 500
    reason = "internal"


def known(error: BaseException, request_id: str) -> PromptreelError:
    """Answer the error of our tree that tells a caller what went wrong.

    What is not in the tree is logged whole; its text never leaves the server.
    """
    if isinstance(error, OperationFailure):  # data of a run, escaped into a call
        return Unavailable(error.message, retry_after=error.retry_after or _RETRY_SECONDS)
    if isinstance(error, PromptreelError):
        return error
    if isinstance(error, DecodeError):
        return Invalid(
            "The request can't be read: a text in it is no UTF-8, or it is none of this method."
        )
    if _is_storage(error):
        logger.error("Storage failed in request %s", request_id, exc_info=error)
        return Unavailable(
            "The server can't write its data now; its disk may be full. Try again later.",
            retry_after=_RETRY_SECONDS,
        )
    logger.error("Request %s failed", request_id, exc_info=error)
    return Internal(
        f"The server failed; its log tells why under the request id {request_id}.",
    )


def _is_storage(error: BaseException) -> bool:
    if isinstance(error, OperationalError):
        return True
    return isinstance(error, OSError) and error.errno in _FULL


def grpc_code(error: PromptreelError) -> grpc.StatusCode:
    """Answer the status code of an error."""
    return _CODES[error.code.value]


@dataclass(frozen=True, kw_only=True, slots=True)
class Told:
    """An error as it leaves: status code, its message, and the trailing metadata."""

    code: grpc.StatusCode
    message: str
    trailers: Metadata


def told(error: PromptreelError, request_id: str) -> Told:
    """Say an error to native and to REST callers at once, within what metadata may hold."""
    for most, longest in _CUTS:
        message = _short(error.message, longest)
        details = _status(error, most, longest).SerializeToString()
        envelope = _envelope(error, request_id, most, longest)
        if len(quote(message)) + len(details) * 4 // 3 + len(envelope) <= _MOST_BYTES:
            break
    trailers: list[tuple[str, str | bytes]] = [
        ("grpc-status-details-bin", details),
        ("x-error-envelope", envelope),
        ("x-http-status", str(error.http_status)),
        ("x-request-id", request_id),
    ]
    if error.retry_after is not None:
        trailers.append(("retry-after", str(max(1, math.ceil(error.retry_after)))))
    return Told(code=grpc_code(error), message=message, trailers=tuple(trailers))


def _envelope(error: PromptreelError, request_id: str, most: int, longest: int) -> str:
    """Render the REST body of an error: ASCII JSON."""
    details: dict[str, Any] = {
        name: _short(value, longest) for name, value in _named(error, most).items()
    }
    if isinstance(error, Invalid):
        details["field_violations"] = [
            {
                "field": _short(violation.field, longest),
                "description": _short(violation.description, longest),
            }
            for violation in error.violations[:most]
        ]
    body = {
        "code": error.reason,
        "message": _short(error.message, longest),
        "details": details,
        "request_id": request_id,
    }
    return json.dumps({"error": body})


def _status(error: PromptreelError, most: int, longest: int) -> status_pb2.Status:
    info = error_details_pb2.ErrorInfo(
        reason=error.reason.upper(),
        domain=DOMAIN,
        metadata={name: _short(value, longest) for name, value in _named(error, most).items()},
    )
    details: list[Any] = [info]
    if isinstance(error, Invalid) and error.violations:
        violations = [
            error_details_pb2.BadRequest.FieldViolation(
                field=_short(violation.field, longest),
                description=_short(violation.description, longest),
            )
            for violation in error.violations[:most]
        ]
        details.append(error_details_pb2.BadRequest(field_violations=violations))
    if error.retry_after is not None:
        details.append(error_details_pb2.RetryInfo(retry_delay=_duration(error.retry_after)))
    status = status_pb2.Status(
        code=grpc_code(error).value[0], message=_short(error.message, longest)
    )
    for detail in details:
        packed = AnyMessage()
        packed.Pack(detail)
        status.details.append(packed)
    return status


def _named(error: PromptreelError, most: int) -> dict[str, str]:
    return dict(islice(error.details.items(), most))


def _duration(seconds: float) -> Duration:
    whole, nanos = divmod(round(max(0.0, seconds) * 1e9), 1_000_000_000)
    return Duration(seconds=whole, nanos=nanos)


def _short(text: str, longest: int) -> str:
    return text if len(text) <= longest else text[: longest - 1] + "…"
