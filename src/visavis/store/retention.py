"""Deletes what was kept long enough, in parts: each is one short transaction.

SQLite overwrites what it deletes (`secure_delete`), and its log is emptied afterwards. PostgreSQL's autovacuum gives
the space of deleted rows to new ones.
"""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import delete, exists, select, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection

from visavis.store.database import Database
from visavis.store.models import (
    browser_tokens,
    idempotency,
    included_usage,
    session_answers,
    sessions,
    usage_entries,
)
from visavis.store.news import forget_news
from visavis.timestamps import start_of_month_ms

AT_ONCE = 200  # sessions in a transaction
ENTRIES_AT_ONCE = 1_000  # of the usage ledger


async def delete_traces(connection: AsyncConnection, session_ids: Sequence[str]) -> None:
    """Delete all that other tables say of these sessions: news with their deliveries, kept answers, tokens. Their
    entries in the usage ledger stay.
    """
    await forget_news(connection, *session_ids)
    about = session_answers.c.session_id.in_(session_ids)
    answers = select(session_answers.c.account_id, session_answers.c.idempotency_key).where(about)
    same = tuple_(idempotency.c.account_id, idempotency.c.idempotency_key).in_(answers)
    await connection.execute(delete(idempotency).where(same))
    await connection.execute(delete(session_answers).where(about))
    await connection.execute(delete(browser_tokens).where(browser_tokens.c.session_id.in_(session_ids)))


class RetentionStore:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def delete_sessions(self, *, ended_before_ms: int) -> list[str]:
        """Delete some of the sessions that ended before an instant, with their traces; return them. An empty list: none
        is left.
        """
        over = (sessions.c.status != "started", sessions.c.ended_at_ms < ended_before_ms)
        old = select(sessions.c.id).where(*over).limit(AT_ONCE)
        async with self._database.write() as connection:
            session_ids = list(await connection.scalars(old.with_for_update(skip_locked=True)))
            if session_ids:
                await connection.execute(delete(sessions).where(sessions.c.id.in_(session_ids)))
                await delete_traces(connection, session_ids)
        return session_ids

    async def forget_old_copies(self) -> None:
        """See `Database.forget_old_copies`."""
        await self._database.forget_old_copies()

    async def delete_usage(self, *, before_ms: int) -> int:
        """Delete some of the closed entries of the ledger that began before an instant, except those of sessions that
        run; return how many. The sums of months that were over before go, too.
        """
        entry = usage_entries.c
        running = exists().where(sessions.c.id == entry.session_id, sessions.c.status == "started")
        old = select(entry.session_id, entry.number).where(entry.began_at_ms < before_ms, entry.closed, ~running)
        async with self._database.write() as connection:
            found = (await connection.execute(old.limit(ENTRIES_AT_ONCE))).all()
            if found:
                same = tuple_(entry.session_id, entry.number).in_([tuple(row) for row in found])
                await connection.execute(delete(usage_entries).where(same))
            over = included_usage.c.month_ms < start_of_month_ms(before_ms)
            await connection.execute(delete(included_usage).where(over))
        return len(found)

    async def forget(self) -> None:
        """See `Database.forget`."""
        await self._database.forget()
