"""Sign-ins: an operator's browser that works with a key. One begins with a code or with the key itself, and then has a
token. Codes and tokens are random and stored as hashes. A row goes when its sign-in is over.
"""

from __future__ import annotations

from dataclasses import asdict

from sqlalchemy import and_, delete, insert, or_, select, update

from visavis.store.database import Database
from visavis.store.models import sign_ins
from visavis.store.records import SignInRecord


class SignInStore:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, record: SignInRecord) -> None:
        async with self._database.write() as connection:
            await connection.execute(insert(sign_ins).values(**asdict(record)))

    async def by_code(self, code_hash: str) -> SignInRecord | None:
        return await self._one(sign_ins.c.code_hash == code_hash)

    async def by_token(self, token_hash: str) -> SignInRecord | None:
        return await self._one(sign_ins.c.token_hash == token_hash)

    async def _one(self, condition: object) -> SignInRecord | None:
        async with self._database.read() as connection:
            row = (await connection.execute(select(sign_ins).where(condition))).mappings().first()  # type: ignore[arg-type]
        return None if row is None else SignInRecord(**row)

    async def begin(self, sign_in_id: str, *, token_hash: str, at_ms: int, expires_at_ms: int) -> bool:
        """Use the code of a sign-in. Returns False, and changes nothing, if it was used before or has expired."""
        unused = and_(sign_ins.c.token_hash.is_(None), sign_ins.c.code_expires_at_ms > at_ms)
        async with self._database.write() as connection:
            begun = await connection.execute(
                update(sign_ins)
                .where(sign_ins.c.id == sign_in_id, unused)
                .values(token_hash=token_hash, expires_at_ms=expires_at_ms)
            )
            return begun.rowcount == 1

    async def remove(self, token_hash: str) -> None:
        async with self._database.write() as connection:
            await connection.execute(delete(sign_ins).where(sign_ins.c.token_hash == token_hash))

    async def remove_expired(self, *, at_ms: int) -> None:
        """Remove the sign-ins that have expired, and the codes that nobody has used in time."""
        unused = and_(sign_ins.c.token_hash.is_(None), sign_ins.c.code_expires_at_ms <= at_ms)
        async with self._database.write() as connection:
            await connection.execute(delete(sign_ins).where(or_(unused, sign_ins.c.expires_at_ms <= at_ms)))
