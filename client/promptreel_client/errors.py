"""Everything a call can fail with, in one tree.

    PromptreelError
    ├── InvalidRequestError     the request says something it can't mean; names the fields
    ├── AuthenticationError     no API key, or an unknown, revoked or expired one
    ├── PermissionDeniedError   the key is good but its scope does not reach this far
    ├── NotFoundError           no such thing, or it belongs to somebody else
    ├── ConflictError           the thing is in a state that forbids this
    ├── IdempotencyError        the idempotency key is taken: by another request, or still in hand
    ├── TooLargeError           more bytes, items or seconds than a limit allows
    ├── RateLimitError          too many calls; says when to come back
    ├── UnavailableError        the server can't be reached, or can't do this now
    ├── DeadlineError           the time that the caller gave is over
    └── InternalError           something broke that is not the caller's doing

The message says what to do. `code` is the reason in lower case, as in the catalogue of reasons
that the reference lists: it tells apart what a class holds together, such as `not_retryable` and
`being_deleted`, both a `ConflictError`.
"""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True, slots=True)
class FieldViolation:
    """One field of a request and what is wrong with it."""

    field: str
    """The field, as the server calls it."""
    description: str
    """What it must be."""


class PromptreelError(Exception):
    """The root of the tree."""

    default_code = "internal"

    def __init__(
        self,
        message: str,
        *,
        code: str | None = None,
        request_id: str | None = None,
        details: Mapping[str, str] | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.code = self.default_code if code is None else code
        """Why, as a snake_case word."""
        self.request_id = request_id
        """Names the call in the server's log. None: no call was made."""
        self.details: Mapping[str, str] = {} if details is None else details
        """What the reason is about, such as `{"run_id": "run_…"}`."""
        self.retry_after = retry_after
        """Seconds after which the same call can succeed. None: not known."""


class InvalidRequestError(PromptreelError):
    """The request says something it can't mean; `field_violations` name the fields."""

    default_code = "invalid_request"

    def __init__(
        self,
        message: str,
        *,
        code: str | None = None,
        request_id: str | None = None,
        details: Mapping[str, str] | None = None,
        retry_after: float | None = None,
        field_violations: tuple[FieldViolation, ...] = (),
    ) -> None:
        super().__init__(
            message, code=code, request_id=request_id, details=details, retry_after=retry_after
        )
        self.field_violations = field_violations

    @classmethod
    def of_field(cls, field: str, description: str) -> "InvalidRequestError":
        """One bad field, refused before any call is made."""
        violation = FieldViolation(field=field, description=description)
        return cls(f"{field}: {description}", field_violations=(violation,))


class AuthenticationError(PromptreelError):
    """No API key, or an unknown, revoked or expired one."""

    default_code = "unauthenticated"


class PermissionDeniedError(PromptreelError):
    """The API key is good but its scope does not reach this far."""

    default_code = "scope_missing"


class NotFoundError(PromptreelError):
    """No such thing, or it belongs to somebody else; `details` names it."""

    default_code = "not_found"


class ConflictError(PromptreelError):
    """The thing is in a state that forbids this; the message names the state."""

    default_code = "conflict"


class IdempotencyError(PromptreelError):
    """The idempotency key came with another request, or its first request is still under way."""

    default_code = "idempotency_key_reused"


class TooLargeError(PromptreelError):
    """More bytes, items or seconds than a limit allows; the message names the limit."""

    default_code = "too_large"


class RateLimitError(PromptreelError):
    """Too many calls; `retry_after` says when to come back."""

    default_code = "rate_limited"


class UnavailableError(PromptreelError):
    """The server can't be reached, or can't do this now."""

    default_code = "unavailable"


class DeadlineError(PromptreelError):
    """The time that the caller gave is over; what was asked for may still happen."""

    default_code = "deadline_exceeded"


class InternalError(PromptreelError):
    """Something broke that is not the caller's doing; the server's log has it."""

    default_code = "internal"


BY_CODE: Mapping[str, type[PromptreelError]] = {
    "invalid_request": InvalidRequestError,
    "invalid_cursor": InvalidRequestError,
    "empty_target": InvalidRequestError,
    "unknown_model": InvalidRequestError,
    "unsupported_media": InvalidRequestError,
    "unauthenticated": AuthenticationError,
    "scope_missing": PermissionDeniedError,
    "not_found": NotFoundError,
    "video_level_not_configured": NotFoundError,
    "conflict": ConflictError,
    "segment_not_failed": ConflictError,
    "not_retryable": ConflictError,
    "retry_in_flight": ConflictError,
    "being_deleted": ConflictError,
    "idempotency_in_progress": IdempotencyError,
    "idempotency_key_reused": IdempotencyError,
    "too_large": TooLargeError,
    "rate_limited": RateLimitError,
    "unavailable": UnavailableError,
    "internal": InternalError,
}
"""The class of every reason in the server's catalogue."""
