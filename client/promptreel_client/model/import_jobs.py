"""Import jobs: how bytes become media items."""

from dataclasses import dataclass
from datetime import datetime

from promptreel_client.model.json_object import JsonObject
from promptreel_client.model.words import (
    ExecutionStatus,
    ImportFileStatus,
    ImportStatus,
    SourceKind,
)


@dataclass(frozen=True, kw_only=True, slots=True)
class ImportProgress:
    """How far an import job has come."""

    total_files: int
    """All its files."""
    imported: int
    """Files whose media item is there."""
    failed: int
    """Files that failed."""
    skipped: int
    """Files left out on purpose."""
    bytes_transferred: float
    """Bytes taken in so far. A double, because more than 2^31 are usual and JSON writes 64-bit
    integers as strings; exact up to 2^53."""
    current_file: str | None = None
    """The name of the file in hand. None: none is."""
    parts_total: int
    """All parts that its files are divided into; a file is one part."""
    parts_completed: int
    """Parts that are done."""
    parts_failed: int
    """Parts that failed."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ImportOutput:
    """One media item that comes of an import job."""

    file_id: str
    """The file it comes from."""
    file_name: str
    """The name of that file."""
    source_ordinal: int
    """Where that file stands among those of the job, from 0."""
    part_index: int
    """Which part of the file it is, from 0."""
    part_count: int
    """How many parts the file has: 1."""
    source_start_seconds: float
    """Where it starts in the file, in seconds."""
    source_end_seconds: float
    """Where it ends in the file, in seconds; 0 until probed and for still images."""
    video_id: str
    """The media item. Empty until it is there."""
    title: str
    """What people call it."""
    status: ImportFileStatus
    """How it stands."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ImportOutputs:
    """A page of what came of an import job."""

    items: tuple[ImportOutput, ...] = ()
    """The outputs, in source order."""
    next_cursor: str | None = None
    """Pass it as `cursor` to get what follows. None: this was the last page."""
    total: int
    """How many there are on all pages together."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ImportFile:
    """One file of an import job."""

    file_id: str
    """Names the file."""
    file_name: str
    """The name it had where it comes from."""
    source_ordinal: int
    """Where it stands among those of the job, from 0."""
    status: ImportFileStatus
    """How it stands."""
    part_count: int | None = None
    """How many parts it has. None: not known yet."""
    parts_completed: int | None = None
    """How many of them are done. None: not known yet."""
    parts_failed: int | None = None
    """How many of them failed. None: not known yet."""
    failure: JsonObject | None = None
    """Why it failed: `code` and `message`. None: it did not."""
    skip_reason: str | None = None
    """Why it was left out. None: it was not."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ImportExecution:
    """The run that an import job starts when it is done."""

    status: ExecutionStatus
    """Whether it does."""
    run_id: str | None = None
    """The run. None: there is none."""
    error_code: str | None = None
    """Why it could not be started, in a word. None: it could, or was not asked for."""
    error: str | None = None
    """Why it could not be started. None: it could, or was not asked for."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ImportJob:
    """Bytes on their way to become a media item."""

    job_id: str
    """Names the import job."""
    status: ImportStatus
    """How it stands."""
    phase: str | None = None
    """What it is doing now, in a word for people. None: nothing."""
    source_kind: SourceKind
    """Where the bytes come from."""
    target_index_id: str | None = None
    """The index its media item goes to. None: none, it is playground media."""
    source_prefix: str
    """Which part of the source is imported: empty, all of it."""
    file_pattern: str
    """Which files of the source are imported: `*`, all of them."""
    recursive: bool
    """Whether folders below the prefix are imported: false, there are none."""
    created_at: datetime
    """When it was accepted."""
    started_at: datetime | None = None
    """When it began. None: not yet."""
    completed_at: datetime | None = None
    """When it ended. None: not yet."""
    error_message: str | None = None
    """Why it failed. None: it did not."""
    progress: ImportProgress
    """How far it has come."""
    outputs: ImportOutputs
    """The first page of what came of it."""
    execution: ImportExecution
    """The run it starts when it is done."""
    video_ids: tuple[str, ...] = ()
    """The media items of the page in `outputs` that are there."""
    failed_files: tuple[JsonObject, ...] = ()
    """The first files that failed, each with `file_id`, `file_name` and `error`."""
    failed_files_next_cursor: str | None = None
    """Where `import_jobs.files(failed_only=True)` goes on. None: `failed_files` is all."""
