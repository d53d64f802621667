"""Retries: a caller's request to attempt a segment's failed operations again."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum

from promptreel_server.domain.operation import Operation


class RetryStatus(Enum):
    """How a retry stands."""

    PENDING = "pending"
    PROCESSING = "processing"
    COMPLETED = "completed"
    """Every operation it attempted succeeded: terminal."""
    FAILED = "failed"
    """At least one failed again: terminal."""
    CANCELLED = "cancelled"
    """Ended by a stop request before it was done: terminal."""

    @property
    def terminal(self) -> bool:
        """Whether nothing more happens by itself."""
        return self not in (RetryStatus.PENDING, RetryStatus.PROCESSING)


@dataclass(frozen=True, kw_only=True)
class Retry:
    """A request to attempt again the operations of one segment that stand failed."""

    retry_id: str
    run_id: str
    video_id: str
    segment_id: str
    owner_id: str
    status: RetryStatus
    operations: tuple[Operation, ...]
    idempotency_key: str | None = None
    created_at: datetime
    started_at: datetime | None = None
    completed_at: datetime | None = None
    error: str | None = None
    epoch: int = 0
    """How often it was taken up: what an earlier performer writes is refused."""
    outcome: Mapping[Operation, bool] = field(default_factory=dict)
    """What each attempted operation came to, once it is done."""
