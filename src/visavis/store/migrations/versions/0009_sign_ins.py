"""Operators sign in in a browser: with a key, or with a code that works once."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "sign_ins",
        sa.Column("id", sa.String(40), nullable=False),
        sa.Column("key_id", sa.String(40), nullable=False),
        sa.Column("code_hash", sa.String(64)),
        sa.Column("code_expires_at_ms", sa.BigInteger),
        sa.Column("token_hash", sa.String(64)),
        sa.Column("created_at_ms", sa.BigInteger, nullable=False),
        sa.Column("expires_at_ms", sa.BigInteger),
        sa.PrimaryKeyConstraint("id", name="pk_sign_ins"),
        sa.ForeignKeyConstraint(["key_id"], ["keys.id"], name="fk_sign_ins_key_id"),
        sa.UniqueConstraint("code_hash", name="uq_sign_ins_code_hash"),
        sa.UniqueConstraint("token_hash", name="uq_sign_ins_token_hash"),
    )


def downgrade() -> None:
    op.drop_table("sign_ins")
