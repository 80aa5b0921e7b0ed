"""Sessions have options of their own, and are listed by status in the order of their creation. Kept answers name their
session, so that they go with it.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("sessions", sa.Column("options", sa.JSON(none_as_null=True)))
    op.create_index(
        "ix_sessions_account_id_status_created_at_ms", "sessions", ["account_id", "status", "created_at_ms", "id"]
    )
    op.create_table(
        "session_answers",
        sa.Column("session_id", sa.String(40), nullable=False),
        sa.Column("account_id", sa.String(40), nullable=False),
        sa.Column("idempotency_key", sa.String(255), nullable=False),
        sa.PrimaryKeyConstraint("session_id", "account_id", "idempotency_key", name="pk_session_answers"),
    )


def downgrade() -> None:
    op.drop_table("session_answers")
    op.drop_index("ix_sessions_account_id_status_created_at_ms", "sessions")
    with op.batch_alter_table("sessions") as sessions:
        sessions.drop_column("options")
