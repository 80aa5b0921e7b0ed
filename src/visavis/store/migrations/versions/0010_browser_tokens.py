"""Short-lived tokens with which a browser watches, speaks in or controls one session."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "browser_tokens",
        sa.Column("id", sa.String(40), nullable=False),
        sa.Column("session_id", sa.String(40), nullable=False),
        sa.Column("key_id", sa.String(40), nullable=False),
        sa.Column("purpose", sa.String(16), nullable=False),
        sa.Column("hash", sa.String(64), nullable=False),
        sa.Column("origins", sa.JSON, nullable=False),
        sa.Column("created_at_ms", sa.BigInteger, nullable=False),
        sa.Column("expires_at_ms", sa.BigInteger, nullable=False),
        sa.Column("used_at_ms", sa.BigInteger),
        sa.Column("revoked_at_ms", sa.BigInteger),
        sa.PrimaryKeyConstraint("id", name="pk_browser_tokens"),
        sa.UniqueConstraint("hash", name="uq_browser_tokens_hash"),
    )
    op.create_index("ix_browser_tokens_session_id", "browser_tokens", ["session_id"])
    op.create_index("ix_browser_tokens_expires_at_ms", "browser_tokens", ["expires_at_ms"])


def downgrade() -> None:
    op.drop_table("browser_tokens")
