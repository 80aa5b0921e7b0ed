"""Who owns a session, in a PostgreSQL that servers share: its row names a server, and an epoch that rises with each
change of the owner or the stage. A stage refuses a command of a lower epoch, and a write of a lower epoch changes
nothing: so an owner that slept cannot act when it wakes.
"""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Select, exists, select, update

from visavis.store.database import Database
from visavis.store.leases import Lease, is_held
from visavis.store.models import servers, sessions

TAKEN_AT_ONCE = 50  # sessions that one statement takes over: several servers share those of one that died


@dataclass(frozen=True, slots=True, kw_only=True)
class Owned:
    """A session that has just come to a server. `stage_id`: the stage that performs it, None if it has none."""

    session_id: str
    epoch: int
    stage_id: str | None


class SessionOwners:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def take_over(self, by: Lease, *, at_most: int = TAKEN_AT_ONCE) -> list[Owned]:
        """Take over started sessions of servers whose lease has ended (`Leases.end_lapsed`). A session comes to one
        server, whoever else asks at the same time. A server whose own lease has ended gets nothing.
        """
        row, owner = sessions.c, servers.alias("owner")
        left = (
            select(row.id)
            .join(owner, owner.c.id == row.server_id)
            .where(
                row.status == "started",
                row.server_id != by.id,
                owner.c.ended_at_ms.is_not(None),
                is_held(servers, by),
            )
            .limit(at_most)
            .with_for_update(of=sessions, skip_locked=True)
        )
        return await self._take(left, by)

    async def take_own(self, by: Lease) -> list[Owned]:
        """Take the started sessions that name this server: it was started again, or its lease was ended while it slept
        and it has a new one. What it still wants to write with their epochs of before changes nothing from now on.
        """
        mine = select(sessions.c.id).where(
            sessions.c.status == "started", sessions.c.server_id == by.id, is_held(servers, by)
        )
        return await self._take(mine.with_for_update(), by)

    async def _take(self, chosen: Select[tuple[str]], by: Lease) -> list[Owned]:
        row = sessions.c
        statement = (
            update(sessions)
            .where(row.id.in_(chosen))
            .values(server_id=by.id, epoch=row.epoch + 1)
            .returning(row.id, row.epoch, row.stage_id)
        )
        async with self._database.write() as connection:
            taken = (await connection.execute(statement)).all()
        return [Owned(session_id=one.id, epoch=one.epoch, stage_id=one.stage_id) for one in taken]

    async def is_owned(self, session_id: str, by: Lease, *, epoch: int) -> bool:
        """Whether a session is still this server's with this epoch."""
        row = sessions.c
        query = select(exists().where(row.id == session_id, row.server_id == by.id, row.epoch == epoch))
        async with self._database.read() as connection:
            return bool(await connection.scalar(query))
