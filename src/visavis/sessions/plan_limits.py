"""What an account's plan allows now: how many sessions may run, and how many minutes are left. docs/reference/rest.md,
"Plans and minutes".
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Set
from dataclasses import dataclass, replace
from functools import partial

import anyio

from visavis.errors import ConcurrencyLimitReached, InsufficientMinutes
from visavis.sessions.live_table import LiveTable
from visavis.store.minutes import Balance, MinuteStore
from visavis.store.places import Holder, Places, PlaceStore
from visavis.store.records import Owner, SessionRecord
from visavis.store.shared_reads import SharedRead
from visavis.timestamps import format_time_or_none, now_ms

HOLDERS_TOLD = 100  # of the sessions that hold an account's places
TEST_SESSION_MS = 60_000  # a session of a test key lasts no longer


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """A place that a session holds before it has started. `release` gives it back, and may fail: then it runs out."""

    record: SessionRecord
    max_duration_ms: int | None
    release: Callable[[], Awaitable[None]]


@dataclass(frozen=True, slots=True, kw_only=True)
class CurrentUsage:
    """An account's sessions at the moment, and its limits. None means unlimited."""

    current: int
    maximum: int | None
    minutes_remaining: int | None


class PlanLimits:
    """`claim_s`: how long a session may hold a place before it has started."""

    def __init__(self, *, places: PlaceStore, minutes: MinuteStore, table: LiveTable, claim_s: float) -> None:
        self._places, self._minutes, self._table = places, minutes, table
        self._claim_ms = int(claim_s * 1000)
        self._of_account = SharedRead(self._of_accounts)

    async def check_minutes(self, key: Owner) -> None:
        """Raises `InsufficientMinutes`."""
        _check_minutes((await self._now(key)).balance, key)

    async def check_start(self, key: Owner) -> None:
        """Refuse a session before anything is done for it. Raises `InsufficientMinutes`, `ConcurrencyLimitReached`."""
        self._check(await self._now(key), key)

    async def claim(self, key: Owner, record: SessionRecord) -> Claim | None:
        """Take a place and a minute for a session that this server starts now. Returns None if the session does not
        wait to be started any more, or another server starts it. Raises what `check_start` raises.
        """
        now, checked = now_ms(), []

        def check(places: Places) -> None:
            self._check(places, key)
            checked.append(places.balance.plan)

        claimed = await self._places.claim(
            record.id,
            record.account_id,
            at_ms=now,
            until_ms=now + self._claim_ms,
            ended=self._table.ended(),
            check=check,
        )
        if not claimed:
            return None
        (plan,) = checked
        lasts_ms = None if plan.max_session_minutes is None else plan.max_session_minutes * 60_000
        return Claim(
            record=replace(record, server_id=self._places.server_id),
            max_duration_ms=TEST_SESSION_MS if key.test else lasts_ms,
            release=partial(self._places.release, record.id),
        )

    async def longest_ms(self, key: Owner) -> int | None:
        """Return how long a session of this key may last; None without limit."""
        plan = (await self.balance_of(key)).plan
        if key.test:
            return TEST_SESSION_MS
        return None if plan.max_session_minutes is None else plan.max_session_minutes * 60_000

    def _check(self, places: Places, key: Owner) -> None:
        """Raises `InsufficientMinutes` and `ConcurrencyLimitReached`."""
        _check_minutes(places.balance, key)
        maximum = places.balance.plan.max_concurrency
        if maximum is not None and len(places.holders) >= maximum:
            raise self._refused_place(places.holders, maximum=maximum)

    def _refused_place(self, holders: list[Holder], *, maximum: int) -> ConcurrencyLimitReached:
        """Return the error that tells who holds the places of the account."""
        releases_ms = [holder.expiration_ms for holder in holders if holder.expiration_ms is not None]
        told: list[dict[str, object]] = []
        for holder in holders[:HOLDERS_TOLD]:
            seen = self._table.seen_of(holder.session_id)
            started_at = format_time_or_none(holder.started_at_ms)
            told.append({"session_id": holder.session_id, "started_at": started_at, **seen})
        return ConcurrencyLimitReached(
            current=len(holders),
            maximum=maximum,
            holders=told,
            soonest_release=format_time_or_none(min(releases_ms, default=None)),
        )

    async def usage_of(self, key: Owner) -> CurrentUsage:
        places = await self._now(key)
        balance = places.balance
        left = None if key.test else balance.left
        return CurrentUsage(
            current=len(places.holders),
            maximum=balance.plan.max_concurrency,
            minutes_remaining=None if left is None else max(0, left - balance.uncharged),
        )

    async def balance_of(self, key: Owner) -> Balance:
        """Return the minutes of the key's account in this month."""
        return await self._minutes.balance(key.account_id, at_ms=now_ms())

    async def _now(self, key: Owner) -> Places:
        places = await self._of_account.get(key.account_id)
        assert places is not None
        return places

    async def _of_accounts(self, account_ids: Set[str]) -> dict[str, Places]:
        found: dict[str, Places] = {}
        failures: list[Exception] = []

        async def read(account_id: str) -> None:
            try:
                found[account_id] = await self._places.of_account(account_id, at_ms=now_ms(), ended=self._table.ended())
            except Exception as error:  # noqa: BLE001 (raised below, without a group around it)
                failures.append(error)

        async with anyio.create_task_group() as tasks:
            for account_id in account_ids:
                tasks.start_soon(read, account_id)
        if failures:
            raise failures[0]
        return found


def _check_minutes(balance: Balance, key: Owner) -> None:
    """Raises `InsufficientMinutes`. Sessions of a test key need no minutes."""
    if not key.test and balance.left is not None and balance.left - balance.uncharged <= 0:
        raise InsufficientMinutes(total_remaining=0)
