"""Avatars: characters, and the looks that perform."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence, Set
from dataclasses import asdict, replace

from sqlalchemy import ColumnElement, delete, exists, func, insert, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from visavis.store.audit import note_change
from visavis.store.avatar_news import avatar_ready
from visavis.store.database import Database
from visavis.store.locks import lock_account, lock_avatar
from visavis.store.models import avatars, sessions
from visavis.store.news import forget_news, write_news
from visavis.store.places import is_starting
from visavis.store.records import AvatarRecord, KeyRecord
from visavis.store.shared_reads import SharedRead

AT_ONCE = 500  # ids in a question


async def _count_looks(connection: AsyncConnection, account_id: str) -> int:
    query = select(func.count()).where(
        avatars.c.owner_account_id == account_id, avatars.c.parent_id.is_not(None), avatars.c.deleted_at_ms.is_(None)
    )
    return int((await connection.execute(query)).scalar_one())


class AvatarStore:
    def __init__(self, database: Database) -> None:
        self._database = database
        self._by_id = SharedRead(self._by_ids)

    async def count_looks(self, account_id: str) -> int:
        """Return how many looks the account owns."""
        async with self._database.read() as connection:
            return await _count_looks(connection, account_id)

    async def remove(self, ids: Sequence[str]) -> None:
        """Remove rows to which no other row refers yet, looks before their character."""
        async with self._database.write() as connection:
            for avatar_id in ids:
                await connection.execute(delete(avatars).where(avatars.c.id == avatar_id))
                await forget_news(connection, avatar_id)

    async def add(
        self,
        records: Sequence[AvatarRecord],
        *,
        check: Callable[[int], None] | None = None,
        owner: KeyRecord | None = None,
    ) -> None:
        """Add a character and its looks together, the character first. `check` is given the number of looks that their
        owner has before; if it raises, nothing is added. `owner`: the key that adds them; its webhooks are told.
        """
        async with self._database.write() as connection:
            owner_account_id = records[0].owner_account_id
            if check is not None and owner_account_id is not None:
                await lock_account(connection, owner_account_id)
                check(await _count_looks(connection, owner_account_id))
            for record in records:
                await connection.execute(insert(avatars).values(**asdict(record)))
            if owner is not None:
                looks = [record for record in records if record.parent_id is not None]
                await write_news(connection, *(avatar_ready(owner, look) for look in looks))

    async def get(self, avatar_id: str) -> AvatarRecord | None:
        """Return the avatar, unless it was deleted."""
        return await self._by_id.get(avatar_id)

    async def _by_ids(self, ids: Set[str]) -> dict[str, AvatarRecord]:
        rows = await self._database.rows_by(avatars.c.id, ids)
        return {row["id"]: AvatarRecord(**row) for row in rows if row["deleted_at_ms"] is None}

    async def looks_of(self, character_ids: Sequence[str]) -> list[AvatarRecord]:
        """Return the looks of these characters, newest first."""
        if not character_ids:
            return []
        return await self._many(avatars.c.parent_id.in_(character_ids), avatars.c.deleted_at_ms.is_(None), limit=None)

    async def visible(
        self,
        account_id: str,
        *,
        own: bool = True,
        public: bool = True,
        parent_id: str | None = None,
        level: str = "any",
        limit: int | None = None,
    ) -> list[AvatarRecord]:
        """Return the avatars that an account may use, newest first: its `own` and the `public` ones. `level`: any,
        characters or looks.
        """
        owners = [
            condition
            for wanted, condition in ((own, avatars.c.owner_account_id == account_id), (public, avatars.c.is_public))
            if wanted
        ]
        conditions: list[ColumnElement[bool]] = [or_(*owners), avatars.c.deleted_at_ms.is_(None)]
        if parent_id is not None:
            conditions.append(avatars.c.parent_id == parent_id)
        if level == "characters":
            conditions.append(avatars.c.parent_id.is_(None))
        elif level == "looks":
            conditions.append(avatars.c.parent_id.is_not(None))
        return await self._many(*conditions, limit=limit)

    async def page(self, *, account_id: str | None, before_id: str | None, limit: int) -> list[AvatarRecord]:
        """Return at most so many looks of an account, or of all and of the library, newest first; only those before one
        in that order.
        """
        query = select(avatars).where(avatars.c.parent_id.is_not(None), avatars.c.deleted_at_ms.is_(None))
        if account_id is not None:
            query = query.where(avatars.c.owner_account_id == account_id)
        if before_id is not None:
            query = query.where(avatars.c.id < before_id)
        async with self._database.read() as connection:
            rows = (await connection.execute(query.order_by(avatars.c.id.desc()).limit(limit))).mappings().all()
        return [AvatarRecord(**row) for row in rows]

    async def public_among(self, ids: Collection[str]) -> frozenset[str]:
        """Return those of the avatars that are public."""
        if not ids:
            return frozenset()
        query = select(avatars.c.id).where(avatars.c.id.in_(ids), avatars.c.is_public)
        async with self._database.read() as connection:
            return frozenset(await connection.scalars(query))

    async def of_library(self) -> list[AvatarRecord]:
        return await self._many(avatars.c.library_name.is_not(None), avatars.c.deleted_at_ms.is_(None), limit=None)

    async def set_digest(self, avatar_id: str, digest: str, *, at_ms: int) -> None:
        async with self._database.write() as connection:
            await connection.execute(
                update(avatars).where(avatars.c.id == avatar_id).values(digest=digest, updated_at_ms=at_ms)
            )

    async def set_replaced(self, look: AvatarRecord, *, at_ms: int, owner: KeyRecord) -> AvatarRecord | None:
        """Save that a look was made anew from another photo, and tell the webhooks of its owner. Returns None if it was
        deleted meanwhile.
        """
        replaced = replace(look, updated_at_ms=at_ms, photo_removed_at_ms=None)
        family = avatars.c.id.in_([look.id, look.parent_id or look.id])
        async with self._database.write() as connection:
            there = (avatars.c.id == look.id, avatars.c.deleted_at_ms.is_(None))
            changed = update(avatars).where(*there).values(photo_removed_at_ms=None)
            if (await connection.execute(changed)).rowcount != 1:
                return None
            await connection.execute(update(avatars).where(family).values(updated_at_ms=at_ms))
            await write_news(connection, avatar_ready(owner, replaced))
        return replaced

    async def delete(self, avatar_id: str, *, at_ms: int) -> None:
        """Delete the avatar and its looks. Deleting the last look of a character also deletes the character."""
        async with self._database.write() as connection:
            query = select(avatars.c.parent_id, avatars.c.owner_account_id).where(avatars.c.id == avatar_id)
            parent_id, owner_id = (await connection.execute(query)).one_or_none() or (None, None)
            await note_change(connection, "avatar.deleted", avatar_id, account_id=owner_id)
            family = or_(avatars.c.id == avatar_id, avatars.c.parent_id == avatar_id)
            if parent_id is not None:
                await lock_avatar(connection, parent_id)
            await connection.execute(
                update(avatars).where(family, avatars.c.deleted_at_ms.is_(None)).values(deleted_at_ms=at_ms)
            )
            if parent_id is not None:
                left = (
                    select(func.count())
                    .select_from(avatars)
                    .where(avatars.c.parent_id == parent_id, avatars.c.deleted_at_ms.is_(None))
                )
                if (await connection.execute(left)).scalar_one() == 0:
                    await connection.execute(
                        update(avatars).where(avatars.c.id == parent_id).values(deleted_at_ms=at_ms)
                    )

    async def to_purge(self, *, at_ms: int) -> list[AvatarRecord]:
        """Return the deleted avatars whose files still exist and that no session uses, running or starting."""
        used = or_(sessions.c.status == "started", is_starting(at_ms))
        live = exists().where(sessions.c.avatar_id == avatars.c.id, used)
        return await self._many(
            avatars.c.deleted_at_ms.is_not(None), avatars.c.purged_at_ms.is_(None), ~live, limit=None
        )

    async def set_purged(self, avatar_id: str, *, at_ms: int) -> None:
        async with self._database.write() as connection:
            await connection.execute(update(avatars).where(avatars.c.id == avatar_id).values(purged_at_ms=at_ms))

    async def purged_among(self, ids: Collection[str]) -> list[str]:
        """Return those of the avatars whose files were removed."""
        return await self._among(ids, avatars.c.purged_at_ms.is_not(None))

    async def _among(self, ids: Collection[str], condition: ColumnElement[bool]) -> list[str]:
        found: list[str] = []
        for first in range(0, len(ids), AT_ONCE):
            query = select(avatars.c.id).where(avatars.c.id.in_(list(ids)[first : first + AT_ONCE]), condition)
            async with self._database.read() as connection:
                found += await connection.scalars(query)
        return found

    async def with_photo(self, *, made_before_ms: int) -> list[str]:
        """Return some of the looks of accounts that were made before an instant and have their photo; an empty list if
        there are none left.
        """
        query = select(avatars.c.id).where(
            avatars.c.owner_account_id.is_not(None),
            avatars.c.parent_id.is_not(None),
            avatars.c.photo_removed_at_ms.is_(None),
            avatars.c.purged_at_ms.is_(None),
            avatars.c.updated_at_ms < made_before_ms,
        )
        async with self._database.read() as connection:
            return list(await connection.scalars(query.limit(AT_ONCE)))

    async def set_photo_removed(self, look_id: str, *, at_ms: int) -> None:
        async with self._database.write() as connection:
            await connection.execute(update(avatars).where(avatars.c.id == look_id).values(photo_removed_at_ms=at_ms))

    async def without_photo_among(self, ids: Collection[str]) -> list[str]:
        """Return those of the looks whose photo was removed."""
        return await self._among(ids, avatars.c.photo_removed_at_ms.is_not(None))

    async def _many(self, *conditions: ColumnElement[bool], limit: int | None) -> list[AvatarRecord]:
        query = select(avatars).where(*conditions).order_by(avatars.c.created_at_ms.desc(), avatars.c.id.desc())
        if limit is not None:
            query = query.limit(limit)
        async with self._database.read() as connection:
            rows = (await connection.execute(query)).mappings().all()
        return [AvatarRecord(**row) for row in rows]
