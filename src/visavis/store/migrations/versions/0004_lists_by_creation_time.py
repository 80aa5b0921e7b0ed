"""Lists are sorted by creation time, then by id: an index for the sessions of a key, and creation times that keep the
order of the library's avatars.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index("ix_sessions_key_id_created_at_ms_id", "sessions", ["key_id", "created_at_ms", "id"])
    op.drop_index("ix_sessions_key_id", "sessions")
    # Before, ids gave the order; the creation times are those at which the pictures were ready.
    avatars = sa.table("avatars", sa.column("id"), sa.column("owner_key_id"), sa.column("created_at_ms"))
    connection = op.get_bind()
    query = sa.select(avatars.c.id, avatars.c.created_at_ms).where(avatars.c.owner_key_id.is_(None))
    rows = connection.execute(query.order_by(avatars.c.id)).all()
    for number, row in enumerate(rows):
        created_at_ms = min(other.created_at_ms for other in rows) + number
        connection.execute(sa.update(avatars).where(avatars.c.id == row.id).values(created_at_ms=created_at_ms))


def downgrade() -> None:
    op.create_index("ix_sessions_key_id", "sessions", ["key_id"])
    op.drop_index("ix_sessions_key_id_created_at_ms_id", "sessions")
