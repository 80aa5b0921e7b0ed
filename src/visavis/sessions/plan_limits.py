"""What an account's plan allows now: how many sessions may run, and how many minutes are left. docs/reference/rest.md,
"Plans and minutes".
"""

from __future__ import annotations

from dataclasses import dataclass

from visavis.errors import ConcurrencyLimitReached, InsufficientMinutes
from visavis.sessions.live_table import LiveTable
from visavis.store.minutes import Balance, MinuteStore
from visavis.store.records import KeyRecord
from visavis.timestamps import format_time_or_none, now_ms

HOLDERS_TOLD = 100  # of the sessions that hold an account's places
TEST_SESSION_MS = 60_000  # a session of a test key lasts no longer


@dataclass(frozen=True, slots=True, kw_only=True)
class CurrentUsage:
    """An account's sessions at the moment, and its limits. None means unlimited."""

    current: int
    maximum: int | None
    minutes_remaining: int | None


class PlanLimits:
    def __init__(self, *, minutes: MinuteStore, table: LiveTable) -> None:
        self._minutes, self._table = minutes, table

    async def check_minutes(self, key: KeyRecord) -> None:
        """Raises `InsufficientMinutes`."""
        _check_minutes(key, *await self._balance(key.account_id))

    async def check_start(self, key: KeyRecord, session_id: str | None = None) -> int | None:
        """Return how long this session may last if it starts now, in ms; None without limit. Raises
        `InsufficientMinutes` and `ConcurrencyLimitReached`.

        The caller must not await anything between this call and the one that counts the session as being started, or
        two starts could take the same place. Another request may have started the same session meanwhile: then nothing
        is refused.
        """
        balance, uncharged = await self._balance(key.account_id, session_id)
        if session_id is not None and self._table.is_live(session_id):
            return None
        _check_minutes(key, balance, uncharged)
        current, plan = self._table.count_of(key.account_id), balance.plan
        if plan.max_concurrency is not None and current >= plan.max_concurrency:
            raise self._refused_place(key.account_id, current=current, maximum=plan.max_concurrency)
        if key.test:
            return TEST_SESSION_MS
        return None if plan.max_session_minutes is None else plan.max_session_minutes * 60_000

    async def longest_ms(self, key: KeyRecord) -> int | None:
        """Return how long a session of this key may last; None without limit."""
        plan = (await self.balance_of(key)).plan
        if key.test:
            return TEST_SESSION_MS
        return None if plan.max_session_minutes is None else plan.max_session_minutes * 60_000

    def _refused_place(self, account_id: str, *, current: int, maximum: int) -> ConcurrencyLimitReached:
        """Return the error that tells who holds the places of the account."""
        places = self._table.places_of(account_id)
        releases_ms = [place.expiration_ms for place in places if place.expiration_ms is not None]
        return ConcurrencyLimitReached(
            current=current,
            maximum=maximum,
            holders=[
                {
                    "session_id": place.session_id,
                    "started_at": format_time_or_none(place.started_at_ms),
                    "viewers": place.viewers,
                    "channel": place.channel,
                }
                for place in places[:HOLDERS_TOLD]
            ],
            soonest_release=format_time_or_none(min(releases_ms, default=None)),
        )

    async def usage_of(self, key: KeyRecord) -> CurrentUsage:
        balance, uncharged = await self._balance(key.account_id)
        left = None if key.test else balance.left
        return CurrentUsage(
            current=self._table.count_of(key.account_id),
            maximum=balance.plan.max_concurrency,
            minutes_remaining=None if left is None else max(0, left - uncharged),
        )

    async def balance_of(self, key: KeyRecord) -> Balance:
        """Return the minutes of the key's account in this month."""
        return await self._minutes.balance(key.account_id, at_ms=now_ms())

    async def _balance(self, account_id: str, session_id: str | None = None) -> tuple[Balance, int]:
        """Return the account's minutes, and how many sessions are being started whose first minute is not charged yet,
        except this one. A session that starts while the database is read is counted once.
        """
        asked = self._table.uncharged_of(account_id)
        while True:
            balance = await self._minutes.balance(account_id, at_ms=now_ms(), sessions=asked)
            if (starting := self._table.uncharged_of(account_id)) <= asked:
                break
            asked |= starting
        current = self._table.current_of(account_id)
        return balance, len((asked & current) - balance.charged - {session_id})


def _check_minutes(key: KeyRecord, balance: Balance, uncharged: int) -> None:
    """Raises `InsufficientMinutes`. Sessions of a test key need no minutes."""
    if not key.test and balance.left is not None and balance.left - uncharged <= 0:
        raise InsufficientMinutes(total_remaining=0)
