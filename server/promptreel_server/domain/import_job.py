"""Import jobs: how bytes become a media item."""

from dataclasses import dataclass
from datetime import datetime
from enum import Enum


class ImportStatus(Enum):
    """How an import stands."""

    PENDING = "pending"
    SCANNING = "scanning"
    IMPORTING = "importing"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def terminal(self) -> bool:
        """Whether nothing more happens by itself."""
        return self in (ImportStatus.COMPLETED, ImportStatus.FAILED, ImportStatus.CANCELLED)


class SourceKind(Enum):
    """Where the bytes come from."""

    UPLOAD = "upload"
    URI = "uri"


@dataclass(frozen=True, kw_only=True)
class ImportJob:
    """One file on its way to become one media item."""

    job_id: str
    owner_id: str
    status: ImportStatus
    source_kind: SourceKind
    file_id: str
    file_name: str
    title: str
    index_id: str | None
    created_at: datetime
    source_uri: str | None = None
    started_at: datetime | None = None
    completed_at: datetime | None = None
    error_message: str | None = None
    bytes_transferred: int = 0
    total_bytes: int | None = None
    video_id: str | None = None
    duration_seconds: float = 0.0
