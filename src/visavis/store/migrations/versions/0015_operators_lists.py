"""What sessions have played is kept. Sessions of all accounts are listed in the order of their creation, and the audit
log by what it is about and by who has acted.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("sessions", sa.Column("played", sa.JSON(none_as_null=True)))
    op.create_index("ix_sessions_created_at_ms_id", "sessions", ["created_at_ms", "id"])
    op.create_index("ix_sessions_status_created_at_ms_id", "sessions", ["status", "created_at_ms", "id"])
    op.drop_index("ix_sessions_status", "sessions")
    for column in ("subject_id", "actor_id"):
        op.create_index(f"ix_audit_log_{column}_id", "audit_log", [column, "id"])


def downgrade() -> None:
    for column in ("actor_id", "subject_id"):
        op.drop_index(f"ix_audit_log_{column}_id", "audit_log")
    op.create_index("ix_sessions_status", "sessions", ["status"])
    op.drop_index("ix_sessions_status_created_at_ms_id", "sessions")
    op.drop_index("ix_sessions_created_at_ms_id", "sessions")
    op.drop_column("sessions", "played")
