"""What a key's plan allows now: how many sessions may run, and how many minutes are left. docs/reference/rest.md,
"Plans and minutes".
"""

from __future__ import annotations

from dataclasses import dataclass

from visavis.accounts.service import Accounts
from visavis.errors import ConcurrencyLimitReached, InsufficientMinutes
from visavis.sessions.live_table import LiveTable
from visavis.sessions.metering import billed_minutes
from visavis.store.records import KeyRecord, PlanRecord, SessionRecord
from visavis.store.sessions import SessionStore
from visavis.timestamps import now_ms, start_of_month_ms

TEST_SESSION_MS = 60_000  # a session of a test key lasts no longer


@dataclass(frozen=True, slots=True, kw_only=True)
class CurrentUsage:
    """A key's sessions at the moment, and its limits. None means unlimited."""

    current: int
    maximum: int | None
    minutes_remaining: int | None


class PlanLimits:
    def __init__(self, *, accounts: Accounts, store: SessionStore, table: LiveTable) -> None:
        self._accounts, self._store, self._table = accounts, store, table

    async def check_minutes(self, key: KeyRecord) -> None:
        """Raises `InsufficientMinutes`."""
        await self._check_minutes(key, await self._accounts.plan_of(key))

    async def check_start(self, key: KeyRecord, session_id: str | None = None) -> int | None:
        """Return how long this session may last if it starts now, in ms; None without limit. Raises
        `InsufficientMinutes` and `ConcurrencyLimitReached`.

        The caller must not await anything between this call and the one that counts the session as being started, or
        two starts could take the same place. Another request may have started the same session meanwhile: a session
        is not counted against itself.
        """
        plan = await self._accounts.plan_of(key)
        await self._check_minutes(key, plan, session_id)
        current = len(self._table.current_of(key.id) - {session_id})
        if plan.max_concurrency is not None and current >= plan.max_concurrency:
            raise ConcurrencyLimitReached(current=current, maximum=plan.max_concurrency)
        if key.test:
            return TEST_SESSION_MS
        return None if plan.max_session_minutes is None else plan.max_session_minutes * 60_000

    async def usage_of(self, key: KeyRecord) -> CurrentUsage:
        plan = await self._accounts.plan_of(key)
        return CurrentUsage(
            current=self._table.count_of(key.id),
            maximum=plan.max_concurrency,
            minutes_remaining=await self._minutes_remaining(key, plan),
        )

    def billed_minutes(self, key: KeyRecord, record: SessionRecord) -> int:
        """Return the minutes of the key's session so far; sessions of a test key are free."""
        if key.test:
            return 0
        return billed_minutes(started_at_ms=record.started_at_ms, until_ms=self._table.until_ms(record))

    async def _check_minutes(self, key: KeyRecord, plan: PlanRecord, session_id: str | None = None) -> None:
        remaining = await self._minutes_remaining(key, plan, session_id)
        if remaining is not None and remaining <= 0:
            raise InsufficientMinutes(total_remaining=0)

    async def _minutes_remaining(self, key: KeyRecord, plan: PlanRecord, session_id: str | None = None) -> int | None:
        """Return what is left of the plan's minutes this month; None if they are unlimited, or free for a test key.

        Sessions that run or are being started count too, except `session_id`. One that ends while the database is read
        is counted as it was before, so none is missed or counted twice.
        """
        if plan.included_minutes is None or key.test:
            return None
        before = self._table.minutes_of(key.id)
        since_ms = start_of_month_ms(now_ms())
        ended = await self._store.minutes_used(key.id, since_ms=since_ms, excluded_ids=list(before))
        running = before | self._table.minutes_of(key.id)
        running.pop(session_id or "", None)
        return max(0, plan.included_minutes - ended - sum(running.values()))
