"""The servers that share a database: each says every few seconds that it runs."""

from __future__ import annotations

from sqlalchemy import delete, func, insert, select, update

from visavis.store.database import Database
from visavis.store.models import servers

EVERY_S = 5.0
GONE_AFTER_MS = 20_000  # a server that has not been seen for so long does not count


class ServerStore:
    def __init__(self, database: Database, *, server_id: str) -> None:
        self._database, self._server_id = database, server_id

    @property
    def is_shared(self) -> bool:
        """Whether there may be other servers."""
        return self._database.is_shared

    async def note_and_count(self, *, at_ms: int) -> int:
        """Say that this server runs; return how many do, this one too. Forgets those that are gone."""
        row = servers.c
        async with self._database.write() as connection:
            seen = update(servers).where(row.id == self._server_id).values(seen_at_ms=at_ms)
            if (await connection.execute(seen)).rowcount == 0:
                await connection.execute(insert(servers).values(id=self._server_id, seen_at_ms=at_ms))
            await connection.execute(delete(servers).where(row.seen_at_ms < at_ms - GONE_AFTER_MS))
            return int((await connection.execute(select(func.count()).select_from(servers))).scalar_one())

    async def leave(self) -> None:
        """Say that this server stops."""
        async with self._database.write() as connection:
            await connection.execute(delete(servers).where(servers.c.id == self._server_id))
