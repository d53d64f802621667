"""The tables: segment rows are the only checkpoint, everything else hangs on them."""

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    text,
)

from promptreel_server.domain.event import EventType
from promptreel_server.domain.import_job import ImportStatus, SourceKind
from promptreel_server.domain.index import DeletionStatus
from promptreel_server.domain.llm_call import LlmCallStatus, Purpose
from promptreel_server.domain.media import MediaStatus, MediaType
from promptreel_server.domain.operation import Operation, OperationStatus
from promptreel_server.domain.retry import RetryStatus
from promptreel_server.domain.run import RunMediaStatus, RunStatus, SynthesisStatus
from promptreel_server.domain.segment import SegmentStatus
from promptreel_server.errors import FailureCode
from promptreel_server.store.schema.columns import Exact, Instant, StoredJson, Word

metadata = MetaData()

_OPEN = text("status IN ('pending', 'processing')")

api_keys = Table(
    "api_keys",
    metadata,
    Column("key_id", String, primary_key=True),
    Column("owner_id", String, nullable=False, index=True),
    Column("name", String, nullable=False),
    Column("prefix", String, nullable=False),
    Column("hash", String, nullable=False, unique=True),
    Column("scope", Integer, nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("expires_at", Instant),
    Column("revoked_at", Instant),
    Column("last_used_at", Instant),
)

indexes = Table(
    "indexes",
    metadata,
    Column("index_id", String, primary_key=True),
    Column("owner_id", String, nullable=False, index=True),
    Column("name", String, nullable=False),
    Column("description", Text),
    Column("sort_order", Integer),
    Column("is_default", Boolean, nullable=False, default=False),
    Column("created_at", Instant, nullable=False),
    Column("deletion_id", String),
)

media = Table(
    "media",
    metadata,
    Column("video_id", String, primary_key=True),
    Column("owner_id", String, nullable=False),
    Column("index_id", String),
    Column("title", String, nullable=False),
    Column("source_uri", Text, nullable=False),
    Column("status", Word(MediaStatus), nullable=False),
    Column("media_type", Word(MediaType), nullable=False),
    Column("sha256", String, nullable=False, index=True),
    Column("size_bytes", BigInteger, nullable=False),
    Column("start", Exact, nullable=False),
    Column("duration", Exact, nullable=False),
    Column("facts", JSON, nullable=False),
    Column("metadata_keys", JSON, nullable=False, default=list),
    Column("created_at", Instant, nullable=False),
    Column("updated_at", Instant),
    Column("deletion_id", String),
    Index("media_by_place", "owner_id", "index_id", "video_id"),
)

import_jobs = Table(
    "import_jobs",
    metadata,
    Column("job_id", String, primary_key=True),
    Column("owner_id", String, nullable=False),
    Column("status", Word(ImportStatus), nullable=False),
    Column("source_kind", Word(SourceKind), nullable=False),
    Column("file_id", String, nullable=False),
    Column("file_name", String, nullable=False),
    Column("title", String, nullable=False),
    Column("index_id", String),
    Column("source_uri", Text),
    Column("created_at", Instant, nullable=False),
    Column("started_at", Instant),
    Column("completed_at", Instant),
    Column("error_message", Text),
    Column("bytes_transferred", BigInteger, nullable=False, default=0),
    Column("total_bytes", BigInteger),
    Column("video_id", String),
    Column("duration_seconds", Float, nullable=False, default=0.0),
    Index("import_jobs_by_owner", "owner_id", "job_id"),
)

prompts = Table(
    "prompts",
    metadata,
    Column("prompt_id", String, primary_key=True),
    Column("owner_id", String, nullable=False, index=True),
    Column("body", JSON, nullable=False),
    Column("is_active", Boolean, nullable=False, default=True),
    Column("created_at", Instant, nullable=False),
)

_COUNTS = tuple(
    Column(f"{count}_{kind.value}s", Integer, nullable=False, default=0, server_default="0")
    for kind in MediaType
    for count in ("total", "completed", "failed", "partial", "cancelled")
)

runs = Table(
    "runs",
    metadata,
    Column("run_id", String, primary_key=True),
    Column("owner_id", String, nullable=False),
    Column("prompt_id", String, nullable=False, index=True),
    Column("prompt_owner_id", String, nullable=False),
    Column("prompt", JSON, nullable=False),
    Column("prompt_created_at", Instant, nullable=False),
    Column("target", JSON, nullable=False),
    Column("index_id", String, index=True),
    Column("settings", JSON, nullable=False),
    Column("executed_at", Instant, nullable=False),
    Column("executed_by", String, nullable=False),
    Column("status", Word(RunStatus), nullable=False),
    Column("total_media", Integer, nullable=False),
    Column("done_media", Integer, nullable=False, default=0),
    *_COUNTS,
    Column("total_segments", Integer, nullable=False, default=0),
    Column("completed_segments", Integer, nullable=False, default=0),
    Column("failed_segments", Integer, nullable=False, default=0),
    Column("cancelled_segments", Integer, nullable=False, default=0),
    Column("field_extraction_failures", Integer, nullable=False, default=0),
    Column("transcription_failures", Integer, nullable=False, default=0),
    Column("image_embedding_failures", Integer, nullable=False, default=0),
    Column("total_seconds", Float, nullable=False, default=0.0),
    Column("created_new_segments", Boolean, nullable=False, default=False),
    Column("video_level_total", Integer, nullable=False, default=0),
    Column("video_level_completed", Integer, nullable=False, default=0),
    Column("video_level_failed", Integer, nullable=False, default=0),
    Column("video_level_partial", Integer, nullable=False, default=0),
    Column("stop_requested_at", Instant),
    Column("stop_requested_by", String),
    Column("stop_observed_at", Instant),
    Column("stop_completed_at", Instant),
    Column("error_message", Text),
    Column("processing_warning", Text),
    Column("completed_at", Instant),
    Index("runs_by_owner", "owner_id", "run_id"),
    Index("runs_open", "status", sqlite_where=_OPEN, postgresql_where=_OPEN),
)

run_media = Table(
    "run_media",
    metadata,
    Column("run_id", ForeignKey("runs.run_id", ondelete="CASCADE"), primary_key=True),
    Column("video_id", String, primary_key=True),
    Column("owner_id", String, nullable=False),
    Column("ordinal", Integer, nullable=False),
    Column("media_type", Word(MediaType), nullable=False),
    Column("title", String, nullable=False),
    Column("index_id", String),
    Column("status", Word(RunMediaStatus), nullable=False),
    Column("epoch", Integer, nullable=False, default=0),
    Column("segmentation_id", String),
    Column("total_segments", Integer, nullable=False, default=0),
    Column("completed_segments", Integer, nullable=False, default=0),
    Column("failed_segments", Integer, nullable=False, default=0),
    Column("cancelled_segments", Integer, nullable=False, default=0),
    Column("field_extraction_failures", Integer, nullable=False, default=0),
    Column("transcription_failures", Integer, nullable=False, default=0),
    Column("image_embedding_failures", Integer, nullable=False, default=0),
    Column("error_message", Text),
    Column("created_at", Instant, nullable=False),
    Column("updated_at", Instant, nullable=False),
    Index("run_media_by_video", "video_id", "run_id"),
    Index("run_media_undone", "run_id", "video_id", sqlite_where=_OPEN, postgresql_where=_OPEN),
)

segmentations = Table(
    "segmentations",
    metadata,
    Column("segmentation_id", String, primary_key=True),
    Column("video_id", String, nullable=False),
    Column("fingerprint", String, nullable=False),
    Column("complete", Boolean, nullable=False, default=False),
    Column("segment_count", Integer, nullable=False, default=0),
    Column("created_at", Instant, nullable=False),
    UniqueConstraint("video_id", "fingerprint"),
)

segments = Table(
    "segments",
    metadata,
    Column("segment_id", String, primary_key=True),
    Column("segmentation_id", String, nullable=False),
    Column("video_id", String, nullable=False, index=True),
    Column("ordinal", Integer, nullable=False),
    Column("start", Exact, nullable=False),
    Column("end", Exact, nullable=False),
    Column("thumbnail", Boolean, nullable=False, default=False),
    Column("created_at", Instant, nullable=False),
    UniqueConstraint("segmentation_id", "ordinal"),
)

run_segments = Table(
    "run_segments",
    metadata,
    Column("run_id", ForeignKey("runs.run_id", ondelete="CASCADE"), primary_key=True),
    Column("video_id", String, primary_key=True),
    Column("ordinal", Integer, primary_key=True),
    Column(
        "segment_id",
        ForeignKey("segments.segment_id", name="run_segments_segment"),
        nullable=False,
    ),
    Column("status", Word(SegmentStatus), nullable=False),
    *(
        column
        for operation in Operation
        for column in (
            Column(f"{operation.value}_status", Word(OperationStatus), nullable=False),
            Column(f"{operation.value}_attempts", Integer, nullable=False, server_default="0"),
            Column(f"{operation.value}_attempted_at", Instant),
            Column(f"{operation.value}_code", Word(FailureCode)),
            Column(f"{operation.value}_error", Text),
            Column(f"{operation.value}_retryable", Boolean),
            Column(f"{operation.value}_retry_after", Float),
        )
    ),
    Column("metadata", StoredJson),
    Column("metadata_text", Text, nullable=False, server_default=""),
    Column("transcript", StoredJson),
    Column("processing_warning", Text),
    Column("failure_code", Word(FailureCode)),
    Column("failure_message", Text),
    Column("started_at", Instant),
    Column("completed_at", Instant),
    Column("sequence", BigInteger),
    Index("run_segments_by_segment", "segment_id", "run_id"),
    Index("run_segments_by_status", "run_id", "status", "video_id", "ordinal"),
    Index(
        "run_segments_before_any",
        "run_id",
        sqlite_where=text("failure_code IS NOT NULL"),
        postgresql_where=text("failure_code IS NOT NULL"),
    ),
)
"""`sequence` is that of the event that told of the result: the order of `StreamResults`."""

attempts = Table(
    "attempts",
    metadata,
    Column("run_id", ForeignKey("runs.run_id", ondelete="CASCADE"), primary_key=True),
    Column("segment_id", String, primary_key=True),
    Column("operation", Word(Operation), primary_key=True),
    Column("attempt", Integer, primary_key=True),
    Column("succeeded", Boolean, nullable=False),
    Column("code", Word(FailureCode)),
    Column("message", Text),
    Column("retryable", Boolean),
    Column("retry_id", String),
    Column("at", Instant, nullable=False),
)

retries = Table(
    "retries",
    metadata,
    Column("retry_id", String, primary_key=True),
    Column("run_id", ForeignKey("runs.run_id", ondelete="CASCADE"), nullable=False),
    Column("video_id", String, nullable=False),
    Column("segment_id", String, nullable=False),
    Column("owner_id", String, nullable=False),
    Column("status", Word(RetryStatus), nullable=False),
    Column("operations", JSON, nullable=False),
    Column("idempotency_key", String),
    Column("created_at", Instant, nullable=False),
    Column("started_at", Instant),
    Column("completed_at", Instant),
    Column("error", Text),
    Column("outcome", JSON, nullable=False, default=dict),
    Column("epoch", Integer, nullable=False, server_default="0"),
    Index("retries_by_segment", "run_id", "segment_id", "retry_id"),
    Index(
        "retries_open",
        "run_id",
        "segment_id",
        unique=True,
        sqlite_where=_OPEN,
        postgresql_where=_OPEN,
    ),
    Index(
        "retries_open_by_video",
        "video_id",
        "run_id",
        "status",
        "retry_id",
        sqlite_where=text("status IN ('pending', 'processing')"),
        postgresql_where=text("status IN ('pending', 'processing')"),
    ),
)

llm_calls = Table(
    "llm_calls",
    metadata,
    Column("llm_call_id", String, primary_key=True),
    Column("run_id", ForeignKey("runs.run_id", ondelete="CASCADE"), nullable=False),
    Column("prompt_id", String, nullable=False),
    Column("video_id", String),
    Column("segment_id", String),
    Column("owner_id", String, nullable=False),
    Column("model", String, nullable=False),
    Column("purpose", Word(Purpose), nullable=False),
    Column("status", Word(LlmCallStatus), nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("input_tokens", Integer, nullable=False),
    Column("output_tokens", Integer, nullable=False),
    Column("thinking_tokens", Integer, nullable=False),
    Column("cached_tokens", Integer, nullable=False),
    Column("audio_tokens", Integer, nullable=False),
    Column("video_seconds", Float, nullable=False),
    Column("segment_start", Float),
    Column("segment_end", Float),
    Column("prompt_text", Text),
    Column("response_text", Text),
    Column("schema_used", Text),
    Column("finish_reason", String),
    Column("error_code", String),
    Column("error_message", Text),
    Column("cached", Boolean, nullable=False),
    Column("fingerprint", String, index=True),
    Column("invoked_at", Instant, nullable=False),
    Column("completed_at", Instant, nullable=False),
    Column("result", JSON(none_as_null=True)),
    Index("llm_calls_by_run", "run_id", "llm_call_id"),
)
"""`fingerprint` is that of the call's inputs: a call that succeeded answers its like. `result` is
what was made of its answer, where that is not just what the text says."""

syntheses = Table(
    "syntheses",
    metadata,
    Column("run_id", ForeignKey("runs.run_id", ondelete="CASCADE"), primary_key=True),
    Column("video_id", String, primary_key=True),
    Column("status", Word(SynthesisStatus), nullable=False),
    Column("metadata", StoredJson),
    Column("metadata_text", Text, nullable=False, server_default=""),
    Column("raw_response", Text),
    Column("successful_segments", Integer, nullable=False, default=0),
    Column("failed_segments", Integer, nullable=False, default=0),
    Column("omitted_segment_ids", JSON, nullable=False, default=list),
    Column("template_fields", JSON, nullable=False, default=list),
    Column("source_fingerprint", String),
    Column("rendered_prompt_chars", Integer, nullable=False, default=0),
    Column("llm_attempted", Boolean, nullable=False, default=False),
    Column("error_message", Text),
    Column("processing_warning", Text),
    Column("started_at", Instant),
    Column("completed_at", Instant),
)

signals = Table(
    "signals",
    metadata,
    Column("video_id", String, primary_key=True),
    Column("kind", String, primary_key=True),
    Column("body", JSON, nullable=False),
    Column("created_at", Instant, nullable=False),
)
"""What was found out about a media item once and serves every run: shots, speech, transcripts."""

embeddings = Table(
    "embeddings",
    metadata,
    Column("segment_id", String, primary_key=True),
    Column("space", String, primary_key=True),
    Column("ordinal", Integer, primary_key=True),
    Column("video_id", String, nullable=False, index=True),
    Column("dimension", Integer, nullable=False),
    Column("at", Float, nullable=False),
    Column("vector", LargeBinary, nullable=False),
    Column("labels", JSON, nullable=False),
)
"""Vectors are float32, little-endian; `at` is the frame's second on the container's clock."""

events = Table(
    "events",
    metadata,
    Column("owner_id", String, primary_key=True),
    Column("sequence", BigInteger, primary_key=True),
    Column("event_id", String, nullable=False, unique=True),
    Column("event_type", Word(EventType), nullable=False),
    Column("run_id", String),
    Column("video_id", String),
    Column("segment_id", String),
    Column("index_id", String),
    Column("created_at", Instant, nullable=False, index=True),
    Column("payload", JSON, nullable=False),
    Index("events_by_run", "run_id", "sequence"),
)

feeds = Table(
    "feeds",
    metadata,
    Column("owner_id", String, primary_key=True),
    Column("sequence", BigInteger, nullable=False),
)
"""The last sequence given out to each owner."""

idempotency = Table(
    "idempotency",
    metadata,
    Column("owner_id", String, primary_key=True),
    Column("operation", String, primary_key=True),
    Column("key", String, primary_key=True),
    Column("request_hash", String),
    Column("answer", LargeBinary),
    Column("created_at", Instant, nullable=False, index=True),
)
"""A row without an answer belongs to a request in flight."""

deletions = Table(
    "deletions",
    metadata,
    Column("deletion_id", String, primary_key=True),
    Column("owner_id", String, nullable=False),
    Column("subject_id", String, nullable=False, unique=True),
    Column("status", Word(DeletionStatus), nullable=False),
    Column("requested_at", Instant, nullable=False),
    Column("completed_at", Instant),
)

secrets = Table(
    "secrets",
    metadata,
    Column("name", String, primary_key=True),
    Column("value", String, nullable=False),
)
"""Keys that the server made for itself, such as the one that signs cursors."""
