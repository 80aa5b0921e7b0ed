"""An index that finds the created sessions of a key, and those that ended this month, among many old ones."""

from __future__ import annotations

from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index("ix_sessions_key_id_status_ended_at_ms", "sessions", ["key_id", "status", "ended_at_ms"])


def downgrade() -> None:
    op.drop_index("ix_sessions_key_id_status_ended_at_ms", "sessions")
