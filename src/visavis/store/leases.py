"""Leases: which servers and stages that share a PostgreSQL are at work. decision 68.

A holder renews its lease twice a second. The lease has *lapsed* when it was not renewed for LEASE_MS. It stays the
holder's until a server *ends* it: one conditional update, which raises the lease's epoch, so that the holder cannot
renew it any more, however long it slept. Of a renewal and an end at the same time one succeeds.

Only the database's clock counts. While the database is away nobody can renew or end anything. When it is back, all
leases have lapsed; so only a server that is *steady* may end others: its own lease was renewed without a gap for
GRACE_MS. Until then all that live have renewed theirs.

An SQLite database has one server, whose lock on the data folder is its lease (ownership.py): nothing of this is used
there.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    String,
    Table,
    Update,
    bindparam,
    case,
    cast,
    delete,
    exists,
    extract,
    func,
    or_,
    select,
    update,
)
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.sql.dml import ReturningUpdate

from visavis.store.clock import clock_ahead_s
from visavis.store.database import Database
from visavis.store.models import servers, sessions, stages

LEASE_MS = 2_000  # without a renewal for so long a lease has lapsed
RENEW_EVERY_S = 0.5
LOOK_EVERY_S = 0.25  # for leases that have lapsed
GAP_MS = 1_000  # between two renewals: with a longer one a holder is not steady
GRACE_MS = 2_000  # a server that was steady for so long may end leases. With GAP_MS it is more than LEASE_MS
ABANDONED_AFTER_MS = 20_000  # its holder is gone, even if no other server was there to end it
FORGOTTEN_AFTER_MS = 86_400_000  # a row that nobody has renewed since then

# When the statement came to the database. A statement that waits for a row still has the time of before: then a lease
# seems younger to whoever wants to end it, and a renewal is shorter.
NOW_MS: ColumnElement[int] = cast(extract("epoch", func.statement_timestamp()) * 1000, BigInteger)


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease:
    """What a holder has taken: its row, and the epoch that the row has as long as the lease is this holder's."""

    id: str
    epoch: int


def is_steady(server_id: ColumnElement[str] | str) -> ColumnElement[bool]:
    """Whether a server may decide about others: its lease is held, and was renewed without a gap."""
    own = servers.alias("own").c
    return exists().where(
        own.id == server_id,
        own.ended_at_ms.is_(None),
        own.seen_at_ms >= NOW_MS - GAP_MS,  # or the database was away since then, and nobody could renew theirs
        own.steady_since_ms <= NOW_MS - GRACE_MS,
    )


def is_unseen(server_id: ColumnElement[str | None], *, for_ms: int) -> ColumnElement[bool]:
    """Whether no server of this name has renewed its lease for so long."""
    seen = servers.alias("seen").c
    return ~exists().where(seen.id == server_id, seen.seen_at_ms >= NOW_MS - for_ms)


def is_held(table: Table, lease: Lease) -> ColumnElement[bool]:
    """Whether a lease is still its holder's, lapsed or not."""
    row = table.c
    return exists().where(row.id == lease.id, row.epoch == lease.epoch, row.ended_at_ms.is_(None))


class Leases:
    """The leases of one table. Every call is one statement. All raise `StorageUnusable` if the database is away.

    `database`: one of `Database.beside`, so that renewals do not wait behind requests.
    """

    def __init__(self, database: Database, table: Table) -> None:
        self._database, self._table = database, table
        self._lapsed = _end_lapsed(table)

    @classmethod
    def of_servers(cls, database: Database) -> Leases:
        return cls(database, servers)

    @classmethod
    def of_stages(cls, database: Database) -> Leases:
        return cls(database, stages)

    async def take(self, holder_id: str, **columns: object) -> Lease:
        """Take the lease of this row, from whoever has it: the caller is the only one of this name, and what had it
        before is gone. `columns`: the row's others.
        """
        values = {"seen_at_ms": NOW_MS, "steady_since_ms": NOW_MS, "ended_at_ms": None} | columns
        statement = (
            insert(self._table)
            .values(id=holder_id, epoch=1, **values)
            .on_conflict_do_update(index_elements=["id"], set_=values | {"epoch": self._table.c.epoch + 1})
            .returning(self._table.c.epoch)
        )
        async with self._database.at_once() as connection:
            return Lease(id=holder_id, epoch=(await connection.execute(statement)).scalar_one())

    async def address_of_another(self, holder_id: str, *, address: str) -> str | None:
        """Return where the server of this name is reached that renews its lease now, if that is not `address`: a server
        of another machine has the same name.
        """
        row = self._table.c
        query = select(row.address).where(
            row.id == holder_id,
            row.ended_at_ms.is_(None),
            row.seen_at_ms >= NOW_MS - LEASE_MS,
            row.address != address,
        )
        async with self._database.at_once() as connection:
            found: str | None = await connection.scalar(query)
        return found

    async def clock_ahead_s(self) -> float:
        """See `store.clock`."""
        return await clock_ahead_s(self._database)

    async def take_again(self, lost: Lease, **columns: object) -> Lease | None:
        """Take a lease again that others have ended, that nobody has renewed for long, or whose row was forgotten.
        Returns None, and changes nothing, while it is somebody else's: a successor of this name has taken it.
        `columns`: the row's others.
        """
        row = self._table.c
        values = {"seen_at_ms": NOW_MS, "steady_since_ms": NOW_MS, "ended_at_ms": None} | columns
        is_free = or_(row.ended_at_ms.is_not(None), row.seen_at_ms < NOW_MS - ABANDONED_AFTER_MS)
        statement = (
            insert(self._table)
            .values(id=lost.id, epoch=lost.epoch + 1, **values)
            .on_conflict_do_update(index_elements=["id"], set_=values | {"epoch": row.epoch + 1}, where=is_free)
            .returning(row.epoch)
        )
        async with self._database.at_once() as connection:
            epoch = (await connection.execute(statement)).scalar_one_or_none()
        return None if epoch is None else Lease(id=lost.id, epoch=epoch)

    async def renew(self, lease: Lease, **columns: object) -> bool:
        """Renew a lease, even one that has lapsed. Returns False if somebody has ended or taken it: the holder must
        stop what it does. `columns`: of the row, if they have changed.
        """
        renewal = _renewal(self._table, tuple(columns))
        async with self._database.at_once() as connection:
            renewed = await connection.execute(renewal, {"of": lease.id, "with_epoch": lease.epoch, **columns})
            return renewed.rowcount == 1

    async def leave(self, lease: Lease) -> None:
        """End a lease of one's own, if one still has it."""
        row = self._table.c
        mine = (row.id == lease.id, row.epoch == lease.epoch, row.ended_at_ms.is_(None))
        async with self._database.at_once() as connection:
            await connection.execute(update(self._table).where(*mine).values(ended_at_ms=NOW_MS))

    async def end_lapsed(self, by: Lease) -> list[str]:
        """End all leases that have lapsed; return whose. `by`: the lease of the server that asks; one that is not
        steady ends nothing. Each lease is ended by one server.
        """
        async with self._database.at_once() as connection:
            return list(await connection.scalars(self._lapsed, {"by": by.id, "by_epoch": by.epoch}))

    async def count(self, *, seen_within_ms: int = LEASE_MS, reached: bool = False) -> int:
        """Return how many were renewed within this time and have not ended. `reached`: of servers, only those of a
        fleet, which the others reach.
        """
        row = self._table.c
        query = (
            select(func.count())
            .select_from(self._table)
            .where(row.ended_at_ms.is_(None), row.seen_at_ms >= NOW_MS - seen_within_ms)
        )
        if reached:
            query = query.where(row.address.is_not(None))
        async with self._database.read() as connection:
            return int((await connection.execute(query)).scalar_one())

    async def forget(self) -> None:
        """Delete the rows that nobody has renewed for a day. A stage's row stays while a session names it: that
        session has to be found, and placed elsewhere or ended.
        """
        row = self._table.c
        old = [row.seen_at_ms < NOW_MS - FORGOTTEN_AFTER_MS]
        if self._table is stages:
            old.append(~exists().where(sessions.c.stage_id == row.id))
        async with self._database.at_once() as connection:
            await connection.execute(delete(self._table).where(*old))


# Statements that run all the time: one that is built once keeps what SQLAlchemy makes of it.
@cache
def _renewal(table: Table, columns: tuple[str, ...]) -> Update:
    row = table.c
    steady = case((row.seen_at_ms < NOW_MS - GAP_MS, NOW_MS), else_=row.steady_since_ms)
    return (
        update(table)
        .where(row.id == bindparam("of"), row.epoch == bindparam("with_epoch"), row.ended_at_ms.is_(None))
        .values(seen_at_ms=NOW_MS, steady_since_ms=steady, **{name: bindparam(name) for name in columns})
    )


def _end_lapsed(table: Table) -> ReturningUpdate[tuple[str]]:
    row, by = table.c, servers.alias("by").c
    is_mine = exists().where(by.id == bindparam("by"), by.epoch == bindparam("by_epoch"))
    seen_from_ms = select(NOW_MS - LEASE_MS).scalar_subquery()  # worked out once, not for each row
    lapsed = select(row.id).where(
        row.ended_at_ms.is_(None), row.seen_at_ms < seen_from_ms, is_mine, is_steady(bindparam("by", type_=String))
    )
    # What is being renewed, or ended by another server, is not waited for.
    lapsed = lapsed.with_for_update(skip_locked=True)
    return update(table).where(row.id.in_(lapsed)).values(ended_at_ms=NOW_MS, epoch=row.epoch + 1).returning(row.id)
