"""How a session looks: its background, framing and emotion, where a client gave them."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("sessions", sa.Column("output", sa.JSON))


def downgrade() -> None:
    op.drop_column("sessions", "output")
