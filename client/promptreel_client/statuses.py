"""gRPC statuses to errors: the one place that reads `google.rpc.Status`."""

from collections.abc import Iterable
from typing import Any

import grpc
from google.protobuf.message import DecodeError
from google.rpc import error_details_pb2, status_pb2

from promptreel_client import errors
from promptreel_client.errors import FieldViolation, InvalidRequestError, PromptreelError

_DETAILS = "grpc-status-details-bin"
_REQUEST_ID = "x-request-id"

_BY_STATUS: dict[grpc.StatusCode, type[PromptreelError]] = {
    grpc.StatusCode.INVALID_ARGUMENT: errors.InvalidRequestError,
    grpc.StatusCode.OUT_OF_RANGE: errors.InvalidRequestError,
    grpc.StatusCode.UNAUTHENTICATED: errors.AuthenticationError,
    grpc.StatusCode.PERMISSION_DENIED: errors.PermissionDeniedError,
    grpc.StatusCode.NOT_FOUND: errors.NotFoundError,
    grpc.StatusCode.ALREADY_EXISTS: errors.ConflictError,
    grpc.StatusCode.FAILED_PRECONDITION: errors.ConflictError,
    grpc.StatusCode.ABORTED: errors.ConflictError,
    grpc.StatusCode.RESOURCE_EXHAUSTED: errors.RateLimitError,
    grpc.StatusCode.UNAVAILABLE: errors.UnavailableError,
    grpc.StatusCode.DEADLINE_EXCEEDED: errors.DeadlineError,
}


def known(error: grpc.RpcError, request_id: str) -> PromptreelError:
    """Answer the error of our tree that a failed call means.

    The details are read from the trailers as they are: grpcio-status refuses them where their
    message differs from the status', and the server shortens a long one in the details alone.
    """
    call: Any = error  # a failed call is its own error, in grpc and in grpc.aio alike
    trailers = _pairs(call.trailing_metadata())
    found_id = trailers.get(_REQUEST_ID, request_id)
    status = _status(trailers.get(_DETAILS))
    code: grpc.StatusCode = call.code()
    text = call.details() or f"The call failed with {code.name} and no explanation."
    if status is None:
        return _undetailed(code, text, str(found_id))
    return _detailed(code, text, status, str(found_id))


def of_reason(
    reason: str, message: str, *, request_id: str | None = None, retry_after: float | None = None
) -> PromptreelError:
    """Answer the error of a reason, such as a stream gives in place of a status."""
    error = errors.BY_CODE.get(reason, errors.InternalError)
    return error(message, code=reason, request_id=request_id, retry_after=retry_after)


def _undetailed(code: grpc.StatusCode, text: str, request_id: str) -> PromptreelError:
    """What gRPC itself or something on the way says: there is no reason, only a status code."""
    if code is grpc.StatusCode.UNAVAILABLE:
        text = f"The server can't be reached: {text}"
    elif code is grpc.StatusCode.DEADLINE_EXCEEDED:
        text = "The server did not answer in the time given."
    error = _BY_STATUS.get(code)
    if error is None:
        return errors.InternalError(text, code=f"grpc_{code.name.lower()}", request_id=request_id)
    return error(text, request_id=request_id)


def _detailed(
    code: grpc.StatusCode, text: str, status: status_pb2.Status, request_id: str
) -> PromptreelError:
    """What our server says."""
    info = _unpacked(status, error_details_pb2.ErrorInfo)
    delay = _unpacked(status, error_details_pb2.RetryInfo)
    request = _unpacked(status, error_details_pb2.BadRequest)
    if info is None:
        return _undetailed(code, text, request_id)
    reason = info.reason.lower()
    kind = errors.BY_CODE.get(reason) or _BY_STATUS.get(code, errors.InternalError)
    about = dict(info.metadata)
    shared: dict[str, Any] = {
        "code": reason,
        "request_id": about.pop("request_id", request_id),
        "details": about,
        "retry_after": None if delay is None else delay.retry_delay.ToTimedelta().total_seconds(),
    }
    if issubclass(kind, InvalidRequestError):
        return kind(text, field_violations=_violations(request), **shared)
    return kind(text, **shared)


def _violations(request: error_details_pb2.BadRequest | None) -> tuple[FieldViolation, ...]:
    if request is None:
        return ()
    return tuple(
        FieldViolation(field=violation.field, description=violation.description)
        for violation in request.field_violations
    )


def _status(data: str | bytes | None) -> status_pb2.Status | None:
    if not isinstance(data, bytes):
        return None
    try:
        return status_pb2.Status.FromString(data)
    except DecodeError:
        return None  # somebody else's trailer of the same name


def _unpacked(status: status_pb2.Status, kind: type[Any]) -> Any:
    for packed in status.details:
        if packed.Is(kind.DESCRIPTOR):
            detail = kind()
            packed.Unpack(detail)
            return detail
    return None


def _pairs(metadata: Iterable[tuple[str, str | bytes]] | None) -> dict[str, str | bytes]:
    return dict(metadata or ())
