"""`visavis plans list | set | assign`."""

from __future__ import annotations

from visavis.accounts.commands.database import with_accounts
from visavis.accounts.commands.table import print_table
from visavis.store.accounts import PlanChanges
from visavis.store.records import PlanRecord

_HEADING = ("KEY", "NAME", "CONCURRENCY", "MINUTES A MONTH", "SESSION MINUTES", "UNWATCHED")


def list_plans() -> None:
    """Print one line per plan, sorted by key."""
    print_table(_HEADING, *(_row(plan) for plan in with_accounts(lambda accounts: accounts.plans())))


def set_plan(plan_key: str, changes: PlanChanges) -> None:
    """Change a plan or make one, and print it."""
    print_table(_HEADING, _row(with_accounts(lambda accounts: accounts.set_plan(plan_key, changes), create=True)))


def assign_plan(account_id: str, plan_key: str) -> None:
    """Put an account on a plan. Raises `AccountNotFound` and `PlanNotFound`."""
    with_accounts(lambda accounts: accounts.assign_plan(account_id, plan_key))
    print(f"{account_id} is on the plan {plan_key}")


def _row(plan: PlanRecord) -> tuple[str, ...]:
    limits = (plan.max_concurrency, plan.included_minutes, plan.max_session_minutes)
    shown = ("unlimited" if limit is None else str(limit) for limit in limits)
    return (plan.key, plan.name, *shown, "waived" if plan.waives_unwatched else "billed")
