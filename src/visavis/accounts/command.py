"""`visavis keys create | list | revoke`. The commands use the database of the running server, so they take effect there
at once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from visavis.accounts.service import Accounts
from visavis.errors import KeyNotFound
from visavis.settings import read_settings
from visavis.store.database import Database
from visavis.store.keys import KeyStore
from visavis.store.records import KeyRecord
from visavis.timestamps import format_time, format_time_or_none

Result = TypeVar("Result")


def _with_accounts(work: Callable[[Accounts], Awaitable[Result]], *, create: bool = False) -> Result:
    """Do work with the keys of the database. `create`: make the database if there is none."""

    async def run() -> Result:
        database = await Database.open(read_settings().resolved_database_url, create=create)
        try:
            return await work(Accounts(KeyStore(database)))
        finally:
            await database.aclose()

    return asyncio.run(run())


def create_key(*, name: str, test: bool) -> None:
    """Create a key and print it on a line of its own. A key that cannot be printed is revoked: nobody knows it."""
    record, key = _with_accounts(lambda accounts: accounts.create(name=name, test=test), create=True)
    try:
        print(key, flush=True)
    except OSError:
        _with_accounts(lambda accounts: accounts.revoke(record.id))
        raise


def list_keys() -> None:
    """Print one line per key, oldest first."""
    records = _with_accounts(lambda accounts: accounts.all())
    rows = [("ID", "NAME", "KEY", "CREATED", "LAST USED", "STATE"), *(_row(record) for record in records)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def _row(record: KeyRecord) -> tuple[str, ...]:
    state = "active" if record.revoked_at_ms is None else f"revoked {format_time(record.revoked_at_ms)}"
    return (
        record.id,
        record.name,
        record.start + "…",
        format_time(record.created_at_ms),
        format_time_or_none(record.last_used_at_ms) or "never",
        state,
    )


def revoke_key(key_id: str) -> None:
    """Revoke a key. Raises `KeyNotFound` for an unknown id."""
    if not _with_accounts(lambda accounts: accounts.revoke(key_id)):
        raise KeyNotFound(f"There is no key {key_id!r}", suggestion="`visavis keys list` prints the ids")
    print(f"{key_id} revoked")
