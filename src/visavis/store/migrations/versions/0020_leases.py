"""Leases of servers and stages: who is at work, by the database's clock. A session's row names its stage, and an epoch
that rises with each change of its owner or stage.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # With defaults: a server of the version before, which runs on for a while, adds rows without these columns.
    op.add_column("servers", sa.Column("epoch", sa.BigInteger, nullable=False, server_default="0"))
    op.add_column("servers", sa.Column("steady_since_ms", sa.BigInteger, nullable=False, server_default="0"))
    op.add_column("servers", sa.Column("ended_at_ms", sa.BigInteger))
    op.create_table(
        "stages",
        sa.Column("id", sa.String(40), nullable=False),
        sa.Column("epoch", sa.BigInteger, nullable=False, server_default="0"),
        sa.Column("seen_at_ms", sa.BigInteger, nullable=False),
        sa.Column("steady_since_ms", sa.BigInteger, nullable=False, server_default="0"),
        sa.Column("ended_at_ms", sa.BigInteger),
        sa.Column("address", sa.String(300), nullable=False),
        sa.Column("labels", sa.JSON().with_variant(JSONB(), "postgresql"), nullable=False),
        sa.Column("room_mcores", sa.Integer, nullable=False),
        sa.Column("taken_mcores", sa.Integer, nullable=False),
        sa.Column("frame_us", sa.Integer, nullable=False),
        sa.Column("mpx_us", sa.Integer, nullable=False),
        sa.Column("draining", sa.Boolean, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_stages"),
    )
    if op.get_context().dialect.name == "postgresql":
        # A row is written twice a second. With room beside it the new version lies on the same page, and no index
        # changes.
        op.execute("ALTER TABLE servers SET (fillfactor = 25)")
        op.execute("ALTER TABLE stages SET (fillfactor = 25)")
    op.add_column("sessions", sa.Column("epoch", sa.BigInteger, nullable=False, server_default="0"))
    op.add_column("sessions", sa.Column("stage_id", sa.String(40)))
    op.add_column("sessions", sa.Column("place_mcores", sa.Integer))
    for column, where in (("server_id", "status = 'started'"), ("stage_id", "stage_id IS NOT NULL")):
        op.create_index(
            f"ix_sessions_{column}", "sessions", [column], sqlite_where=sa.text(where), postgresql_where=sa.text(where)
        )


def downgrade() -> None:
    for column in ("stage_id", "server_id"):
        op.drop_index(f"ix_sessions_{column}", "sessions")
    for name in ("place_mcores", "stage_id", "epoch"):
        op.drop_column("sessions", name)
    op.drop_table("stages")
    for name in ("ended_at_ms", "steady_since_ms", "epoch"):
        op.drop_column("servers", name)
