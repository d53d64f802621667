"""Why a run makes no progress."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column."""
    op.add_column("runs", sa.Column("processing_warning", sa.Text))


def downgrade() -> None:
    """Drop the column."""
    op.drop_column("runs", "processing_warning")
