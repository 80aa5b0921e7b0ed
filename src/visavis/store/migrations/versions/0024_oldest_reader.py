"""Which programs can use this schema: those whose newest revision is `oldest_reader` or a later one (decision 82)."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0024"
down_revision = "0023"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("alembic_version", sa.Column("oldest_reader", sa.String(32)))


def downgrade() -> None:
    op.drop_column("alembic_version", "oldest_reader")
