"""Accounts and their plans."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import asdict
from typing import TypedDict

from sqlalchemy import insert, select, update
from sqlalchemy.exc import IntegrityError

from visavis.store.audit import note_change
from visavis.store.database import Database
from visavis.store.models import accounts, plans
from visavis.store.records import AccountRecord, PlanRecord


class PlanChanges(TypedDict, total=False):
    """What changes in a plan. None: unlimited."""

    name: str
    included_minutes: int | None
    max_concurrency: int | None
    max_session_minutes: int | None
    waives_unwatched: bool


class AccountStore:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def get(self, account_id: str) -> AccountRecord | None:
        async with self._database.read() as connection:
            row = (await connection.execute(select(accounts).where(accounts.c.id == account_id))).mappings().first()
        return None if row is None else AccountRecord(**row)

    async def all(self) -> list[AccountRecord]:
        """Return the accounts, oldest first."""
        query = select(accounts).order_by(accounts.c.created_at_ms, accounts.c.id)
        async with self._database.read() as connection:
            rows = (await connection.execute(query)).mappings().all()
        return [AccountRecord(**row) for row in rows]

    async def page(self, *, before_id: str | None, limit: int) -> list[AccountRecord]:
        """Return at most so many accounts, newest first; only those before one in that order."""
        query = select(accounts).order_by(accounts.c.id.desc()).limit(limit)
        if before_id is not None:
            query = query.where(accounts.c.id < before_id)
        async with self._database.read() as connection:
            rows = (await connection.execute(query)).mappings().all()
        return [AccountRecord(**row) for row in rows]

    async def names(self, account_ids: Collection[str]) -> dict[str, str]:
        """Return the names of these accounts, by id."""
        query = select(accounts.c.id, accounts.c.name).where(accounts.c.id.in_(account_ids))
        async with self._database.read() as connection:
            rows = (await connection.execute(query)).all()
        return {row.id: row.name for row in rows}

    async def plans(self) -> list[PlanRecord]:
        """Return the plans, sorted by key."""
        async with self._database.read() as connection:
            rows = (await connection.execute(select(plans).order_by(plans.c.key))).mappings().all()
        return [PlanRecord(**row) for row in rows]

    async def set_plan(self, plan_key: str, changes: PlanChanges) -> PlanRecord:
        """Change a plan, or make one whose other limits are unlimited; return it."""
        try:
            return await self._set_plan(plan_key, changes)
        except IntegrityError:  # another has made it meanwhile
            return await self._set_plan(plan_key, changes)

    async def _set_plan(self, plan_key: str, changes: PlanChanges) -> PlanRecord:
        async with self._database.write() as connection:
            query = select(plans).where(plans.c.key == plan_key).with_for_update(key_share=True)
            row = (await connection.execute(query)).mappings().first()
            unlimited = dict.fromkeys(("included_minutes", "max_concurrency", "max_session_minutes"))
            new = {"key": plan_key, "name": plan_key, "waives_unwatched": False, **unlimited}
            before = new if row is None else dict(row)
            plan = PlanRecord(**before | changes)  # type: ignore[arg-type]
            if row is None:
                await connection.execute(insert(plans).values(**asdict(plan)))
            else:
                await connection.execute(update(plans).where(plans.c.key == plan_key).values(**asdict(plan)))
            await note_change(connection, "plan.changed", plan_key, **changes)
        return plan

    async def assign_plan(self, account_id: str, plan_key: str) -> None:
        """Put an account on a plan. Both exist."""
        async with self._database.write() as connection:
            await connection.execute(update(accounts).where(accounts.c.id == account_id).values(plan_key=plan_key))
            await note_change(connection, "plan.assigned", plan_key, account_id=account_id)
