"""Accounts, their API keys, plans and purchased minutes."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection
from dataclasses import replace

from visavis.accounts.keys import has_key_form, hash_key, new_key
from visavis.accounts.scopes import DEFAULT_SCOPES
from visavis.accounts.sources import is_allowed
from visavis.errors import AccountNotFound, ApiKeyRefused, KeyNotActive, KeyNotFound, PlanNotFound, SourceRefused
from visavis.ids import is_id, new_id
from visavis.store.accounts import AccountStore, PlanChanges
from visavis.store.audit import AuditRecord, AuditStore
from visavis.store.database import Database
from visavis.store.keys import KeyStore
from visavis.store.minutes import Balance, MinuteStore
from visavis.store.records import AccountRecord, KeyRecord, PlanRecord, PurchaseRecord
from visavis.timestamps import now_ms

KNOWN_FOR_S = 0.5  # a key that another process has revoked or changed goes on for so long, at most
MOST_KNOWN = 1_000
USE_SAVED_EVERY_MS = 60_000  # of a key: more uses in this time are not written
UNLIMITED = "unlimited"  # the plan of a new account; a migration has made it


class Accounts:
    def __init__(self, database: Database, *, clock_s: Callable[[], float] = time.monotonic) -> None:
        self.database = database
        self._clock_s = clock_s
        self._known: dict[str, tuple[KeyRecord, float]] = {}  # by hash: keys with when they were read
        self._keys, self._accounts, self._minutes = KeyStore(database), AccountStore(database), MinuteStore(database)
        self._audit = AuditStore(database)
        self._uses: dict[str, int] = {}  # by key, since the last `save_uses`: when it was used last (unix ms)

    async def create(
        self,
        *,
        name: str,
        test: bool = False,
        account_id: str | None = None,
        scopes: Collection[str] = DEFAULT_SCOPES,
        sources: Collection[str] = (),
        lasts_ms: int | None = None,
    ) -> tuple[KeyRecord, str]:
        """Create a key; return its record and the key itself, which is not stored and cannot be shown again. Without
        `account_id` it gets an account of its own. `sources`: the networks from which it may be used, as `parse_source`
        returns them; without any, from everywhere. `lasts_ms`: when it expires, from now on. Raises `AccountNotFound`.
        """
        key, now, account = new_key(test=test), now_ms(), None
        if account_id is None:
            account = AccountRecord(id=new_id("acct"), name=name, plan_key=UNLIMITED, created_at_ms=now)
            account_id = account.id
        else:
            await self.find(account_id)
        record = KeyRecord(
            id=new_id("key"),
            account_id=account_id,
            name=name,
            hash=hash_key(key),
            start=key[:12],
            test=test,
            created_at_ms=now,
            last_used_at_ms=None,
            revoked_at_ms=None,
            scopes=[str(scope) for scope in scopes],
            sources=list(sources),
            expires_at_ms=None if lasts_ms is None else now + lasts_ms,
        )
        await self._keys.add(record, account=account)
        return record, key

    async def create_first(self) -> tuple[KeyRecord, str] | None:
        """Create the first key of a new server; return its record and the key. Returns None if any key exists, even a
        revoked one.
        """
        return None if await self.any_exists() else await self.create(name="first key")

    async def any_exists(self) -> bool:
        """Return whether a key was ever made."""
        return await self._keys.any_exists()

    async def authenticate(self, key: str | None, *, address: str = "unknown") -> KeyRecord:
        """Return the record of a key that was sent from this address. Raises `ApiKeyRefused` and `SourceRefused`. A key
        that this process revokes stops at once, and one that another process revokes after KNOWN_FOR_S.
        """
        if not key:
            raise ApiKeyRefused("API key required")
        record = await self._by_hash(hash_key(key)) if has_key_form(key) else None
        if record is None:
            raise ApiKeyRefused("Invalid API key")
        self.check_usable(record, address=address)
        return record

    async def _by_hash(self, key_hash: str) -> KeyRecord | None:
        now_s = self._clock_s()
        record, read_at_s = self._known.get(key_hash, (None, 0.0))
        if record is not None and now_s - read_at_s < KNOWN_FOR_S:
            return record
        record = await self._keys.by_hash(key_hash)
        if record is not None:
            if len(self._known) >= MOST_KNOWN:
                self._known.clear()
            self._known[key_hash] = (record, now_s)
        return record

    def is_active(self, record: KeyRecord) -> bool:
        """Return whether a key was not revoked and has not expired."""
        return record.revoked_at_ms is None and not _has_expired(record, now_ms=now_ms())

    def check_usable(self, record: KeyRecord, *, address: str) -> None:
        """Raises `ApiKeyRefused` and `SourceRefused` unless the key can be used from this address now; otherwise notes
        that it is used.
        """
        if record.revoked_at_ms is not None:
            raise ApiKeyRefused("API key has been deactivated")
        if _has_expired(record, now_ms=now_ms()):
            raise ApiKeyRefused("API key has expired")
        if record.sources and not is_allowed(address, record.sources):
            raise SourceRefused
        now = now_ms()
        if record.last_used_at_ms is None or now - record.last_used_at_ms >= USE_SAVED_EVERY_MS:
            self._uses[record.id] = now

    async def rotate(self, key_id: str, *, overlap_ms: int) -> tuple[KeyRecord, str]:
        """Replace a key: create one with the same account, kind, scopes, sources and lifetime, and let the old one
        expire after the overlap. Returns what `create` returns. Sessions that the old key has created go on.

        Raises `KeyNotFound`, and `KeyNotActive` for a key that was revoked or has expired.
        """
        old = await self.find_key(key_id)
        key, now = new_key(test=old.test), now_ms()
        ends_at_ms = now + overlap_ms
        record = replace(
            old,
            id=new_id("key"),
            hash=hash_key(key),
            start=key[:12],
            created_at_ms=now,
            last_used_at_ms=None,
            expires_at_ms=None if old.expires_at_ms is None else now + (old.expires_at_ms - old.created_at_ms),
        )
        if old.expires_at_ms is not None:
            ends_at_ms = min(ends_at_ms, old.expires_at_ms)
        replaced = not _has_expired(old, now_ms=now) and await self._keys.replace(old, record, ends_at_ms=ends_at_ms)
        self._known.clear()
        if not replaced:
            raise KeyNotActive("This key was revoked or has expired", suggestion="Create a new key")
        return record, key

    async def save_uses(self) -> None:
        """Save when keys were last used, of each key at most once a minute. No request waits for it: it must work while
        the database cannot be written.
        """
        uses, self._uses = self._uses, {}
        self._known.clear()  # they have earlier last uses
        try:
            await self._keys.touch(uses)
        except BaseException:
            self._uses = uses | self._uses
            raise

    async def get(self, key_id: str) -> KeyRecord | None:
        return await self._keys.get(key_id)

    async def find_key(self, key_id: str) -> KeyRecord:
        """Raises `KeyNotFound`."""
        found = await self._keys.get(key_id) if is_id("key", key_id) else None
        if found is None:
            raise KeyNotFound(f"There is no key {key_id!r}", suggestion="`visavis keys list` prints the ids")
        return found

    async def keys_page(self, *, account_id: str | None, before_id: str | None, limit: int) -> list[KeyRecord]:
        """Return keys of an account, or of all, newest first."""
        return await self._keys.page(account_id=account_id, before_id=before_id, limit=limit)

    async def all(self) -> list[KeyRecord]:
        return await self._keys.all()

    async def revoked_ids(self) -> frozenset[str]:
        return await self._keys.revoked_ids()

    async def is_revoked(self, key_id: str) -> bool:
        return await self._keys.is_revoked(key_id)

    async def revoke(self, key_id: str) -> bool:
        """Revoke a key; return whether it exists."""
        exists = await self._keys.revoke(key_id, at_ms=now_ms())
        self._known.clear()  # also what was read while it was being revoked
        return exists

    # Accounts and plans

    async def accounts(self) -> list[AccountRecord]:
        """Return the accounts, oldest first."""
        return await self._accounts.all()

    async def find(self, account_id: str) -> AccountRecord:
        """Raises `AccountNotFound`."""
        found = await self._accounts.get(account_id) if is_id("acct", account_id) else None
        if found is None:
            raise AccountNotFound(
                f"There is no account {account_id!r}", suggestion="`visavis accounts list` prints the ids"
            )
        return found

    async def page(self, *, before_id: str | None, limit: int) -> list[AccountRecord]:
        """Return accounts, newest first."""
        return await self._accounts.page(before_id=before_id, limit=limit)

    async def names(self, account_ids: Collection[str]) -> dict[str, str]:
        """Return the names of these accounts, by id."""
        return await self._accounts.names(account_ids)

    async def plans(self) -> list[PlanRecord]:
        """Return the plans, sorted by key."""
        return await self._accounts.plans()

    async def set_plan(self, plan_key: str, changes: PlanChanges) -> PlanRecord:
        """Change a plan or make one. It holds at once for every account that is on it."""
        return await self._accounts.set_plan(plan_key, changes)

    async def assign_plan(self, account_id: str, plan_key: str) -> None:
        """Put an account on a plan. Raises `AccountNotFound` and `PlanNotFound`."""
        await self.find(account_id)
        if all(plan.key != plan_key for plan in await self._accounts.plans()):
            raise PlanNotFound(f"There is no plan {plan_key!r}", suggestion="`visavis plans list` prints the plans")
        await self._accounts.assign_plan(account_id, plan_key)

    async def credit(self, account_id: str, minutes: int) -> PurchaseRecord:
        """Add purchased minutes, which are used when those of the plan are. Raises `AccountNotFound`."""
        await self.find(account_id)
        purchase = PurchaseRecord(
            id=new_id("purc"), account_id=account_id, minutes=minutes, used_minutes=0, created_at_ms=now_ms()
        )
        await self._minutes.add_purchase(purchase)
        return purchase

    async def purchases(self, account_id: str) -> list[PurchaseRecord]:
        """Return the purchases of an account, oldest first. Raises `AccountNotFound`."""
        await self.find(account_id)
        return await self._minutes.purchases_of(account_id)

    async def balance(self, account_id: str) -> Balance:
        """Return the minutes of an account in this month. Raises `AccountNotFound`."""
        await self.find(account_id)
        return await self._minutes.balance(account_id, at_ms=now_ms())

    async def audit(
        self,
        *,
        account_id: str | None = None,
        subject_id: str | None = None,
        actor_id: str | None = None,
        before_id: str | None = None,
        limit: int,
    ) -> list[AuditRecord]:
        """See `AuditStore.newest`."""
        return await self._audit.newest(
            account_id=account_id, subject_id=subject_id, actor_id=actor_id, before_id=before_id, limit=limit
        )


def _has_expired(record: KeyRecord, *, now_ms: int) -> bool:
    return record.expires_at_ms is not None and record.expires_at_ms <= now_ms
