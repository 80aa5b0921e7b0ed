"""A plan may bill nothing for sessions that nobody has watched."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("plans", sa.Column("waives_unwatched", sa.Boolean))
    op.execute(sa.update(sa.table("plans", sa.column("waives_unwatched", sa.Boolean))).values(waives_unwatched=False))
    with op.batch_alter_table("plans") as plans:
        plans.alter_column("waives_unwatched", existing_type=sa.Boolean, nullable=False)


def downgrade() -> None:
    with op.batch_alter_table("plans") as plans:
        plans.drop_column("waives_unwatched")
