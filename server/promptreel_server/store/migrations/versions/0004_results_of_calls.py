"""What was made of an answer, where its text alone does not say it."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column."""
    op.add_column("llm_calls", sa.Column("result", sa.JSON))


def downgrade() -> None:
    """Drop the column."""
    op.drop_column("llm_calls", "result")
