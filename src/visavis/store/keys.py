"""API keys."""

from __future__ import annotations

from collections.abc import Mapping, Set
from dataclasses import asdict

from sqlalchemy import insert, select, update

from visavis.store.audit import note_change
from visavis.store.database import Database
from visavis.store.models import accounts, keys
from visavis.store.records import AccountRecord, KeyRecord
from visavis.store.shared_reads import SharedRead

# Asked for often: a statement that is built once keeps what SQLAlchemy makes of it.
_REVOKED = select(keys.c.id).where(keys.c.revoked_at_ms.is_not(None))


class KeyStore:
    def __init__(self, database: Database) -> None:
        self._database = database
        self._by_hash = SharedRead(self._by_hashes)

    async def add(self, record: KeyRecord, *, account: AccountRecord | None = None) -> None:
        """Add a key. `account`: its account, if that is new too."""
        async with self._database.write() as connection:
            if account is not None:
                await connection.execute(insert(accounts).values(**asdict(account)))
            await connection.execute(insert(keys).values(**asdict(record)))
            await note_change(connection, "key.created", record.id, account_id=record.account_id, name=record.name)

    async def by_hash(self, key_hash: str) -> KeyRecord | None:
        return await self._by_hash.get(key_hash)

    async def _by_hashes(self, hashes: Set[str]) -> dict[str, KeyRecord]:
        rows = await self._database.rows_by(keys.c.hash, hashes)
        return {row["hash"]: KeyRecord(**row) for row in rows}

    async def get(self, key_id: str) -> KeyRecord | None:
        async with self._database.read() as connection:
            row = (await connection.execute(select(keys).where(keys.c.id == key_id))).mappings().first()
        return None if row is None else KeyRecord(**row)

    async def replace(self, old: KeyRecord, new: KeyRecord, *, ends_at_ms: int) -> bool:
        """Add the new key and let the old one expire. Returns False, and changes nothing, if the old one was revoked or
        replaced meanwhile.
        """
        async with self._database.write() as connection:
            unchanged = (keys.c.revoked_at_ms.is_(None), keys.c.expires_at_ms.is_not_distinct_from(old.expires_at_ms))
            expiring = update(keys).where(keys.c.id == old.id, *unchanged).values(expires_at_ms=ends_at_ms)
            if (await connection.execute(expiring)).rowcount != 1:
                return False
            await connection.execute(insert(keys).values(**asdict(new)))
            await note_change(connection, "key.rotated", old.id, account_id=old.account_id, new_key_id=new.id)
        return True

    async def all(self) -> list[KeyRecord]:
        async with self._database.read() as connection:
            rows = (await connection.execute(select(keys).order_by(keys.c.created_at_ms, keys.c.id))).mappings().all()
        return [KeyRecord(**row) for row in rows]

    async def page(self, *, account_id: str | None, before_id: str | None, limit: int) -> list[KeyRecord]:
        """Return at most so many keys of an account, or of all, newest first; only those before one in that order."""
        query = select(keys).order_by(keys.c.id.desc()).limit(limit)
        if account_id is not None:
            query = query.where(keys.c.account_id == account_id)
        if before_id is not None:
            query = query.where(keys.c.id < before_id)
        async with self._database.read() as connection:
            rows = (await connection.execute(query)).mappings().all()
        return [KeyRecord(**row) for row in rows]

    async def any_exists(self) -> bool:
        async with self._database.read() as connection:
            return (await connection.execute(select(keys.c.id).limit(1))).first() is not None

    async def revoked_ids(self) -> frozenset[str]:
        async with self._database.read() as connection:
            return frozenset(await connection.scalars(_REVOKED))

    async def is_revoked(self, key_id: str) -> bool:
        async with self._database.read() as connection:
            query = select(keys.c.id).where(keys.c.id == key_id, keys.c.revoked_at_ms.is_not(None))
            return (await connection.execute(query)).first() is not None

    async def revoke(self, key_id: str, *, at_ms: int) -> bool:
        """Revoke a key; return whether it exists. A second call does not change the time of the first."""
        async with self._database.write() as connection:
            revoked = await connection.execute(
                update(keys).where(keys.c.id == key_id, keys.c.revoked_at_ms.is_(None)).values(revoked_at_ms=at_ms)
            )
            owner = select(keys.c.account_id).where(keys.c.id == key_id)
            account_id = (await connection.execute(owner)).scalar_one_or_none()
            if revoked.rowcount == 1:
                await note_change(connection, "key.revoked", key_id, account_id=account_id)
            return account_id is not None

    async def touch(self, uses: Mapping[str, int]) -> None:
        """Save when each of these keys was used last, in unix milliseconds."""
        if not uses:
            return
        async with self._database.write() as connection:
            for key_id, at_ms in uses.items():
                await connection.execute(update(keys).where(keys.c.id == key_id).values(last_used_at_ms=at_ms))
