"""Operations: the kinds of work on a segment, and what came of one."""

from dataclasses import dataclass
from datetime import datetime
from enum import Enum

from promptreel_server.errors import FailureCode


class Operation(Enum):
    """One kind of work on a segment."""

    FIELD_EXTRACTION = "field_extraction"
    TRANSCRIPTION = "transcription"
    IMAGE_EMBEDDING = "image_embedding"


class OperationStatus(Enum):
    """How an operation on a segment stands."""

    PENDING = "pending"
    """Enabled and not yet done."""
    SUCCEEDED = "succeeded"
    """Done: terminal until a retry."""
    FAILED = "failed"
    """Gave up: terminal until a retry."""
    OFF = "off"
    """Not enabled, or the medium has nothing for it: terminal."""


@dataclass(frozen=True, kw_only=True)
class Failure:
    """Why an operation gave up, and whether a retry can help."""

    code: FailureCode
    message: str
    retryable: bool
    retry_after: float | None = None


@dataclass(frozen=True, kw_only=True)
class OperationState:
    """How one operation on one segment stands, after so many attempts."""

    status: OperationStatus
    attempts: int = 0
    last_attempt_at: datetime | None = None
    failure: Failure | None = None

    @property
    def succeeded(self) -> bool | None:
        """True, false, or None while pending or off: as the wire has it."""
        if self.status is OperationStatus.SUCCEEDED:
            return True
        return False if self.status is OperationStatus.FAILED else None
