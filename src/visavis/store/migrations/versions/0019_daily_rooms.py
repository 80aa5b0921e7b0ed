"""The Daily room of a session, where one was made for it: its address, and the token of its caller."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("sessions", sa.Column("daily_room", sa.JSON, nullable=True))


def downgrade() -> None:
    op.drop_column("sessions", "daily_room")
