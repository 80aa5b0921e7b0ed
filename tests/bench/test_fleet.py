"""`visavis bench fleet`, small, on a real PostgreSQL: what stopped is taken over, and the places add up."""

from __future__ import annotations

import anyio
import pytest
from sqlalchemy import select, update

from visavis.bench.fleet import measure, members
from visavis.bench.fleet_life import FleetLife
from visavis.bench.simulated_fleet import SimulatedFleet
from visavis.errors import SettingInvalid
from visavis.store.leases import NOW_MS
from visavis.store.models import servers, stages

pytestmark = pytest.mark.anyio


async def test_a_small_fleet_loses_nothing_and_is_taken_over(postgresql_url: str) -> None:
    measured = await measure(postgresql_url, servers=3, stages=20, sessions=60, seconds=1.0, connections=4)
    found = members(measured)
    assert found["alone"]["renewals_per_s"] > 0 and found["alone"]["ledger_sessions_per_s"] > 0
    assert measured.right, "even on a machine that is too busy, where leases are lost and taken again"
    if found["overload"]["overloaded"]:
        return
    assert measured.astray == 0
    assert found["strike"]["stages"] == 2 and found["strike"]["sessions"] >= 60 // 3
    assert found["strike"]["settled_s"] >= found["strike"]["ended_s"] > 0
    assert found["strike"]["taken"] > 0
    with pytest.raises(SettingInvalid, match="not empty"):
        await measure(postgresql_url, servers=3, stages=20, sessions=60, seconds=1.0)


async def test_leases_that_others_end_are_counted_and_taken_again(postgresql_url: str) -> None:
    """As on a machine that does not keep up: nothing breaks off, and in the end everything has its place."""
    async with SimulatedFleet.open(postgresql_url, connections=4) as fleet:
        await fleet.fill(servers=3, stages=6, sessions=33)
        await fleet.place_all(30)
        async with FleetLife(fleet, stages=6, sessions=30, lives_s=10.0) as living:
            async with fleet.database.write() as connection:
                for table, holder in ((servers, "server-1"), (stages, "stage-4")):
                    ended = update(table).where(table.c.id == holder)
                    await connection.execute(ended.values(ended_at_ms=NOW_MS, epoch=table.c.epoch + 1))
            await living.live(seconds=2.0)
            with anyio.fail_after(60):
                while await fleet.astray():  # noqa: ASYNC110 (nobody tells)
                    await anyio.sleep(0.1)
        assert await fleet.store.sums_are_right()
        assert living.overload.lost_leases >= 2 and living.overload.is_one
        assert fleet.servers[1].epoch > 1
        async with fleet.database.read() as connection:
            names = select(stages.c.id).where(stages.c.ended_at_ms.is_(None))
            assert "stage-4-2" in set(await connection.scalars(names))


async def test_a_database_that_is_not_shared_is_refused(tmp_path: object) -> None:
    with pytest.raises(SettingInvalid, match="PostgreSQL"):
        await measure(f"sqlite+aiosqlite:///{tmp_path}/x.db", servers=3, stages=20, sessions=60, seconds=1.0)
