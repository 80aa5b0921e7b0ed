"""Places of sessions that ask for labels: at the start, when the machine drains, and after it is lost. On a real
PostgreSQL.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping

import pytest
from sqlalchemy import update

from tests.store.fleet_database import keep, let_pass, make_steady, open_fleet
from tests.store.records import make_session
from tests.store.test_stages import SMALL, room_for
from visavis.errors import NoCapacity
from visavis.sessions.options import SessionOptions
from visavis.sessions.server_lease import ServerLease
from visavis.sessions.stage_directory import StageDirectory
from visavis.store.database import Database
from visavis.store.leases import LEASE_MS, Lease
from visavis.store.models import sessions, stages
from visavis.store.sessions import SessionStore
from visavis.store.stage_rows import Reached, StageRows
from visavis.store.stage_tokens import StageTokens
from visavis.store.stages import StageStore

pytestmark = pytest.mark.anyio

EU = {"region": "eu"}
NO_EU = "No machine that takes sessions has the labels region=eu"


class Fleet:
    def __init__(self, database: Database, beside: Database, rows: StageRows, server: ServerLease) -> None:
        self.database, self.rows = database, rows
        self.sessions, self.server = SessionStore(database, server_id=server.lease.id), server
        self.directory = StageDirectory(StageStore(database, beside=beside), self.sessions, server)
        self.leases: dict[str, Lease] = {}

    async def enter(self, name: str, labels: Mapping[str, str], *, places: int = 1) -> None:
        reached = Reached(address=f"wss://{name}.example:8443", port_token="secret")
        self.leases[name] = await self.rows.enter(name, reached, labels=labels, room=room_for(places))
        await keep(self.database, stages, name)

    async def add(self, session_id: str, labels: Mapping[str, str]) -> None:
        await self.sessions.add(make_session(session_id, options=SessionOptions(machine_labels=labels).plain()))

    async def start(self, session_id: str) -> None:
        async with self.database.write() as connection:
            await connection.execute(update(sessions).where(sessions.c.id == session_id).values(status="started"))

    async def place(self, session_id: str) -> str | None:
        """Return the machine, or why there is none of those that have the labels; None if there is no room."""
        try:
            placed = await self.directory.place(session_id, SMALL)
        except NoCapacity as error:
            return error.message
        return None if placed is None else placed.machine.id


@pytest.fixture
async def fleet(postgresql_url: str) -> AsyncIterator[Fleet]:
    async with open_fleet(postgresql_url) as (database, beside):
        _, token = await StageTokens(database).create("all stages")
        async with ServerLease.held(database, server_id="server", address="http://a") as server:
            await make_steady(database, "server")
            yield Fleet(database, beside, StageRows(beside, token=token), server)


async def test_a_session_keeps_to_the_labels_that_it_asks_for_wherever_it_goes(fleet: Fleet) -> None:
    await fleet.add("asks", EU)
    await fleet.add("asks for nothing", {})
    assert await fleet.place("asks") == NO_EU
    assert await fleet.place("asks for nothing") is None
    await fleet.enter("us", {"region": "us"}, places=9)
    assert await fleet.place("asks") == NO_EU
    await fleet.enter("eu", {**EU, "kind": "large"})
    assert await fleet.place("asks") == "eu"
    await fleet.add("asks, too", EU)
    full = "No machine of the fleet that has the labels region=eu has room for this session"
    assert await fleet.place("asks, too") == full
    assert await fleet.place("asks for nothing") == "us"
    await fleet.start("asks")

    assert await fleet.rows.renew(fleet.leases["eu"], room_for(1, draining=True))
    assert await fleet.place("asks") == NO_EU
    await fleet.enter("eu-2", EU)
    assert await fleet.place("asks") == "eu-2"

    await let_pass(fleet.database, stages, "eu-2", ms=LEASE_MS + 1)
    await fleet.directory.end_lapsed()
    assert await fleet.place("asks") == NO_EU
    await fleet.enter("eu-3", EU)
    assert await fleet.place("asks") == "eu-3"
