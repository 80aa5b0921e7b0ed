"""`visavis stage-tokens create | list | revoke`."""

from __future__ import annotations

from visavis.accounts.commands.database import with_database
from visavis.accounts.commands.table import print_table
from visavis.errors import TokenNotFound
from visavis.store.stage_tokens import StageTokenRecord, StageTokens
from visavis.timestamps import format_time, format_time_or_none


def create_stage_token(name: str) -> None:
    """Create a token and print it on a line of its own. One that cannot be printed is revoked: nobody knows it."""
    token_id, token = with_database(lambda database: StageTokens(database).create(name))
    try:
        print(token, flush=True)
    except OSError:
        with_database(lambda database: StageTokens(database).revoke(token_id))
        raise


def list_stage_tokens() -> None:
    """Print one line per token, oldest first."""
    records = with_database(lambda database: StageTokens(database).all())
    print_table(("ID", "NAME", "CREATED", "REVOKED"), *(_row(one) for one in records))


def _row(record: StageTokenRecord) -> tuple[str, ...]:
    revoked = format_time_or_none(record.revoked_at_ms) or "-"
    return record.id, record.name, format_time(record.created_at_ms), revoked


def revoke_stage_token(token_id: str) -> None:
    """Raises `TokenNotFound` if there is no such token, or if it was revoked before."""
    if not with_database(lambda database: StageTokens(database).revoke(token_id)):
        raise TokenNotFound(f"There is no token {token_id} that is not revoked")
