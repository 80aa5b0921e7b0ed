"""API keys and their plans: creates, authenticates and revokes keys."""

from __future__ import annotations

from visavis.accounts.keys import has_key_form, hash_key, new_key
from visavis.errors import ApiKeyRefused
from visavis.ids import new_id
from visavis.store.keys import KeyStore
from visavis.store.records import KeyRecord, PlanRecord
from visavis.timestamps import now_ms


class Accounts:
    def __init__(self, store: KeyStore) -> None:
        self._store = store
        self._uses: dict[str, int] = {}  # by key, since the last `save_uses`: when it was used last (unix ms)

    async def create(self, *, name: str, test: bool = False) -> tuple[KeyRecord, str]:
        """Create a key; return its record and the key itself, which is not stored and cannot be shown again."""
        key = new_key(test=test)
        record = KeyRecord(
            id=new_id("key"),
            name=name,
            hash=hash_key(key),
            start=key[:12],
            test=test,
            plan_key="unlimited",
            created_at_ms=now_ms(),
            last_used_at_ms=None,
            revoked_at_ms=None,
        )
        await self._store.add(record)
        return record, key

    async def create_first(self) -> str | None:
        """Create and return the first key of a new server. Returns None if any key exists, even a revoked one."""
        if await self.any_exists():
            return None
        _, key = await self.create(name="first key")
        return key

    async def any_exists(self) -> bool:
        """Return whether a key was ever made."""
        return await self._store.any_exists()

    async def authenticate(self, key: str | None) -> KeyRecord:
        """Return the key's record. Raises `ApiKeyRefused`. Every call reads the database, so that revoking a key takes
        effect at once.
        """
        if not key:
            raise ApiKeyRefused("API key required")
        record = await self._store.by_hash(hash_key(key)) if has_key_form(key) else None
        if record is None:
            raise ApiKeyRefused("Invalid API key")
        if record.revoked_at_ms is not None:
            raise ApiKeyRefused("API key has been deactivated")
        self._uses[record.id] = now_ms()
        return record

    async def save_uses(self) -> None:
        """Save when keys were last used. No request waits for it: it must work while the database cannot be written."""
        uses, self._uses = self._uses, {}
        try:
            await self._store.touch(uses)
        except BaseException:
            self._uses = uses | self._uses
            raise

    async def plan_of(self, key: KeyRecord) -> PlanRecord:
        return await self._store.plan(key.plan_key)

    async def all(self) -> list[KeyRecord]:
        return await self._store.all()

    async def revoked_ids(self) -> frozenset[str]:
        return await self._store.revoked_ids()

    async def is_revoked(self, key_id: str) -> bool:
        return await self._store.is_revoked(key_id)

    async def revoke(self, key_id: str) -> bool:
        """Revoke a key; return whether it exists."""
        return await self._store.revoke(key_id, at_ms=now_ms())
