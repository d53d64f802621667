"""The open retries of a media item, found without those that have ended."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

_OPEN = sa.text("status IN ('pending', 'processing')")


def upgrade() -> None:
    """Add the index."""
    op.create_index(
        "retries_open_by_video",
        "retries",
        ["video_id", "run_id", "status", "retry_id"],
        sqlite_where=_OPEN,
        postgresql_where=_OPEN,
    )


def downgrade() -> None:
    """Drop the index."""
    op.drop_index("retries_open_by_video", "retries")
