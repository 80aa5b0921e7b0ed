"""A random number for each stage of a fleet: a placement looks at those that follow one, not at all of them."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0023"
down_revision = "0022"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # What enters a stage does not name it: the database draws. SQLite takes no such default, and has no stages.
    drawn = "random()" if op.get_context().dialect.name == "postgresql" else "0"
    op.add_column("stages", sa.Column("lot", sa.Float, nullable=False, server_default=sa.text(drawn)))
    op.create_index("ix_stages_lot", "stages", ["lot"])  # it never changes: renewals and placements touch no index


def downgrade() -> None:
    op.drop_index("ix_stages_lot", "stages")
    op.drop_column("stages", "lot")
