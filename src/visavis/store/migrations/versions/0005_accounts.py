"""Accounts: they own avatars, sessions, idempotent answers and the plan. Each existing key gets an account of its own,
which is named after it and has everything that the key had.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

_ID, _NAME = sa.String(40), sa.String(200)
_keys = sa.table(
    "keys",
    *(sa.column(name) for name in ("id", "name", "plan_key", "created_at_ms", "account_id")),
    sa.column("test", sa.Boolean),
)
_accounts = sa.table("accounts", *(sa.column(name) for name in ("id", "name", "plan_key", "created_at_ms")))
_sessions = sa.table("sessions", sa.column("key_id"), sa.column("account_id"), sa.column("test", sa.Boolean))
_avatars = sa.table("avatars", sa.column("owner_key_id"), sa.column("owner_account_id"))
_idempotency = sa.table("idempotency", sa.column("account_id", _ID))


def _account_of(key_id: sa.ColumnElement[str]) -> sa.ColumnElement[str]:
    """The account of the key `key_…` is `acct_…`."""
    return sa.literal("acct_", sa.String) + sa.func.replace(key_id, "key_", "", type_=sa.String)


def upgrade() -> None:
    op.create_table(
        "accounts",
        sa.Column("id", _ID, nullable=False),
        sa.Column("name", _NAME, nullable=False),
        sa.Column("plan_key", sa.String(64), nullable=False),
        sa.Column("created_at_ms", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_accounts"),
        sa.ForeignKeyConstraint(["plan_key"], ["plans.key"], name="fk_accounts_plan_key"),
    )
    each = sa.select(_account_of(_keys.c.id), _keys.c.name, _keys.c.plan_key, _keys.c.created_at_ms)
    op.execute(sa.insert(_accounts).from_select(["id", "name", "plan_key", "created_at_ms"], each))
    _change_sessions()
    _change_avatars()
    _change_keys()
    op.execute("ALTER TABLE idempotency RENAME COLUMN key_id TO account_id")
    op.execute(sa.update(_idempotency).values(account_id=_account_of(_idempotency.c.account_id)))


def _change_sessions() -> None:
    op.add_column("sessions", sa.Column("account_id", _ID))
    op.add_column("sessions", sa.Column("test", sa.Boolean))
    of_test_key = sa.select(_keys.c.test).where(_keys.c.id == _sessions.c.key_id).scalar_subquery()
    op.execute(sa.update(_sessions).values(account_id=_account_of(_sessions.c.key_id), test=of_test_key))
    op.drop_index("ix_sessions_key_id_created_at_ms_id", "sessions")
    op.drop_index("ix_sessions_key_id_status_ended_at_ms", "sessions")
    with op.batch_alter_table("sessions") as sessions:
        sessions.alter_column("account_id", existing_type=_ID, nullable=False)
        sessions.alter_column("test", existing_type=sa.Boolean, nullable=False)
        sessions.create_foreign_key("fk_sessions_account_id", "accounts", ["account_id"], ["id"])
    op.create_index("ix_sessions_account_id_created_at_ms_id", "sessions", ["account_id", "created_at_ms", "id"])
    op.create_index("ix_sessions_account_id_status_ended_at_ms", "sessions", ["account_id", "status", "ended_at_ms"])


def _change_avatars() -> None:
    op.add_column("avatars", sa.Column("owner_account_id", _ID))
    op.execute(sa.update(_avatars).values(owner_account_id=_account_of(_avatars.c.owner_key_id)))
    op.drop_index("ix_avatars_owner_key_id", "avatars")
    with op.batch_alter_table("avatars") as avatars:
        avatars.drop_constraint("fk_avatars_owner_key_id", type_="foreignkey")
        avatars.drop_column("owner_key_id")
        avatars.create_foreign_key("fk_avatars_owner_account_id", "accounts", ["owner_account_id"], ["id"])
    op.create_index("ix_avatars_owner_account_id", "avatars", ["owner_account_id"])


def _change_keys() -> None:
    op.add_column("keys", sa.Column("account_id", _ID))
    op.execute(sa.update(_keys).values(account_id=_account_of(_keys.c.id)))
    with op.batch_alter_table("keys") as keys:
        keys.alter_column("account_id", existing_type=_ID, nullable=False)
        keys.drop_constraint("fk_keys_plan_key", type_="foreignkey")
        keys.drop_column("plan_key")
        keys.create_foreign_key("fk_keys_account_id", "accounts", ["account_id"], ["id"])
    op.create_index("ix_keys_account_id", "keys", ["account_id"])


def downgrade() -> None:
    raise NotImplementedError("An account may have several keys; before accounts, each key was alone")
