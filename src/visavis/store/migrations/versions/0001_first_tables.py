"""The first tables: plans, keys, avatars, sessions, idempotency."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    plans = op.create_table(
        "plans",
        sa.Column("key", sa.String(64), nullable=False),
        sa.Column("name", sa.String(200), nullable=False),
        sa.Column("included_minutes", sa.Integer),
        sa.Column("max_concurrency", sa.Integer),
        sa.Column("max_session_minutes", sa.Integer),
        sa.PrimaryKeyConstraint("key", name="pk_plans"),
    )
    op.bulk_insert(
        plans,
        [
            {
                "key": "unlimited",
                "name": "Unlimited",
                "included_minutes": None,
                "max_concurrency": None,
                "max_session_minutes": None,
            }
        ],
    )
    op.create_table(
        "keys",
        sa.Column("id", sa.String(40), nullable=False),
        sa.Column("name", sa.String(200), nullable=False),
        sa.Column("hash", sa.String(64), nullable=False),
        sa.Column("start", sa.String(16), nullable=False),
        sa.Column("test", sa.Boolean, nullable=False),
        sa.Column("plan_key", sa.String(64), nullable=False),
        sa.Column("created_at_ms", sa.BigInteger, nullable=False),
        sa.Column("last_used_at_ms", sa.BigInteger),
        sa.Column("revoked_at_ms", sa.BigInteger),
        sa.PrimaryKeyConstraint("id", name="pk_keys"),
        sa.UniqueConstraint("hash", name="uq_keys_hash"),
        sa.ForeignKeyConstraint(["plan_key"], ["plans.key"], name="fk_keys_plan_key"),
    )
    op.create_table(
        "avatars",
        sa.Column("id", sa.String(40), nullable=False),
        sa.Column("parent_id", sa.String(40)),
        sa.Column("owner_key_id", sa.String(40)),
        sa.Column("name", sa.String(200), nullable=False),
        sa.Column("is_public", sa.Boolean, nullable=False),
        sa.Column("tags", sa.JSON, nullable=False),
        sa.Column("library_name", sa.String(200)),
        sa.Column("digest", sa.String(64)),
        sa.Column("created_at_ms", sa.BigInteger, nullable=False),
        sa.Column("updated_at_ms", sa.BigInteger, nullable=False),
        sa.Column("deleted_at_ms", sa.BigInteger),
        sa.Column("purged_at_ms", sa.BigInteger),
        sa.PrimaryKeyConstraint("id", name="pk_avatars"),
        sa.ForeignKeyConstraint(["parent_id"], ["avatars.id"], name="fk_avatars_parent_id"),
        sa.ForeignKeyConstraint(["owner_key_id"], ["keys.id"], name="fk_avatars_owner_key_id"),
    )
    op.create_index("ix_avatars_parent_id", "avatars", ["parent_id"])
    op.create_index("ix_avatars_owner_key_id", "avatars", ["owner_key_id"])
    op.create_table(
        "sessions",
        sa.Column("id", sa.String(40), nullable=False),
        sa.Column("key_id", sa.String(40), nullable=False),
        sa.Column("dialect", sa.String(16), nullable=False),
        sa.Column("status", sa.String(16), nullable=False),
        sa.Column("avatar_id", sa.String(40), nullable=False),
        sa.Column("avatar_name", sa.String(200), nullable=False),
        sa.Column("token_hash", sa.String(64), nullable=False),
        sa.Column("room_name", sa.String(64), nullable=False),
        sa.Column("metadata", sa.JSON, nullable=False),
        sa.Column("aspect_ratio", sa.String(8)),
        sa.Column("created_at_ms", sa.BigInteger, nullable=False),
        sa.Column("started_at_ms", sa.BigInteger),
        sa.Column("ended_at_ms", sa.BigInteger),
        sa.Column("expiration_ms", sa.BigInteger),
        sa.Column("end_reason", sa.String(32)),
        sa.Column("first_frame_at_ms", sa.BigInteger),
        sa.Column("last_frame_at_ms", sa.BigInteger),
        sa.Column("seen_at_ms", sa.BigInteger),
        sa.PrimaryKeyConstraint("id", name="pk_sessions"),
        sa.UniqueConstraint("room_name", name="uq_sessions_room_name"),
        sa.ForeignKeyConstraint(["key_id"], ["keys.id"], name="fk_sessions_key_id"),
    )
    op.create_index("ix_sessions_key_id", "sessions", ["key_id"])
    op.create_index("ix_sessions_status", "sessions", ["status"])
    op.create_table(
        "idempotency",
        sa.Column("key_id", sa.String(40), nullable=False),
        sa.Column("idempotency_key", sa.String(255), nullable=False),
        sa.Column("fingerprint", sa.String(64), nullable=False),
        sa.Column("status_code", sa.Integer),
        sa.Column("content_type", sa.String(100)),
        sa.Column("body", sa.Text),
        sa.Column("created_at_ms", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("key_id", "idempotency_key", name="pk_idempotency"),
    )


def downgrade() -> None:
    for table in ("idempotency", "sessions", "avatars", "keys", "plans"):
        op.drop_table(table)
