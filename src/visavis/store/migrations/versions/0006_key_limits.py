"""What a key may do, until when and from where. Existing keys may do what they could: everything but `admin`."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

_SCOPES = ["sessions:write", "sessions:read", "avatars:write", "avatars:read", "usage:read"]


def upgrade() -> None:
    op.add_column("keys", sa.Column("scopes", sa.JSON))
    op.add_column("keys", sa.Column("sources", sa.JSON))
    op.add_column("keys", sa.Column("expires_at_ms", sa.BigInteger))
    keys = sa.table("keys", sa.column("scopes", sa.JSON), sa.column("sources", sa.JSON))
    op.execute(sa.update(keys).values(scopes=_SCOPES, sources=[]))
    with op.batch_alter_table("keys") as changed:
        changed.alter_column("scopes", existing_type=sa.JSON, nullable=False)
        changed.alter_column("sources", existing_type=sa.JSON, nullable=False)


def downgrade() -> None:
    with op.batch_alter_table("keys") as keys:
        for name in ("scopes", "sources", "expires_at_ms"):
            keys.drop_column(name)
