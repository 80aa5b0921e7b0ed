"""The answers to requests with an Idempotency-Key, kept for a day."""

from __future__ import annotations

from sqlalchemy import delete, insert, select, update
from sqlalchemy.exc import IntegrityError

from visavis.store.database import Database
from visavis.store.models import idempotency, session_answers
from visavis.store.records import IdempotencyRecord

KEPT_MS = 24 * 3600 * 1000


class IdempotencyStore:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def claim(
        self, *, account_id: str, idempotency_key: str, fingerprint: str, at_ms: int
    ) -> IdempotencyRecord | None:
        """Claim the key for a request. Returns None if this request has it now, otherwise the record of the first
        request, whose `status_code` is None until it is answered.
        """
        same_key = (idempotency.c.account_id == account_id, idempotency.c.idempotency_key == idempotency_key)
        async with self._database.write() as connection:
            await connection.execute(
                delete(idempotency).where(*same_key, idempotency.c.created_at_ms < at_ms - KEPT_MS)
            )
        while True:
            try:
                async with self._database.write() as connection:
                    await connection.execute(
                        insert(idempotency).values(
                            account_id=account_id,
                            idempotency_key=idempotency_key,
                            fingerprint=fingerprint,
                            created_at_ms=at_ms,
                        )
                    )
                return None
            except IntegrityError:
                earlier = await self.get(account_id=account_id, idempotency_key=idempotency_key)
                if earlier is not None:  # otherwise it was released in the meantime
                    return earlier

    async def get(self, *, account_id: str, idempotency_key: str) -> IdempotencyRecord | None:
        async with self._database.read() as connection:
            same_key = (idempotency.c.account_id == account_id, idempotency.c.idempotency_key == idempotency_key)
            row = (await connection.execute(select(idempotency).where(*same_key))).mappings().one_or_none()
        return None if row is None else IdempotencyRecord(**row)

    async def save_answer(
        self, *, account_id: str, idempotency_key: str, status_code: int, content_type: str, body: str
    ) -> None:
        async with self._database.write() as connection:
            await connection.execute(
                update(idempotency)
                .where(idempotency.c.account_id == account_id, idempotency.c.idempotency_key == idempotency_key)
                .values(status_code=status_code, content_type=content_type, body=body)
            )

    async def save_session(self, session_id: str, *, account_id: str, idempotency_key: str) -> None:
        """Save that a kept answer is about a session: it is deleted with it."""
        row = {"session_id": session_id, "account_id": account_id, "idempotency_key": idempotency_key}
        async with self._database.write() as connection:
            there = select(session_answers).filter_by(**row)
            if (await connection.execute(there)).first() is None:
                await connection.execute(insert(session_answers).values(**row))

    async def release(self, *, account_id: str, idempotency_key: str) -> None:
        """Release a claim: the request has no answer that should be repeated."""
        async with self._database.write() as connection:
            await connection.execute(
                delete(idempotency).where(
                    idempotency.c.account_id == account_id, idempotency.c.idempotency_key == idempotency_key
                )
            )

    async def delete_expired(self, *, at_ms: int) -> None:
        async with self._database.write() as connection:
            await connection.execute(delete(idempotency).where(idempotency.c.created_at_ms < at_ms - KEPT_MS))

    async def unanswered(self) -> set[tuple[str, str]]:
        """Return the claims, as account and key, of requests that have no answer yet."""
        async with self._database.read() as connection:
            unanswered = select(idempotency.c.account_id, idempotency.c.idempotency_key).where(
                idempotency.c.status_code.is_(None)
            )
            return {(row.account_id, row.idempotency_key) for row in await connection.execute(unanswered)}
