"""The usage ledger, purchased minutes, and how many included minutes each account has used. Sessions that have ended
get their entries; all their minutes were included ones.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

_ID = sa.String(40)
_MINUTE_MS = 60_000
_AT_ONCE = 1_000  # sessions

_sessions = sa.table(
    "sessions",
    *(sa.column(name) for name in ("id", "account_id", "status", "started_at_ms", "ended_at_ms")),
    *(sa.column(name) for name in ("first_frame_at_ms", "last_frame_at_ms")),
    sa.column("test", sa.Boolean),
)


def upgrade() -> None:
    op.create_table(
        "purchases",
        sa.Column("id", _ID, nullable=False),
        sa.Column("account_id", _ID, nullable=False),
        sa.Column("minutes", sa.Integer, nullable=False),
        sa.Column("used_minutes", sa.Integer, nullable=False),
        sa.Column("created_at_ms", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_purchases"),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name="fk_purchases_account_id"),
    )
    op.create_index("ix_purchases_account_id_created_at_ms", "purchases", ["account_id", "created_at_ms"])
    included = op.create_table(
        "included_usage",
        sa.Column("account_id", _ID, nullable=False),
        sa.Column("month_ms", sa.BigInteger, nullable=False),
        sa.Column("minutes", sa.Integer, nullable=False),
        sa.PrimaryKeyConstraint("account_id", "month_ms", name="pk_included_usage"),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name="fk_included_usage_account_id"),
    )
    entries = op.create_table(
        "usage_entries",
        sa.Column("session_id", _ID, nullable=False),
        sa.Column("number", sa.Integer, nullable=False),
        sa.Column("account_id", _ID, nullable=False),
        sa.Column("began_at_ms", sa.BigInteger, nullable=False),
        sa.Column("until_ms", sa.BigInteger, nullable=False),
        sa.Column("seen_s", sa.Integer, nullable=False),
        sa.Column("minutes", sa.Integer, nullable=False),
        sa.Column("source", sa.String(16)),
        sa.Column("purchase_id", _ID),
        sa.Column("closed", sa.Boolean, nullable=False),
        sa.PrimaryKeyConstraint("session_id", "number", name="pk_usage_entries"),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name="fk_usage_entries_account_id"),
        sa.ForeignKeyConstraint(["purchase_id"], ["purchases.id"], name="fk_usage_entries_purchase_id"),
    )
    op.create_index("ix_usage_entries_account_id_began_at_ms", "usage_entries", ["account_id", "began_at_ms"])
    connection = op.get_bind()
    used: dict[tuple[str, int], int] = {}
    last_id = ""
    while sessions := _ended(connection, after_id=last_id):
        last_id = sessions[-1].id
        rows = [entry for session in sessions for entry in _entries(session)]
        connection.execute(sa.insert(entries), rows)
        for row in rows:
            if row["source"] == "included":
                month = row["account_id"], _month_ms(row["began_at_ms"])
                used[month] = used.get(month, 0) + 1
    if used:
        counted = [
            {"account_id": account_id, "month_ms": month_ms, "minutes": minutes}
            for (account_id, month_ms), minutes in used.items()
        ]
        connection.execute(sa.insert(included), counted)


def _ended(connection: sa.Connection, *, after_id: str) -> list[Any]:
    query = sa.select(_sessions).where(
        _sessions.c.status == "ended",
        _sessions.c.started_at_ms.is_not(None),
        _sessions.c.ended_at_ms.is_not(None),
        _sessions.c.id > after_id,
    )
    return list(connection.execute(query.order_by(_sessions.c.id).limit(_AT_ONCE)).all())


def _entries(session: Any) -> Iterator[dict[str, Any]]:
    """The entries of a session, each within one minute of the clock."""
    started_ms, ended_ms = session.started_at_ms, max(session.started_at_ms, session.ended_at_ms)
    minutes = max(1, -(-(ended_ms - started_ms) // _MINUTE_MS))
    charged = {(started_ms + minute * _MINUTE_MS) // _MINUTE_MS for minute in range(minutes)}
    first, last = started_ms // _MINUTE_MS, max(started_ms // _MINUTE_MS, -(-ended_ms // _MINUTE_MS) - 1)
    seen_s = 0
    if session.first_frame_at_ms is not None and session.last_frame_at_ms is not None:
        seen_s = max(0, session.last_frame_at_ms // 1000 - session.first_frame_at_ms // 1000)
    for number, minute in enumerate(range(first, last + 1)):
        yield {
            "session_id": session.id,
            "number": number,
            "account_id": session.account_id,
            "began_at_ms": max(started_ms, minute * _MINUTE_MS),
            "until_ms": min(ended_ms, (minute + 1) * _MINUTE_MS),
            "seen_s": seen_s if minute == last else 0,  # when in the session is not known
            "minutes": 1 if minute in charged else 0,
            "source": ("free" if session.test else "included") if minute in charged else None,
            "purchase_id": None,
            "closed": True,
        }


def _month_ms(instant_ms: int) -> int:
    month = datetime.fromtimestamp(instant_ms // 1000, UTC).replace(day=1, hour=0, minute=0, second=0)
    return int(month.timestamp()) * 1000


def downgrade() -> None:
    for table in ("usage_entries", "included_usage", "purchases"):
        op.drop_table(table)
