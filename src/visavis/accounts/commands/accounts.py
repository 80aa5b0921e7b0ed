"""`visavis accounts list | credit | usage`."""

from __future__ import annotations

from visavis.accounts.commands.database import with_accounts
from visavis.accounts.commands.table import print_table
from visavis.store.minutes import Balance
from visavis.timestamps import format_time


def list_accounts() -> None:
    """Print one line per account, oldest first."""
    records = with_accounts(lambda accounts: accounts.accounts())
    rows = [(one.id, one.name, one.plan_key, format_time(one.created_at_ms)) for one in records]
    print_table(("ID", "NAME", "PLAN", "CREATED"), *rows)


def credit_account(account_id: str, *, minutes: int) -> None:
    """Add purchased minutes. Raises `AccountNotFound`."""
    purchase = with_accounts(lambda accounts: accounts.credit(account_id, minutes))
    print(f"{account_id} has {purchase.minutes} more minutes ({purchase.id})")


def show_usage(account_id: str) -> None:
    """Print the minutes of an account in this month. Raises `AccountNotFound`."""
    balance = with_accounts(lambda accounts: accounts.balance(account_id))
    print_table(("MINUTES", "TOTAL", "USED", "LEFT"), *_rows(balance))


def _rows(balance: Balance) -> list[tuple[str, ...]]:
    included, left = balance.plan.included_minutes, balance.included_left
    rows = [
        ("included", included, balance.included_used, left),
        ("purchased", balance.purchased_total, balance.purchased_used, balance.purchased_left),
    ]
    return [(name, *("unlimited" if count is None else str(count) for count in counts)) for name, *counts in rows]
