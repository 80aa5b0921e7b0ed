"""`visavis accounts audit`."""

from __future__ import annotations

import json

from visavis.accounts.commands.database import with_accounts
from visavis.accounts.commands.table import print_table
from visavis.store.audit import AuditRecord
from visavis.timestamps import format_time


def show_audit(*, account_id: str | None, limit: int) -> None:
    """Print one line per entry, newest first."""
    found = with_accounts(lambda accounts: accounts.audit(account_id=account_id, limit=limit))
    print_table(("TIME", "WHO", "FROM", "WHAT", "OF", "ACCOUNT", "DETAILS"), *map(_row, found))


def _row(entry: AuditRecord) -> tuple[str, ...]:
    who = entry.actor if entry.actor_id is None else f"{entry.actor} {entry.actor_id}"
    details = json.dumps(entry.details, ensure_ascii=False) if entry.details else ""
    place, account = entry.address or "", entry.account_id or ""
    return (format_time(entry.at_ms), who, place, entry.action, entry.subject_id, account, details)
