"""The segments of a run that failed before any operation, counted without the others."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

_BEFORE_ANY = sa.text("failure_code IS NOT NULL")


def upgrade() -> None:
    """Add the index."""
    op.create_index(
        "run_segments_before_any",
        "run_segments",
        ["run_id"],
        sqlite_where=_BEFORE_ANY,
        postgresql_where=_BEFORE_ANY,
    )


def downgrade() -> None:
    """Drop the index."""
    op.drop_index("run_segments_before_any", "run_segments")
