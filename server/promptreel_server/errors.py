"""Everything that can be wrong, in one tree.

    PromptreelError
    ├── Invalid                 400  the request says something it can't mean
    │   ├── InvalidCursor
    │   ├── EmptyTarget
    │   └── UnknownModel
    ├── Unauthenticated         401
    ├── ScopeMissing            403
    ├── NotFound                404
    │   └── VideoLevelNotConfigured
    ├── Conflict                409  the thing is in another state
    │   ├── SegmentNotFailed · NotRetryable · RetryInFlight
    │   ├── BeingDeleted
    │   └── IdempotencyInFlight
    ├── IdempotencyKeyReused    422
    ├── TooLarge                413
    ├── RateLimited             429
    ├── Unavailable             503
    │   ├── StoreUnavailable         passes: what was to be written can be written later
    │   └── PortTaken                at start only, never on the wire
    └── OperationFailure             an operation failed (data, never a status)
        ├── MediaUnreadable
        ├── MediaUnavailable
        └── ModelFailure

A class knows its gRPC code, its HTTP status where no gRPC code says it, and its reason (the
snake_case `code` of the envelope; upper case it is the `ErrorInfo.reason` of the catalogue in
`error_reason.proto`). The message says what to do.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum


class Code(Enum):
    """The gRPC status codes this server answers, without importing gRPC."""

    INVALID_ARGUMENT = 3
    NOT_FOUND = 5
    PERMISSION_DENIED = 7
    RESOURCE_EXHAUSTED = 8
    FAILED_PRECONDITION = 9
    ABORTED = 10
    INTERNAL = 13
    UNAVAILABLE = 14
    UNAUTHENTICATED = 16


@dataclass(frozen=True, kw_only=True)
class FieldViolation:
    """One field of a request and what is wrong with it."""

    field: str
    description: str


class PromptreelError(Exception):
    """The root of the tree."""

    code: Code = Code.FAILED_PRECONDITION
    http_status: int = 409
    reason: str = "failed_precondition"

    def __init__(
        self,
        message: str,
        *,
        details: Mapping[str, str] | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.details: Mapping[str, str] = details or {}
        self.retry_after = retry_after
        """Seconds after which the same call can succeed, where that is known."""


class Invalid(PromptreelError):
    """The request says something it can't mean; `violations` name the fields."""

    code = Code.INVALID_ARGUMENT
    http_status = 400
    reason = "invalid_request"

    def __init__(
        self,
        message: str,
        *,
        violations: tuple[FieldViolation, ...] = (),
        details: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message, details=details)
        self.violations = violations

    @classmethod
    def field(cls, field: str, description: str) -> "Invalid":
        """One bad field: the message names it."""
        violation = FieldViolation(field=field, description=description)
        return cls(f"{field}: {description}", violations=(violation,))


class InvalidCursor(Invalid):
    """A cursor that is forged, or belongs to another call or other filters."""

    reason = "invalid_cursor"


class EmptyTarget(Invalid):
    """The target holds no media that a run could cover."""

    reason = "empty_target"


class UnknownModel(Invalid):
    """No such processing model; the message lists the known ones."""

    reason = "unknown_model"


class UnsupportedMedia(Invalid):
    """The bytes are no media that can be decoded; the message says why."""

    reason = "unsupported_media"


class Unauthenticated(PromptreelError):
    """No key, or an unknown, revoked or expired one."""

    code = Code.UNAUTHENTICATED
    http_status = 401
    reason = "unauthenticated"


class ScopeMissing(PromptreelError):
    """The key is good but its scope does not reach this far."""

    code = Code.PERMISSION_DENIED
    http_status = 403
    reason = "scope_missing"


class NotFound(PromptreelError):
    """No such thing, or it belongs to somebody else."""

    code = Code.NOT_FOUND
    http_status = 404
    reason = "not_found"


class VideoLevelNotConfigured(NotFound):
    """The run's prompt asks for no synthesis."""

    reason = "video_level_not_configured"


class Conflict(PromptreelError):
    """The thing is in a state that forbids this."""

    reason = "conflict"


class SegmentNotFailed(Conflict):
    """The segment has nothing to retry."""

    reason = "segment_not_failed"


class NotRetryable(Conflict):
    """A retry can't help; `force` tries it all the same."""

    reason = "not_retryable"


class RetryInFlight(Conflict):
    """Another retry of the segment is under way; `details.retry_id` names it."""

    reason = "retry_in_flight"


class BeingDeleted(Conflict):
    """The thing is being deleted and takes no new work."""

    reason = "being_deleted"


class IdempotencyInFlight(Conflict):
    """The first request with this key is still under way."""

    code = Code.ABORTED
    reason = "idempotency_in_progress"

    def __init__(self) -> None:
        super().__init__(
            "The first request with this Idempotency-Key is still under way; ask again shortly.",
            retry_after=1.0,
        )


class IdempotencyKeyReused(PromptreelError):
    """The key was used with another request."""

    http_status = 422
    reason = "idempotency_key_reused"


class TooLarge(PromptreelError):
    """More bytes, items or seconds than a limit allows; the message names it."""

    code = Code.RESOURCE_EXHAUSTED
    http_status = 413
    reason = "too_large"


class RateLimited(PromptreelError):
    """Too many calls; `retry_after` says when to come back."""

    code = Code.RESOURCE_EXHAUSTED
    http_status = 429
    reason = "rate_limited"


class Unavailable(PromptreelError):
    """The server can't do this now (draining, no disk space, a part is missing)."""

    code = Code.UNAVAILABLE
    http_status = 503
    reason = "unavailable"


class StoreUnavailable(Unavailable):
    """The database can't be written or read now (full disk, locked file); this passes."""


class PortTaken(Unavailable):
    """Another program listens at the address that the message names."""


class FailureCode(Enum):
    """Why an operation failed; whether a retry can help is said by `retryable`."""

    RATE_LIMITED = "rate_limited"
    QUOTA_EXHAUSTED = "quota_exhausted"
    MODEL_UNAVAILABLE = "model_unavailable"
    TIMEOUT = "timeout"
    OUTPUT_TRUNCATED = "output_truncated"
    SCHEMA_INVALID = "schema_invalid"
    BLOCKED = "blocked"
    INVALID_REQUEST = "invalid_request"
    UNAUTHENTICATED = "unauthenticated"
    MEDIA_UNREADABLE = "media_unreadable"
    MEDIA_UNAVAILABLE = "media_unavailable"
    CANCELLED = "cancelled"
    INTERNAL = "internal"

    @property
    def retryable(self) -> bool:
        """Whether a retry by hand can help without `force`."""
        return self in _RETRYABLE

    @property
    def transient(self) -> bool:
        """Whether the engine attempts again by itself, after a pause."""
        return self in _TRANSIENT


_TRANSIENT = frozenset(
    {
        FailureCode.RATE_LIMITED,
        FailureCode.MODEL_UNAVAILABLE,
        FailureCode.TIMEOUT,
        FailureCode.MEDIA_UNAVAILABLE,
    }
)
_RETRYABLE = _TRANSIENT | {
    FailureCode.QUOTA_EXHAUSTED,
    FailureCode.OUTPUT_TRUNCATED,
    FailureCode.SCHEMA_INVALID,
    FailureCode.INTERNAL,
}


class OperationFailure(PromptreelError):
    """An operation on a segment or a media item failed: kept as data, never a status."""

    reason = "operation_failed"

    def __init__(
        self, failure_code: FailureCode, message: str, *, retry_after: float | None = None
    ) -> None:
        super().__init__(message, retry_after=retry_after)
        self.failure_code = failure_code


class MediaUnreadable(OperationFailure):
    """The bytes can't be decoded."""

    def __init__(self, message: str) -> None:
        super().__init__(FailureCode.MEDIA_UNREADABLE, message)


class MediaUnavailable(OperationFailure):
    """The bytes can't be reached now."""

    def __init__(self, message: str) -> None:
        super().__init__(FailureCode.MEDIA_UNAVAILABLE, message)


class ModelFailure(OperationFailure):
    """A model did not give a usable answer."""


class ModelMissing(ModelFailure):
    """A model is not installed: no attempt helps before somebody installs it."""

    def __init__(self, message: str) -> None:
        super().__init__(FailureCode.MODEL_UNAVAILABLE, message)
