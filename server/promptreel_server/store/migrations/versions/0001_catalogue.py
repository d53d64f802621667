"""Keys, indexes, media and how they are cut, prompts, imports, events."""

from collections.abc import Callable

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the tables and their indexes."""
    for name, items in _TABLES.items():
        op.create_table(name, *items)
    for create in _INDEXES:
        create()


def downgrade() -> None:
    """Drop the tables, those that refer to others first."""
    for name in reversed(_TABLES):
        op.drop_table(name)


_TABLES = {
    "api_keys": (
        sa.Column("key_id", sa.String(), nullable=False),
        sa.Column("owner_id", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("prefix", sa.String(), nullable=False),
        sa.Column("hash", sa.String(), nullable=False),
        sa.Column("scope", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger()),
        sa.Column("revoked_at", sa.BigInteger()),
        sa.Column("last_used_at", sa.BigInteger()),
        sa.PrimaryKeyConstraint("key_id"),
        sa.UniqueConstraint("hash"),
    ),
    "deletions": (
        sa.Column("deletion_id", sa.String(), nullable=False),
        sa.Column("owner_id", sa.String(), nullable=False),
        sa.Column("subject_id", sa.String(), nullable=False),
        sa.Column("status", sa.String(), nullable=False),
        sa.Column("requested_at", sa.BigInteger(), nullable=False),
        sa.Column("completed_at", sa.BigInteger()),
        sa.PrimaryKeyConstraint("deletion_id"),
        sa.UniqueConstraint("subject_id"),
    ),
    "embeddings": (
        sa.Column("segment_id", sa.String(), nullable=False),
        sa.Column("space", sa.String(), nullable=False),
        sa.Column("ordinal", sa.Integer(), nullable=False),
        sa.Column("video_id", sa.String(), nullable=False),
        sa.Column("dimension", sa.Integer(), nullable=False),
        sa.Column("at", sa.Float(), nullable=False),
        sa.Column("vector", sa.LargeBinary(), nullable=False),
        sa.Column("labels", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("segment_id", "space", "ordinal"),
    ),
    "events": (
        sa.Column("owner_id", sa.String(), nullable=False),
        sa.Column("sequence", sa.BigInteger(), nullable=False),
        sa.Column("event_id", sa.String(), nullable=False),
        sa.Column("event_type", sa.String(), nullable=False),
        sa.Column("run_id", sa.String()),
        sa.Column("video_id", sa.String()),
        sa.Column("segment_id", sa.String()),
        sa.Column("index_id", sa.String()),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("payload", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("owner_id", "sequence"),
        sa.UniqueConstraint("event_id"),
    ),
    "feeds": (
        sa.Column("owner_id", sa.String(), nullable=False),
        sa.Column("sequence", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("owner_id"),
    ),
    "idempotency": (
        sa.Column("owner_id", sa.String(), nullable=False),
        sa.Column("operation", sa.String(), nullable=False),
        sa.Column("key", sa.String(), nullable=False),
        sa.Column("request_hash", sa.String()),
        sa.Column("answer", sa.LargeBinary()),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("owner_id", "operation", "key"),
    ),
    "import_jobs": (
        sa.Column("job_id", sa.String(), nullable=False),
        sa.Column("owner_id", sa.String(), nullable=False),
        sa.Column("status", sa.String(), nullable=False),
        sa.Column("source_kind", sa.String(), nullable=False),
        sa.Column("file_id", sa.String(), nullable=False),
        sa.Column("file_name", sa.String(), nullable=False),
        sa.Column("title", sa.String(), nullable=False),
        sa.Column("index_id", sa.String()),
        sa.Column("source_uri", sa.Text()),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("started_at", sa.BigInteger()),
        sa.Column("completed_at", sa.BigInteger()),
        sa.Column("error_message", sa.Text()),
        sa.Column("bytes_transferred", sa.BigInteger(), nullable=False),
        sa.Column("total_bytes", sa.BigInteger()),
        sa.Column("video_id", sa.String()),
        sa.Column("duration_seconds", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("job_id"),
    ),
    "indexes": (
        sa.Column("index_id", sa.String(), nullable=False),
        sa.Column("owner_id", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("description", sa.Text()),
        sa.Column("sort_order", sa.Integer()),
        sa.Column("is_default", sa.Boolean(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("deletion_id", sa.String()),
        sa.PrimaryKeyConstraint("index_id"),
    ),
    "media": (
        sa.Column("video_id", sa.String(), nullable=False),
        sa.Column("owner_id", sa.String(), nullable=False),
        sa.Column("index_id", sa.String()),
        sa.Column("title", sa.String(), nullable=False),
        sa.Column("source_uri", sa.Text(), nullable=False),
        sa.Column("status", sa.String(), nullable=False),
        sa.Column("media_type", sa.String(), nullable=False),
        sa.Column("sha256", sa.String(), nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("start", sa.String(), nullable=False),
        sa.Column("duration", sa.String(), nullable=False),
        sa.Column("facts", sa.JSON(), nullable=False),
        sa.Column("metadata_keys", sa.JSON(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.BigInteger()),
        sa.Column("deletion_id", sa.String()),
        sa.PrimaryKeyConstraint("video_id"),
    ),
    "prompts": (
        sa.Column("prompt_id", sa.String(), nullable=False),
        sa.Column("owner_id", sa.String(), nullable=False),
        sa.Column("body", sa.JSON(), nullable=False),
        sa.Column("is_active", sa.Boolean(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("prompt_id"),
    ),
    "secrets": (
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("value", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("name"),
    ),
    "segmentations": (
        sa.Column("segmentation_id", sa.String(), nullable=False),
        sa.Column("video_id", sa.String(), nullable=False),
        sa.Column("fingerprint", sa.String(), nullable=False),
        sa.Column("complete", sa.Boolean(), nullable=False),
        sa.Column("segment_count", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("segmentation_id"),
        sa.UniqueConstraint("video_id", "fingerprint"),
    ),
    "segments": (
        sa.Column("segment_id", sa.String(), nullable=False),
        sa.Column("segmentation_id", sa.String(), nullable=False),
        sa.Column("video_id", sa.String(), nullable=False),
        sa.Column("ordinal", sa.Integer(), nullable=False),
        sa.Column("start", sa.String(), nullable=False),
        sa.Column("end", sa.String(), nullable=False),
        sa.Column("thumbnail", sa.Boolean(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("segment_id"),
        sa.UniqueConstraint("segmentation_id", "ordinal"),
    ),
    "signals": (
        sa.Column("video_id", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("body", sa.JSON(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("video_id", "kind"),
    ),
}

_INDEXES: tuple[Callable[[], None], ...] = (
    lambda: op.create_index(op.f("ix_api_keys_owner_id"), "api_keys", ["owner_id"]),
    lambda: op.create_index(op.f("ix_embeddings_video_id"), "embeddings", ["video_id"]),
    lambda: op.create_index("events_by_run", "events", ["run_id", "sequence"]),
    lambda: op.create_index(op.f("ix_events_created_at"), "events", ["created_at"]),
    lambda: op.create_index(op.f("ix_idempotency_created_at"), "idempotency", ["created_at"]),
    lambda: op.create_index("import_jobs_by_owner", "import_jobs", ["owner_id", "job_id"]),
    lambda: op.create_index(op.f("ix_indexes_owner_id"), "indexes", ["owner_id"]),
    lambda: op.create_index(op.f("ix_media_sha256"), "media", ["sha256"]),
    lambda: op.create_index("media_by_place", "media", ["owner_id", "index_id", "video_id"]),
    lambda: op.create_index(op.f("ix_prompts_owner_id"), "prompts", ["owner_id"]),
    lambda: op.create_index(op.f("ix_segments_video_id"), "segments", ["video_id"]),
)
