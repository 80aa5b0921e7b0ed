"""The minutes of accounts: what a plan includes each month, and what was purchased. Charging a minute and writing its
entry of the ledger are one transaction (usage.py).
"""

from __future__ import annotations

from dataclasses import asdict, dataclass

from sqlalchemy import ColumnElement, ScalarSelect, func, insert, literal, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from visavis.store.audit import note_change
from visavis.store.database import Database
from visavis.store.models import accounts, included_usage, plans, purchases, sessions
from visavis.store.records import PlanRecord, PurchaseRecord, SessionRecord
from visavis.timestamps import start_of_month_ms

FREE, INCLUDED, PURCHASED = "free", "included", "purchased"  # where a charged minute came from


@dataclass(frozen=True, slots=True, kw_only=True)
class Charge:
    """One minute of an account. `purchase_id`: where it was purchased."""

    source: str
    purchase_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Balance:
    """The minutes of an account in this month. `uncharged`: how many sessions are being started whose first minute is
    charged when they have started.
    """

    plan: PlanRecord
    included_used: int
    purchased_total: int
    purchased_used: int
    uncharged: int = 0

    @property
    def included_left(self) -> int | None:
        """None: unlimited."""
        included = self.plan.included_minutes
        return None if included is None else max(0, included - self.included_used)

    @property
    def purchased_left(self) -> int:
        return self.purchased_total - self.purchased_used

    @property
    def left(self) -> int | None:
        """All minutes that are left; None: unlimited."""
        included = self.included_left
        return None if included is None else included + self.purchased_left


async def charge_minute(connection: AsyncConnection, session: SessionRecord, *, at_ms: int) -> Charge:
    """Take a minute that begins at this instant from the account of a session: an included one first, then the
    purchased ones, the oldest purchase first. With none left it is an included one all the same: sessions are not ended
    for it.
    """
    if session.test:
        return Charge(source=FREE)
    of_account = select(plans.c.included_minutes).join(accounts, accounts.c.plan_key == plans.c.key)
    # The account is locked: charges of other servers wait, which on SQLite they do anyway.
    locked = of_account.where(accounts.c.id == session.account_id).with_for_update(of=accounts, key_share=True)
    included = (await connection.execute(locked)).scalar_one()
    if await _take_included(connection, session.account_id, at_ms=at_ms, most=included):
        return Charge(source=INCLUDED)
    purchase_id = await _take_purchased(connection, session.account_id)
    if purchase_id is not None:
        return Charge(source=PURCHASED, purchase_id=purchase_id)
    await _take_included(connection, session.account_id, at_ms=at_ms, most=None)
    return Charge(source=INCLUDED)


async def waives_unwatched(connection: AsyncConnection, account_id: str) -> bool:
    """Whether the account's plan bills nothing for sessions that nobody has watched."""
    query = select(plans.c.waives_unwatched).join(accounts, accounts.c.plan_key == plans.c.key)
    return bool((await connection.execute(query.where(accounts.c.id == account_id))).scalar_one())


async def give_back(connection: AsyncConnection, account_id: str, charge: Charge, *, at_ms: int, minutes: int) -> None:
    """Give charged minutes back to where they came from. `at_ms`: an instant in the month in which they began."""
    if charge.purchase_id is not None:
        left = update(purchases).values(used_minutes=purchases.c.used_minutes - minutes)
        await connection.execute(left.where(purchases.c.id == charge.purchase_id))
        return
    month = included_usage.c.account_id == account_id, included_usage.c.month_ms == start_of_month_ms(at_ms)
    await connection.execute(update(included_usage).where(*month).values(minutes=included_usage.c.minutes - minutes))


async def _take_included(connection: AsyncConnection, account_id: str, *, at_ms: int, most: int | None) -> bool:
    month = {"account_id": account_id, "month_ms": start_of_month_ms(at_ms)}
    this_month = [included_usage.c[name] == value for name, value in month.items()]
    counted = update(included_usage).where(*this_month).values(minutes=included_usage.c.minutes + 1)
    if most is not None:
        counted = counted.where(included_usage.c.minutes < most)
    if (await connection.execute(counted)).rowcount == 1:
        return True
    exists = (await connection.execute(select(included_usage.c.minutes).where(*this_month))).first() is not None
    if exists or most == 0:
        return False
    await connection.execute(insert(included_usage).values(**month, minutes=1))
    return True


async def _take_purchased(connection: AsyncConnection, account_id: str) -> str | None:
    left = (purchases.c.account_id == account_id, purchases.c.used_minutes < purchases.c.minutes)
    oldest = select(purchases.c.id).where(*left).order_by(purchases.c.created_at_ms, purchases.c.id).limit(1)
    purchase_id: str | None = (await connection.execute(oldest)).scalar_one_or_none()
    if purchase_id is not None:
        used = update(purchases).where(purchases.c.id == purchase_id).values(used_minutes=purchases.c.used_minutes + 1)
        await connection.execute(used)
    return purchase_id


def _sum_of(column: object, account_id: str) -> ScalarSelect[int]:
    query = select(func.coalesce(func.sum(column), 0)).where(purchases.c.account_id == account_id)
    return query.scalar_subquery()


class MinuteStore:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def add_purchase(self, record: PurchaseRecord) -> None:
        async with self._database.write() as connection:
            await connection.execute(insert(purchases).values(**asdict(record)))
            account_id, minutes = record.account_id, record.minutes
            await note_change(connection, "minutes.credited", record.id, account_id=account_id, minutes=minutes)

    async def purchases_of(self, account_id: str) -> list[PurchaseRecord]:
        """Return the purchases of an account, oldest first."""
        query = select(purchases).where(purchases.c.account_id == account_id)
        async with self._database.read() as connection:
            ordered = query.order_by(purchases.c.created_at_ms, purchases.c.id)
            rows = (await connection.execute(ordered)).mappings().all()
        return [PurchaseRecord(**row) for row in rows]

    async def balance(self, account_id: str, *, at_ms: int) -> Balance:
        """Return the minutes of an account that exists, all as of one moment."""
        async with self._database.read() as connection:
            return await read_balance(connection, account_id, at_ms=at_ms)


async def read_balance(
    connection: AsyncConnection, account_id: str, *, at_ms: int, starting: ColumnElement[bool] | None = None
) -> Balance:
    """Return the minutes of an account that exists, all as of one moment. `starting`: which sessions are being started;
    without it `uncharged` is 0.
    """
    used = select(included_usage.c.minutes).where(
        included_usage.c.account_id == account_id, included_usage.c.month_ms == start_of_month_ms(at_ms)
    )
    uncharged: ColumnElement[int] = literal(0)
    if starting is not None:
        own = (sessions.c.account_id == account_id, sessions.c.test.is_(False))
        uncharged = select(func.count()).select_from(sessions).where(*own, starting).scalar_subquery()
    query = (
        select(
            *plans.c,
            func.coalesce(used.scalar_subquery(), 0).label("included_used"),
            _sum_of(purchases.c.minutes, account_id).label("purchased_total"),
            _sum_of(purchases.c.used_minutes, account_id).label("purchased_used"),
            uncharged.label("uncharged"),
        )
        .select_from(accounts)
        .join(plans, accounts.c.plan_key == plans.c.key)
        .where(accounts.c.id == account_id)
    )
    row = (await connection.execute(query)).mappings().one()
    return Balance(
        plan=PlanRecord(**{column.name: row[column.name] for column in plans.c}),
        included_used=row["included_used"],
        purchased_total=int(row["purchased_total"]),
        purchased_used=int(row["purchased_used"]),
        uncharged=row["uncharged"],
    )
