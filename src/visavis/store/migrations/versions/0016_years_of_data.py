"""Years of data: indexes of what is older and of who holds a place, and when a look's photo was removed."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("avatars", sa.Column("photo_removed_at_ms", sa.BigInteger))
    op.create_index("ix_sessions_ended_at_ms", "sessions", ["ended_at_ms"])
    op.create_index(
        "ix_sessions_account_id_starting_until_ms",
        "sessions",
        ["account_id", "starting_until_ms"],
        sqlite_where=sa.text("starting_until_ms IS NOT NULL"),
        postgresql_where=sa.text("starting_until_ms IS NOT NULL"),
    )
    op.create_index("ix_usage_entries_began_at_ms", "usage_entries", ["began_at_ms"])


def downgrade() -> None:
    op.drop_index("ix_usage_entries_began_at_ms", "usage_entries")
    op.drop_index("ix_sessions_account_id_starting_until_ms", "sessions")
    op.drop_index("ix_sessions_ended_at_ms", "sessions")
    op.drop_column("avatars", "photo_removed_at_ms")
