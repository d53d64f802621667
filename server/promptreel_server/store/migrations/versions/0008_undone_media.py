"""Media items that are not done, in the order that recovery reads them."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

_OPEN = sa.text("status IN ('pending', 'processing')")


def upgrade() -> None:
    """Put the index in the place of one by status, which made recovery sort them all."""
    op.drop_index("run_media_open", "run_media")
    op.create_index(
        "run_media_undone",
        "run_media",
        ["run_id", "video_id"],
        sqlite_where=_OPEN,
        postgresql_where=_OPEN,
    )


def downgrade() -> None:
    """Put the old index back."""
    op.drop_index("run_media_undone", "run_media")
    op.create_index(
        "run_media_open", "run_media", ["status"], sqlite_where=_OPEN, postgresql_where=_OPEN
    )
