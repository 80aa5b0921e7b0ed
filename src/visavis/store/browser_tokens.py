"""Browser tokens. They are random and stored as hashes; a row stays for a while after its token has expired."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import asdict

from sqlalchemy import delete, insert, select, update

from visavis.store.database import Database
from visavis.store.models import browser_tokens
from visavis.store.records import BrowserTokenRecord

MOST_VIEWERS = 64  # of a token: older ones have left long since


class BrowserTokenStore:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, record: BrowserTokenRecord) -> None:
        async with self._database.write() as connection:
            await connection.execute(insert(browser_tokens).values(**asdict(record)))

    async def by_hash(self, token_hash: str) -> BrowserTokenRecord | None:
        query = select(browser_tokens).where(browser_tokens.c.hash == token_hash)
        async with self._database.read() as connection:
            row = (await connection.execute(query)).mappings().first()
        return None if row is None else BrowserTokenRecord(**row)

    async def note_use(self, token_id: str, *, at_ms: int, viewer_id: str | None = None) -> None:
        """Save when a token was first used, and whom it has let into the room: the last MOST_VIEWERS."""
        same = browser_tokens.c.id == token_id
        query = select(browser_tokens.c.used_at_ms, browser_tokens.c.viewers).where(same).with_for_update()
        async with self._database.write() as connection:
            row = (await connection.execute(query)).first()
            if row is None:
                return
            viewers = row.viewers if viewer_id is None else [*row.viewers, viewer_id][-MOST_VIEWERS:]
            used_at_ms = at_ms if row.used_at_ms is None else row.used_at_ms
            await connection.execute(update(browser_tokens).where(same).values(used_at_ms=used_at_ms, viewers=viewers))

    async def revoke(self, session_id: str, token_id: str, *, at_ms: int) -> bool:
        """Revoke a token; return whether the session has it. A second time changes nothing."""
        same = (browser_tokens.c.id == token_id, browser_tokens.c.session_id == session_id)
        async with self._database.write() as connection:
            await connection.execute(
                update(browser_tokens)
                .where(*same, browser_tokens.c.revoked_at_ms.is_(None))
                .values(revoked_at_ms=at_ms)
            )
            return (await connection.execute(select(browser_tokens.c.id).where(*same))).first() is not None

    async def revoked_of(self, session_ids: Collection[str]) -> list[BrowserTokenRecord]:
        """Return the revoked tokens of these sessions."""
        query = select(browser_tokens).where(
            browser_tokens.c.session_id.in_(session_ids), browser_tokens.c.revoked_at_ms.is_not(None)
        )
        async with self._database.read() as connection:
            rows = (await connection.execute(query)).mappings().all()
        return [BrowserTokenRecord(**row) for row in rows]

    async def remove_of(self, session_id: str) -> None:
        async with self._database.write() as connection:
            await connection.execute(delete(browser_tokens).where(browser_tokens.c.session_id == session_id))

    async def remove_expired(self, *, before_ms: int) -> None:
        """Remove the tokens that have expired before this instant."""
        async with self._database.write() as connection:
            await connection.execute(delete(browser_tokens).where(browser_tokens.c.expires_at_ms < before_ms))
