"""The tables. Times are unix milliseconds. JSON keeps the order of its keys. The types are standard SQL: SQLite
and PostgreSQL have the same tables.
"""

from __future__ import annotations

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_name)s",
        "uq": "uq_%(table_name)s_%(column_0_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "pk": "pk_%(table_name)s",
    }
)

plans = Table(
    "plans",
    metadata,
    Column("key", String(64), primary_key=True),
    Column("name", String(200), nullable=False),
    Column("included_minutes", Integer),  # null: unlimited
    Column("max_concurrency", Integer),  # null: unlimited
    Column("max_session_minutes", Integer),  # null: unlimited
    Column("waives_unwatched", Boolean, nullable=False),  # sessions that no viewer got a frame of are billed nothing
)

accounts = Table(
    "accounts",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("name", String(200), nullable=False),
    Column("plan_key", String(64), ForeignKey("plans.key"), nullable=False),
    Column("created_at_ms", BigInteger, nullable=False),
)

keys = Table(
    "keys",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("account_id", String(40), ForeignKey("accounts.id"), nullable=False),
    Column("name", String(200), nullable=False),
    # sha256 of the key, hex: keys are random, so a slow hash adds nothing
    Column("hash", String(64), nullable=False, unique=True),
    Column("start", String(16), nullable=False),  # the key's first characters, by which its owner recognises it
    Column("test", Boolean, nullable=False),
    Column("created_at_ms", BigInteger, nullable=False),
    Column("last_used_at_ms", BigInteger),  # to within a minute
    Column("revoked_at_ms", BigInteger),
    Column("scopes", JSON, nullable=False),  # accounts/scopes.py
    Column("sources", JSON, nullable=False),  # networks from which it may be used; none: from everywhere
    Column("expires_at_ms", BigInteger),
    Index("ix_keys_account_id", "account_id"),
)

# Browsers of operators. One begins with a code or with the key; then it has a token.
sign_ins = Table(
    "sign_ins",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("key_id", String(40), ForeignKey("keys.id"), nullable=False),
    Column("code_hash", String(64), unique=True),  # sha256, hex; null: it began with the key
    Column("code_expires_at_ms", BigInteger),
    Column("token_hash", String(64), unique=True),  # sha256, hex; null until the code is used
    Column("created_at_ms", BigInteger, nullable=False),
    Column("expires_at_ms", BigInteger),
)

avatars = Table(
    "avatars",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("parent_id", String(40), ForeignKey("avatars.id")),  # null: a character; otherwise a look of it
    Column("owner_account_id", String(40), ForeignKey("accounts.id")),  # null: the server's own
    Column("name", String(200), nullable=False),
    Column("is_public", Boolean, nullable=False),
    Column("tags", JSON, nullable=False),
    Column("library_name", String(200)),  # which portrait of the library this is
    # of the picture and of what prepared it: a look is prepared again when either has changed
    Column("digest", String(64)),
    Column("created_at_ms", BigInteger, nullable=False),
    Column("updated_at_ms", BigInteger, nullable=False),
    Column("deleted_at_ms", BigInteger),  # set at once; the row's files go when no live session uses them
    Column("purged_at_ms", BigInteger),
    Column("photo_removed_at_ms", BigInteger),  # it was kept long enough (sessions/retention.py)
    Index("ix_avatars_parent_id", "parent_id"),
    Index("ix_avatars_owner_account_id", "owner_account_id"),
)

sessions = Table(
    "sessions",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("account_id", String(40), ForeignKey("accounts.id"), nullable=False),
    Column("key_id", String(40), ForeignKey("keys.id"), nullable=False),  # the key that has created it
    Column("test", Boolean, nullable=False),  # of a test key: free, and at most 60 s long
    Column("dialect", String(16), nullable=False),  # hosted | own
    Column("status", String(16), nullable=False),
    Column("avatar_id", String(40), nullable=False),  # no foreign key: a session outlives its avatar
    Column("avatar_name", String(200), nullable=False),
    Column("token_hash", String(64), nullable=False),
    Column("room_name", String(64), nullable=False, unique=True),
    Column("metadata", JSON, nullable=False),
    Column("aspect_ratio", String(8)),
    Column("created_at_ms", BigInteger, nullable=False),
    Column("started_at_ms", BigInteger),
    Column("ended_at_ms", BigInteger),
    Column("expiration_ms", BigInteger),
    Column("end_reason", String(32)),
    Column("first_frame_at_ms", BigInteger),  # metering: the first frame sent to a viewer, and the last
    Column("last_frame_at_ms", BigInteger),
    Column("seen_at_ms", BigInteger),  # when it was last live: the end of the session if its server dies
    Column("output", JSON(none_as_null=True)),  # null: the default output (engine/output.py)
    Column("options", JSON(none_as_null=True)),  # null: the server's and the plan's (sessions/options.py)
    Column("server_id", String(40)),  # of the server that owns it: it performs it, or has last begun to
    Column("epoch", BigInteger, nullable=False, server_default="0"),  # rises with each change of its owner or stage
    Column("stage_id", String(40)),  # null: it has no place on a stage of the fleet
    Column("place_mcores", Integer),  # what that place takes of the stage (store/stages.py)
    Column("starting_until_ms", BigInteger),  # while it is created: it holds a place until then (store/places.py)
    Column("played", JSON(none_as_null=True)),  # what viewers were shown (sessions/played.py); null: nothing
    Column("daily_room", JSON(none_as_null=True)),  # as DoorSeal keeps it; null: no Daily room was made for it
    Index("ix_sessions_account_id_created_at_ms_id", "account_id", "created_at_ms", "id"),
    Index("ix_sessions_account_id_status_ended_at_ms", "account_id", "status", "ended_at_ms"),
    Index("ix_sessions_account_id_status_created_at_ms", "account_id", "status", "created_at_ms", "id"),
    Index("ix_sessions_status_created_at_ms_id", "status", "created_at_ms", "id"),
    Index("ix_sessions_created_at_ms_id", "created_at_ms", "id"),
    Index("ix_sessions_ended_at_ms", "ended_at_ms"),
    Index(
        "ix_sessions_account_id_starting_until_ms",
        "account_id",
        "starting_until_ms",
        sqlite_where=text("starting_until_ms IS NOT NULL"),
        postgresql_where=text("starting_until_ms IS NOT NULL"),
    ),
    # What a server that dies has left started, and the sessions of a stage.
    Index(
        "ix_sessions_server_id",
        "server_id",
        sqlite_where=text("status = 'started'"),
        postgresql_where=text("status = 'started'"),
    ),
    Index(
        "ix_sessions_stage_id",
        "stage_id",
        sqlite_where=text("stage_id IS NOT NULL"),
        postgresql_where=text("stage_id IS NOT NULL"),
    ),
)

# No foreign key to the session: a row outlives it for a while, so that its holder is told why the token opens nothing.
browser_tokens = Table(
    "browser_tokens",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("session_id", String(40), nullable=False),
    Column("key_id", String(40), nullable=False),  # the key that has made it: without that it opens nothing
    Column("purpose", String(16), nullable=False),  # sessions/browser_tokens.py
    Column("hash", String(64), nullable=False, unique=True),  # sha256, hex
    Column("origins", JSON, nullable=False),  # of the pages that may use it; none: all
    Column("created_at_ms", BigInteger, nullable=False),
    Column("expires_at_ms", BigInteger, nullable=False),
    Column("used_at_ms", BigInteger),  # the first time
    Column("revoked_at_ms", BigInteger),
    Column("viewers", JSON, nullable=False, server_default="[]"),  # whom it has let into the room last
    Index("ix_browser_tokens_session_id", "session_id"),
    Index("ix_browser_tokens_expires_at_ms", "expires_at_ms"),
)

purchases = Table(
    "purchases",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("account_id", String(40), ForeignKey("accounts.id"), nullable=False),
    Column("minutes", Integer, nullable=False),
    Column("used_minutes", Integer, nullable=False),
    Column("created_at_ms", BigInteger, nullable=False),
    Index("ix_purchases_account_id_created_at_ms", "account_id", "created_at_ms"),
)

# How many included minutes an account has used in a month: the sum of its entries, which are too many to be added up
# for each start.
included_usage = Table(
    "included_usage",
    metadata,
    Column("account_id", String(40), ForeignKey("accounts.id"), primary_key=True),
    Column("month_ms", BigInteger, primary_key=True),  # its beginning in UTC
    Column("minutes", Integer, nullable=False),
)

usage_entries = Table(
    "usage_entries",
    metadata,
    Column("session_id", String(40), primary_key=True),  # no foreign key: the ledger outlives its sessions
    Column("number", Integer, primary_key=True),
    Column("account_id", String(40), ForeignKey("accounts.id"), nullable=False),
    Column("began_at_ms", BigInteger, nullable=False),
    Column("until_ms", BigInteger, nullable=False),
    Column("seen_s", Integer, nullable=False),  # what it adds to the seconds from the first frame to the last
    Column("minutes", Integer, nullable=False),  # 1: a billed minute begins in it
    Column("source", String(16)),  # of that minute: store/minutes.py
    Column("purchase_id", String(40), ForeignKey("purchases.id")),
    Column("closed", Boolean, nullable=False),  # it never changes again
    Index("ix_usage_entries_account_id_began_at_ms", "account_id", "began_at_ms"),
    Index("ix_usage_entries_began_at_ms", "began_at_ms"),
)

# Which kept answers are about a session: they are deleted with it.
session_answers = Table(
    "session_answers",
    metadata,
    Column("session_id", String(40), primary_key=True),
    Column("account_id", String(40), primary_key=True),
    Column("idempotency_key", String(255), primary_key=True),
)

idempotency = Table(
    "idempotency",
    metadata,
    Column("account_id", String(40), primary_key=True),
    Column("idempotency_key", String(255), primary_key=True),
    Column("fingerprint", String(64), nullable=False),  # sha256 of method, path and body
    Column("status_code", Integer),  # null until the first request is answered
    Column("content_type", String(100)),
    Column("body", Text),  # encrypted: accounts/sealing.py
    Column("created_at_ms", BigInteger, nullable=False),
)

# Where events are sent. docs/reference/webhooks.md
webhooks = Table(
    "webhooks",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("account_id", String(40), ForeignKey("accounts.id"), nullable=False),
    Column("test", Boolean, nullable=False),  # takes the events of test keys, and of no others
    Column("url", String(2048), nullable=False),  # empty: a listener, which fetches its events itself
    Column("events", JSON, nullable=False),  # the types that it takes; none: all
    Column("secret", Text, nullable=False),  # encrypted: webhooks/secrets.py
    Column("old_secret", Text),  # signs beside the new one until then
    Column("old_secret_until_ms", BigInteger),
    Column("created_at_ms", BigInteger, nullable=False),
    Column("failing_since_ms", BigInteger),  # the first failure since the last success
    Column("disabled_at_ms", BigInteger),
    Column("disabled_reason", String(16)),  # client | failing | gone
    Column("seen_at_ms", BigInteger),  # of a listener: when it last asked
    Index("ix_webhooks_account_id", "account_id"),
)

# What has happened, written in the transaction that made it happen.
webhook_events = Table(
    "webhook_events",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("account_id", String(40), ForeignKey("accounts.id"), nullable=False),
    Column("subject_id", String(40), nullable=False),  # the session or the avatar. No foreign key: it may go earlier
    Column("number", Integer),  # of this session, counted from 1; null: not given yet, or not of a session
    Column("type", String(40), nullable=False),
    Column("key", String(80)),  # what happens once to a session has a key, by which it is found again
    Column("data", JSON, nullable=False),
    Column("at_ms", BigInteger, nullable=False),
    Index("uq_webhook_events_subject_id_number", "subject_id", "number", unique=True),
    Index("ix_webhook_events_subject_id_key", "subject_id", "key"),
    Index("ix_webhook_events_at_ms", "at_ms"),
)

# One event for one webhook.
webhook_deliveries = Table(
    "webhook_deliveries",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("webhook_id", String(40), ForeignKey("webhooks.id"), nullable=False),
    Column("event_id", String(40), ForeignKey("webhook_events.id"), nullable=False),
    Column("status", String(16), nullable=False),  # pending | delivered | failed | missed
    Column("attempts", Integer, nullable=False),
    Column("began_at_ms", BigInteger, nullable=False),  # from then it is tried for a day; a replay begins anew
    Column("tried", Boolean, nullable=False),  # an attempt has failed since then
    Column("due_at_ms", BigInteger),  # of the next attempt; null: there is none
    Column("created_at_ms", BigInteger, nullable=False),
    Column("delivered_at_ms", BigInteger),
    Index("ix_webhook_deliveries_webhook_id_tried_due_at_ms", "webhook_id", "tried", "due_at_ms"),
    Index("ix_webhook_deliveries_webhook_id_id", "webhook_id", "id"),
    Index("ix_webhook_deliveries_due_at_ms", "due_at_ms"),
    Index("ix_webhook_deliveries_event_id", "event_id"),
)

webhook_attempts = Table(
    "webhook_attempts",
    metadata,
    Column("delivery_id", String(40), ForeignKey("webhook_deliveries.id"), primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("at_ms", BigInteger, nullable=False),
    Column("duration_ms", Integer, nullable=False),
    Column("status_code", Integer),  # null: there was no answer
    Column("problem", String(200)),  # null: it was delivered
)


def _lease() -> list[Column[int]]:
    """The columns of a lease (store/leases.py). Times are those of the database's clock."""
    return [
        Column("epoch", BigInteger, nullable=False, server_default="0"),  # rises with each holder, and when it ends
        Column("seen_at_ms", BigInteger, nullable=False),  # when it was last renewed
        Column("steady_since_ms", BigInteger, nullable=False, server_default="0"),  # renewed without a gap since then
        Column("ended_at_ms", BigInteger),  # null: nobody has ended it
    ]


# The servers that share the database (store/leases.py).
servers = Table(
    "servers",
    metadata,
    Column("id", String(40), primary_key=True),
    *_lease(),
    Column("address", String(300)),  # where the other servers of a fleet reach it; null: it is in none
)

# The stages of a fleet: one row for each machine's `visavis stage` (store/stages.py). Cores are counted in thousandths.
stages = Table(
    "stages",
    metadata,
    Column("id", String(40), primary_key=True),
    *_lease(),
    Column("address", String(300), nullable=False),  # where servers reach it
    Column("labels", JSON().with_variant(JSONB(), "postgresql"), nullable=False),  # what its operator calls it by
    Column("room_mcores", Integer, nullable=False),  # what sessions may take of it
    Column("taken_mcores", Integer, nullable=False),  # the sum of its sessions' places
    Column("frame_us", Integer, nullable=False),  # what a frame of a session cost there when it entered ...
    Column("mpx_us", Integer, nullable=False),  # ... and each million pixels of it: the unit of the two above
    Column("draining", Boolean, nullable=False),  # it takes no more sessions
    Column("token_id", String(40)),  # of the stage token that has entered it: with another one it is not renewed
    Column("port_token", String(100), nullable=False, server_default=""),  # what servers must say to it
    Column("certificate", Text),  # PEM, the one that it shows to servers; null: the authorities that a server trusts
    Column("lot", Float, nullable=False, server_default=text("0")),  # drawn by a PostgreSQL: 0 to 1, for placements
    Index("ix_stages_lot", "lot"),
)

# With which a stage's machine enters and renews its own row of `stages` (store/stage_rows.py), and nothing else.
stage_tokens = Table(
    "stage_tokens",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("name", String(200), nullable=False),
    Column("hash", String(64), nullable=False, unique=True),  # sha256, hex
    Column("created_at_ms", BigInteger, nullable=False),
    Column("revoked_at_ms", BigInteger),
)

# Who has changed keys, plans, minutes and webhooks, and deleted avatars and sessions. Rows are only added.
audit_log = Table(
    "audit_log",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("at_ms", BigInteger, nullable=False),
    Column("actor", String(16), nullable=False),  # key | command | server
    Column("actor_id", String(100)),  # the key's id, or the user of this machine
    Column("address", String(64)),  # of a key's caller
    Column("action", String(40), nullable=False),
    Column("subject_id", String(64), nullable=False),
    Column("account_id", String(40)),  # whose it is. No foreign key: it outlives everything
    Column("details", JSON, nullable=False),
    Index("ix_audit_log_account_id_id", "account_id", "id"),
    Index("ix_audit_log_subject_id_id", "subject_id", "id"),
    Index("ix_audit_log_actor_id_id", "actor_id", "id"),
)
