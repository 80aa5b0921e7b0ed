"""Which viewers a browser token has let in: revoked later, it closes them, also after a restart of the server."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("browser_tokens", sa.Column("viewers", sa.JSON, nullable=False, server_default="[]"))


def downgrade() -> None:
    op.drop_column("browser_tokens", "viewers")
