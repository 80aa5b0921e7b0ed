"""Who owns a session, in a PostgreSQL that servers share: its row names a server, and an epoch that rises with each
change of the owner or the stage. A stage refuses a command of a lower epoch, and a write of a lower epoch changes
nothing: so an owner that slept cannot act when it wakes.
"""

from __future__ import annotations

from collections.abc import Collection
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

    async def take_over(self, by: Lease, *, at_most: int = TAKEN_AT_ONCE, placed_only: bool = False) -> list[Owned]:
        """Take over started sessions of servers whose lease has ended (`Leases.end_lapsed`). A session comes to one
        server, whoever else asks at the same time. A server whose own lease has ended gets nothing. `placed_only`: only
        those that have a place on a stage of the fleet; others are on stages that their own server has started.
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
                *((row.stage_id.is_not(None),) if placed_only else ()),
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
        return await self._take(mine.order_by(sessions.c.id).with_for_update(), by)

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

    async def owned_by_others(self, session_ids: Collection[str], by: Lease) -> list[str]:
        """Return those of the started sessions that another server owns."""
        row = sessions.c
        query = select(row.id).where(row.id.in_(session_ids), row.server_id != by.id, row.status == "started")
        async with self._database.read() as connection:
            return list(await connection.scalars(query))

    async def address_of(
        self, *, session_id: str | None = None, room_name: str | None = None
    ) -> tuple[str, str] | None:
        """Return the id of the server that owns a started session, and where the others reach it; None if it has ended,
        or the server's lease has. The session is named by its id or its room.
        """
        row = sessions.c
        named = row.id == session_id if room_name is None else row.room_name == room_name
        query = (
            select(servers.c.id, servers.c.address)
            .join(sessions, row.server_id == servers.c.id)
            .where(named, row.status == "started", servers.c.ended_at_ms.is_(None), servers.c.address.is_not(None))
        )
        async with self._database.read() as connection:
            found = (await connection.execute(query)).first()
        return None if found is None else (found.id, found.address)

    async def is_owned(self, session_id: str, by: Lease, *, epoch: int) -> bool:
        """Whether a session is still this server's with this epoch."""
        row = sessions.c
        query = select(exists().where(row.id == session_id, row.server_id == by.id, row.epoch == epoch))
        async with self._database.read() as connection:
            return bool(await connection.scalar(query))
