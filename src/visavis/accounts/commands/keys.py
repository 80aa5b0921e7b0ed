"""`visavis keys create | list | rotate | revoke`."""

from __future__ import annotations

from collections.abc import Collection

from visavis.accounts.commands.database import with_accounts
from visavis.accounts.commands.table import print_table
from visavis.accounts.scopes import DEFAULT_SCOPES, Scope
from visavis.errors import KeyNotFound
from visavis.store.records import KeyRecord
from visavis.timestamps import format_time, format_time_or_none, now_ms

_HOUR_MS = 3_600_000
_DAY_MS = 24 * _HOUR_MS


def create_key(
    *,
    name: str,
    test: bool,
    account_id: str | None,
    scopes: Collection[Scope],
    sources: Collection[str],
    days: float | None,
) -> None:
    """Create a key and print it on a line of its own. Raises `AccountNotFound`."""
    _show(
        *with_accounts(
            lambda accounts: accounts.create(
                name=name,
                test=test,
                account_id=account_id,
                scopes=scopes or DEFAULT_SCOPES,
                sources=sources,
                lasts_ms=None if days is None else int(days * _DAY_MS),
            ),
            create=True,
        )
    )


def rotate_key(key_id: str, *, overlap_hours: float) -> None:
    """Replace a key and print the new one on a line of its own. Raises `KeyNotFound` and `KeyNotActive`."""
    overlap_ms = int(overlap_hours * _HOUR_MS)
    _show(*with_accounts(lambda accounts: accounts.rotate(key_id, overlap_ms=overlap_ms)))


def _show(record: KeyRecord, key: str) -> None:
    """Print a new key. One that cannot be printed is revoked: nobody knows it."""
    try:
        print(key, flush=True)
    except OSError:
        with_accounts(lambda accounts: accounts.revoke(record.id))
        raise


def list_keys() -> None:
    """Print one line per key, oldest first."""
    records = with_accounts(lambda accounts: accounts.all())
    heading = ("ID", "NAME", "KEY", "ACCOUNT", "SCOPES", "FROM", "CREATED", "LAST USED", "STATE")
    now = now_ms()
    print_table(heading, *(_row(record, now_ms=now) for record in records))


def _row(record: KeyRecord, *, now_ms: int) -> tuple[str, ...]:
    state = "active"
    if record.revoked_at_ms is not None:
        state = f"revoked {format_time(record.revoked_at_ms)}"
    elif record.expires_at_ms is not None:
        verb = "expired" if record.expires_at_ms <= now_ms else "active until"
        state = f"{verb} {format_time(record.expires_at_ms)}"
    return (
        record.id,
        record.name,
        record.start + "…",
        record.account_id,
        "default" if set(record.scopes) == set(DEFAULT_SCOPES) else ",".join(record.scopes),
        ",".join(record.sources) or "everywhere",
        format_time(record.created_at_ms),
        format_time_or_none(record.last_used_at_ms) or "never",
        state,
    )


def revoke_key(key_id: str) -> None:
    """Revoke a key. Raises `KeyNotFound` for an unknown id."""
    if not with_accounts(lambda accounts: accounts.revoke(key_id)):
        raise KeyNotFound(f"There is no key {key_id!r}", suggestion="`visavis keys list` prints the ids")
    print(f"{key_id} revoked")
