"""Which server performs a session, and until when it may be starting it: the places of an account are counted in the
database, by all servers that share it.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("sessions", sa.Column("server_id", sa.String(40)))
    op.add_column("sessions", sa.Column("starting_until_ms", sa.BigInteger))


def downgrade() -> None:
    for name in ("starting_until_ms", "server_id"):
        op.drop_column("sessions", name)
