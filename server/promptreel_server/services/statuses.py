"""Errors on the wire: a gRPC status with details, and the same as the REST envelope."""

import errno
import json
import logging
import math
from typing import Any

import grpc
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import DecodeError
from google.rpc import error_details_pb2, status_pb2
from sqlalchemy.exc import OperationalError

from promptreel_server.errors import Invalid, PromptreelError, Unavailable

DOMAIN = "promptreel"
MOST_ENVELOPE_BYTES = 6 * 1024
"""Metadata of a call are limited to about 8 KB in all; the details message takes its share."""
_MOST_VIOLATIONS = 12
_LONGEST_TEXT = 400
_RETRY_STORAGE_SECONDS = 10.0
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EROFS})

_CODES = {code.value[0]: code for code in grpc.StatusCode}

Metadata = tuple[tuple[str, str | bytes], ...]

logger = logging.getLogger(__name__)


class Internal(PromptreelError):
    """Something broke on our side; the log holds what, under the request id."""

    http_status = 500
    reason = "internal"


def known(error: BaseException, request_id: str) -> PromptreelError:
    """Answer the error of our tree that tells a caller what went wrong.

    What is not in the tree is logged whole; its text never leaves the server.
    """
    if isinstance(error, PromptreelError):
        return error
    if isinstance(error, DecodeError):
        return Invalid("The request is no message of this method; generate the stubs anew.")
    if _is_storage(error):
        logger.error("Storage failed in request %s", request_id, exc_info=error)
        return Unavailable(
            "The server can't write its data now; its disk may be full. Try again later.",
            retry_after=_RETRY_STORAGE_SECONDS,
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
    return grpc.StatusCode.INTERNAL if isinstance(error, Internal) else _CODES[error.code.value]


def trailers(error: PromptreelError, request_id: str) -> Metadata:
    """Answer the trailing metadata that carry an error to native and to REST callers."""
    metadata: list[tuple[str, str | bytes]] = [
        ("grpc-status-details-bin", _status(error).SerializeToString()),
        ("x-error-envelope", envelope(error, request_id)),
        ("x-http-status", str(error.http_status)),
        ("x-request-id", request_id),
    ]
    if error.retry_after is not None:
        metadata.append(("retry-after", str(max(1, math.ceil(error.retry_after)))))
    return tuple(metadata)


def envelope(error: PromptreelError, request_id: str) -> str:
    """Render the REST body of an error: ASCII JSON, at most 6 KB."""
    body: dict[str, Any] = {
        "code": error.reason,
        "message": _short(error.message),
        "details": _details(error),
        "request_id": request_id,
    }
    text = json.dumps({"error": body})
    if len(text) > MOST_ENVELOPE_BYTES:  # details beyond measure, such as many long ids
        text = json.dumps({"error": {**body, "details": {}}})
    return text


def _details(error: PromptreelError) -> dict[str, Any]:
    details: dict[str, Any] = {name: _short(value) for name, value in error.details.items()}
    if isinstance(error, Invalid):
        details["field_violations"] = [
            {"field": _short(violation.field), "description": _short(violation.description)}
            for violation in error.violations[:_MOST_VIOLATIONS]
        ]
    return details


def _status(error: PromptreelError) -> status_pb2.Status:
    info = error_details_pb2.ErrorInfo(
        reason=error.reason.upper(),
        domain=DOMAIN,
        metadata={name: _short(value) for name, value in error.details.items()},
    )
    details: list[Any] = [info]
    if isinstance(error, Invalid) and error.violations:
        violations = [
            error_details_pb2.BadRequest.FieldViolation(
                field=_short(violation.field), description=_short(violation.description)
            )
            for violation in error.violations[:_MOST_VIOLATIONS]
        ]
        details.append(error_details_pb2.BadRequest(field_violations=violations))
    if error.retry_after is not None:
        details.append(error_details_pb2.RetryInfo(retry_delay=_duration(error.retry_after)))
    status = status_pb2.Status(code=grpc_code(error).value[0], message=_short(error.message))
    for detail in details:
        packed = AnyMessage()
        packed.Pack(detail)
        status.details.append(packed)
    return status


def _duration(seconds: float) -> Duration:
    whole, part = divmod(max(0.0, seconds), 1.0)
    return Duration(seconds=int(whole), nanos=int(part * 1e9))


def _short(text: str) -> str:
    return text if len(text) <= _LONGEST_TEXT else text[: _LONGEST_TEXT - 1] + "…"
