"""The places of accounts: how many of an account's sessions run or are being started, on all servers that share the
database. A session claims a place before it is started, and holds it until its end is written. A claim that its server
does not make a session of runs out by itself.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass

from sqlalchemy import ColumnElement, and_, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from visavis.store.database import Database
from visavis.store.locks import lock_account, lock_sessions
from visavis.store.minutes import Balance, read_balance
from visavis.store.models import sessions


@dataclass(frozen=True, slots=True, kw_only=True)
class Holder:
    """A session that holds a place of its account; one that is being started has no `started_at_ms` yet."""

    session_id: str
    started_at_ms: int | None
    expiration_ms: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Places:
    """What an account has of places and minutes. `holders`: those that run, the oldest first, then those that are being
    started.
    """

    balance: Balance
    holders: list[Holder]


def is_starting(at_ms: int) -> ColumnElement[bool]:
    """Whether a session is being started at this instant."""
    return and_(sessions.c.status == "created", sessions.c.starting_until_ms > at_ms)


class PlaceStore:
    """`server_id`: of the server that asks, which performs what it has claimed."""

    def __init__(self, database: Database, *, server_id: str) -> None:
        self._database, self.server_id = database, server_id

    async def of_account(self, account_id: str, *, at_ms: int, ended: Collection[str] = ()) -> Places:
        """Return the places of an account. `ended`: sessions that have ended although their rows do not say so yet."""
        async with self._database.read() as connection:
            return await _read(connection, account_id, at_ms=at_ms, apart=ended)

    async def claim(
        self,
        session_id: str,
        account_id: str,
        *,
        at_ms: int,
        until_ms: int,
        ended: Collection[str],
        check: Callable[[Places], None],
    ) -> bool:
        """Claim a place for a session that this server starts until that instant. `check` is given the places of its
        account, without its own; if it raises, nothing is claimed. Returns False, and claims nothing, if the session is
        not waiting to be started, or another server starts it.
        """
        async with self._database.write(turn=account_id) as connection:
            await lock_sessions(connection, [session_id])
            await lock_account(connection, account_id)
            check(await _read(connection, account_id, at_ms=at_ms, apart=[*ended, session_id]))
            free = or_(
                sessions.c.starting_until_ms.is_(None),
                sessions.c.starting_until_ms <= at_ms,
                sessions.c.server_id == self.server_id,
            )
            claimed = await connection.execute(
                update(sessions)
                .where(sessions.c.id == session_id, sessions.c.status == "created", free)
                .values(server_id=self.server_id, starting_until_ms=until_ms)
            )
            return claimed.rowcount == 1

    async def release(self, session_id: str) -> None:
        """Give the place of a session back that could not be started."""
        mine = (sessions.c.status == "created", sessions.c.server_id == self.server_id)
        async with self._database.write() as connection:
            await connection.execute(
                update(sessions).where(sessions.c.id == session_id, *mine).values(starting_until_ms=None)
            )

    async def release_all(self) -> None:
        """Give back what a server that died has claimed. Runs at the start of the server."""
        mine = (sessions.c.status == "created", sessions.c.server_id == self.server_id)
        async with self._database.write() as connection:
            await connection.execute(update(sessions).where(*mine).values(starting_until_ms=None))


async def _read(connection: AsyncConnection, account_id: str, *, at_ms: int, apart: Collection[str]) -> Places:
    row = sessions.c
    own = row.account_id == account_id
    # Each half has an index: an account may have a million sessions that have ended, and a thousand that wait.
    holds = or_(and_(own, row.status == "started"), and_(own, is_starting(at_ms)))
    query = select(row.id, row.started_at_ms, row.expiration_ms).where(holds)
    if apart:
        query = query.where(row.id.not_in(apart))
    found = [
        Holder(session_id=session_id, started_at_ms=started_at_ms, expiration_ms=expiration_ms)
        for session_id, started_at_ms, expiration_ms in (await connection.execute(query)).all()
    ]
    found.sort(key=lambda one: (one.started_at_ms is None, one.started_at_ms or 0, one.session_id))
    starting = is_starting(at_ms) & row.id.not_in(apart) if apart else is_starting(at_ms)
    return Places(
        balance=await read_balance(connection, account_id, at_ms=at_ms, starting=starting),
        holders=found,
    )
