"""A PostgreSQL with servers, stages and sessions, for the tests of leases and places."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from sqlalchemy import Table, select, update

from tests.store.records import make_session
from tests.store.test_store import ACCOUNT, KEY
from visavis.store.database import Database
from visavis.store.keys import KeyStore
from visavis.store.leases import GRACE_MS, NOW_MS, Lease, Leases
from visavis.store.models import servers, sessions
from visavis.store.sessions import SessionStore


@asynccontextmanager
async def open_fleet(url: str) -> AsyncIterator[tuple[Database, Database]]:
    """Yield the database, and a second one beside it for leases."""
    database = await Database.open(url)
    beside = database.beside(connections=4)
    try:
        await KeyStore(database).add(KEY, account=ACCOUNT)
        yield database, beside
    finally:
        await beside.aclose()
        await database.aclose()


async def new_server(database: Database, beside: Database, server_id: str) -> Lease:
    """Take the lease of a server, which does not lapse by itself within an hour: a busy machine takes its time."""
    lease = await Leases.of_servers(beside).take(server_id)
    await keep(database, servers, server_id)
    return lease


async def steady_server(database: Database, beside: Database, server_id: str) -> Lease:
    """Take the lease of a server that has renewed it for long enough to end others."""
    lease = await new_server(database, beside, server_id)
    await make_steady(database, server_id)
    return lease


async def make_steady(database: Database, server_id: str) -> None:
    """Let a server have renewed its lease just now, and for long enough to end others."""
    await keep(database, servers, server_id)
    async with database.write() as connection:
        values = {"steady_since_ms": NOW_MS - GRACE_MS - 1}
        await connection.execute(update(servers).where(servers.c.id == server_id).values(**values))


async def let_pass(database: Database, table: Table, holder_id: str, *, ms: int) -> None:
    """Let a holder not have renewed its lease for so long: as if it had slept, or the database had been away."""
    async with database.write() as connection:
        await connection.execute(update(table).where(table.c.id == holder_id).values(seen_at_ms=NOW_MS - ms))


async def keep(database: Database, table: Table, holder_id: str) -> None:
    """Let a lease not lapse within an hour."""
    await let_pass(database, table, holder_id, ms=-3_600_000)


async def add_sessions(database: Database, count: int, *, server_id: str | None = None) -> list[str]:
    """Add sessions; return their ids. With `server_id` they are started, and that server's."""
    ids = [f"sess_{number}" for number in range(count)]
    store = SessionStore(database)
    for session_id in ids:
        await store.add(make_session(session_id))
    if server_id is not None:
        async with database.write() as connection:
            await connection.execute(
                update(sessions).where(sessions.c.id.in_(ids)).values(status="started", server_id=server_id)
            )
    return ids


async def owner_of(database: Database, session_id: str) -> tuple[str | None, int, str | None]:
    """Return server, epoch and stage of a session."""
    row = sessions.c
    async with database.read() as connection:
        found = (
            await connection.execute(select(row.server_id, row.epoch, row.stage_id).where(row.id == session_id))
        ).one()
    return found.server_id, found.epoch, found.stage_id
