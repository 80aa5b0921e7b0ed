"""Tokens of stages' machines, and the two functions by which such a machine enters and renews its own row of `stages`.
A database role that may call these and nothing else is enough for it (store/stage_role.py).
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None

# Both run with the rights of the tables' owner, so no caller may put anything of its own in the place of what they
# name: every table has its schema, and temporary objects are looked for last.
_ENTER = """
CREATE FUNCTION {schema}.visavis_enter_stage(
    the_token text, the_id text, the_address text, the_port_token text, the_certificate text, the_labels jsonb,
    the_room_mcores integer, the_frame_us integer, the_mpx_us integer
) RETURNS bigint LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    now_ms bigint := extract(epoch FROM statement_timestamp()) * 1000;
    the_token_id text;
    the_epoch bigint;
BEGIN
    SELECT id INTO the_token_id FROM {schema}.stage_tokens
    WHERE hash = encode(sha256(convert_to(the_token, 'UTF8')), 'hex') AND revoked_at_ms IS NULL;
    IF the_token_id IS NULL THEN
        RAISE EXCEPTION 'the token is wrong or was revoked' USING ERRCODE = 'VS001';
    END IF;
    INSERT INTO {schema}.stages AS stage (
        id, epoch, seen_at_ms, steady_since_ms, token_id, address, port_token, certificate, labels,
        room_mcores, taken_mcores, frame_us, mpx_us, draining)
    VALUES (
        the_id, 1, now_ms, now_ms, the_token_id, the_address, the_port_token, the_certificate, the_labels,
        the_room_mcores, 0, the_frame_us, the_mpx_us, false)
    ON CONFLICT (id) DO UPDATE SET seen_at_ms = now_ms, epoch = stage.epoch + 1
        WHERE stage.token_id = the_token_id AND stage.ended_at_ms IS NULL
    RETURNING epoch INTO the_epoch;
    IF the_epoch IS NULL THEN
        RAISE EXCEPTION 'the name is another stage''s, or its lease has ended' USING ERRCODE = 'VS002';
    END IF;
    RETURN the_epoch;
END
$$
"""

_RENEW = """
CREATE FUNCTION {schema}.visavis_renew_stage(
    the_token text, the_id text, the_epoch bigint, the_room_mcores integer, the_frame_us integer, the_mpx_us integer,
    drains boolean, leaves boolean
) RETURNS boolean LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    now_ms bigint := extract(epoch FROM statement_timestamp()) * 1000;
BEGIN
    UPDATE {schema}.stages SET
        seen_at_ms = now_ms,
        steady_since_ms = CASE WHEN seen_at_ms < now_ms - 1000 THEN now_ms ELSE steady_since_ms END,
        ended_at_ms = CASE WHEN leaves THEN now_ms END,
        room_mcores = the_room_mcores, frame_us = the_frame_us, mpx_us = the_mpx_us, draining = drains
    WHERE id = the_id AND epoch = the_epoch AND ended_at_ms IS NULL AND token_id = (
        SELECT id FROM {schema}.stage_tokens
        WHERE hash = encode(sha256(convert_to(the_token, 'UTF8')), 'hex') AND revoked_at_ms IS NULL);
    RETURN FOUND;
END
$$
"""


def upgrade() -> None:
    op.create_table(
        "stage_tokens",
        sa.Column("id", sa.String(40), nullable=False),
        sa.Column("name", sa.String(200), nullable=False),
        sa.Column("hash", sa.String(64), nullable=False),
        sa.Column("created_at_ms", sa.BigInteger, nullable=False),
        sa.Column("revoked_at_ms", sa.BigInteger),
        sa.PrimaryKeyConstraint("id", name="pk_stage_tokens"),
        sa.UniqueConstraint("hash", name="uq_stage_tokens_hash"),
    )
    op.add_column("stages", sa.Column("token_id", sa.String(40)))
    op.add_column("stages", sa.Column("port_token", sa.String(100), nullable=False, server_default=""))
    op.add_column("stages", sa.Column("certificate", sa.Text))
    if op.get_context().dialect.name == "postgresql":
        schema = op.get_bind().scalar(sa.text("SELECT quote_ident(current_schema())"))
        for function in (_ENTER, _RENEW):
            op.get_bind().exec_driver_sql(function.format(schema=schema))
        for name in ("visavis_enter_stage", "visavis_renew_stage"):
            op.execute(f"REVOKE ALL ON FUNCTION {schema}.{name} FROM PUBLIC")


def downgrade() -> None:
    if op.get_context().dialect.name == "postgresql":
        for name in ("visavis_renew_stage", "visavis_enter_stage"):
            op.execute(f"DROP FUNCTION {name}")
    for name in ("certificate", "port_token", "token_id"):
        op.drop_column("stages", name)
    op.drop_table("stage_tokens")
