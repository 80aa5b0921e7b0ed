"""Where the other servers of a fleet reach a server: what concerns its sessions is relayed there."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0022"
down_revision = "0021"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("servers", sa.Column("address", sa.String(300)))


def downgrade() -> None:
    op.drop_column("servers", "address")
