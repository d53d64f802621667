"""Segments that a run refers to can't be deleted; retries have an epoch."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

_NAME = "run_segments_segment"


def upgrade() -> None:
    """Add the foreign key and the column.

    PostgreSQL checks new rows only: an earlier version may have removed segments that runs refer
    to, and those results stay readable.
    """
    op.add_column("retries", sa.Column("epoch", sa.Integer(), nullable=False, server_default="0"))
    if op.get_bind().dialect.name == "sqlite":
        with op.batch_alter_table("run_segments") as table:
            table.create_foreign_key(_NAME, "segments", ["segment_id"], ["segment_id"])
    else:
        op.execute(
            f"ALTER TABLE run_segments ADD CONSTRAINT {_NAME} "
            "FOREIGN KEY (segment_id) REFERENCES segments (segment_id) NOT VALID"
        )


def downgrade() -> None:
    """Drop both."""
    if op.get_bind().dialect.name == "sqlite":
        with op.batch_alter_table("run_segments") as table:
            table.drop_constraint(_NAME, type_="foreignkey")
    else:
        op.drop_constraint(_NAME, "run_segments", type_="foreignkey")
    with op.batch_alter_table("retries") as table:
        table.drop_column("epoch")
