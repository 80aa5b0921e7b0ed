"""What sessions are billed, as the usage ledger has it; and the usage of an account."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from visavis.sessions.live_table import LiveTable
from visavis.sessions.metering import billed_minutes
from visavis.sessions.plan_limits import CurrentUsage, PlanLimits
from visavis.store.minutes import Balance
from visavis.store.records import AnySession, Owner, SessionRecord
from visavis.store.sessions import SessionStore
from visavis.store.usage import SessionUsage, UsageStore
from visavis.timestamps import end_of_month_ms, now_ms, start_of_month_ms, whole_seconds_between


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionBill:
    """The minutes of an ended session, by where they came from. Sessions of test keys are free. `seconds`: from its
    start to its end; `seen_s`: from the first frame that a viewer got to the last.
    """

    included_minutes: int = 0
    purchased_minutes: int = 0
    seconds: int = 0
    seen_s: int = 0

    @property
    def minutes(self) -> int:
        return self.included_minutes + self.purchased_minutes


@dataclass(frozen=True, slots=True, kw_only=True)
class ActiveSession:
    """A session that runs now, with its minutes so far."""

    session: SessionRecord
    minutes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountUsage:
    """The usage of an account in the month from `month_ms` to `month_end_ms` (UTC)."""

    month_ms: int
    month_end_ms: int
    balance: Balance
    active: list[ActiveSession]
    current: CurrentUsage


class Billing:
    def __init__(self, *, store: SessionStore, usage: UsageStore, limits: PlanLimits, table: LiveTable) -> None:
        self._store, self._usage, self._limits, self._table = store, usage, limits, table

    async def bills_of(self, records: Sequence[AnySession]) -> dict[str, SessionBill]:
        """Return the bills of those of the sessions that have ended, by session.

        While the end of a session cannot be written, the ledger may lack its last minutes: they are taken as included.
        """
        ended = [record for record in records if record.ended_at_ms is not None]
        known = await self._usage.of_sessions([record.id for record in ended])
        bills = {}
        for record in ended:
            ledger = known.get(record.id)
            purchased = 0 if ledger is None else ledger.purchased_minutes
            if ledger is not None and ledger.closed:
                included = ledger.included_minutes
            else:
                included = max(0, self._minutes_of(record) - purchased)
            started_at_ms = record.started_at_ms
            bills[record.id] = SessionBill(
                included_minutes=included,
                purchased_minutes=purchased,
                seconds=0
                if started_at_ms is None
                else whole_seconds_between(started_at_ms, self._table.until_ms(record)),
                seen_s=0 if ledger is None else ledger.seen_s,
            )
        return bills

    async def ledger_of(self, session_ids: Collection[str]) -> dict[str, SessionUsage]:
        """Return what the usage ledger says of those of the sessions that it knows; of a session that runs, to within a
        second.
        """
        return await self._usage.of_sessions(session_ids)

    async def usage_of(self, key: Owner) -> AccountUsage:
        """Return the usage of the key's account in this month."""
        now = now_ms()
        found = await self._store.lists.newest(key.account_id, statuses=("started",), limit=None)
        running = [one for one in map(self._table.current_record, found) if one.ended_at_ms is None]
        return AccountUsage(
            month_ms=start_of_month_ms(now),
            month_end_ms=end_of_month_ms(now),
            balance=await self._limits.balance_of(key),
            active=[ActiveSession(session=one, minutes=self._minutes_of(one)) for one in running],
            current=await self._limits.usage_of(key),
        )

    def _minutes_of(self, record: AnySession) -> int:
        """Return the minutes of a session until its end or until now."""
        if record.test:
            return 0
        return billed_minutes(started_at_ms=record.started_at_ms, until_ms=self._table.until_ms(record))
