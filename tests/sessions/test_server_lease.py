"""The lease that a server holds, in a real PostgreSQL: renewed, lost, and taken again from nobody who is at work."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Awaitable, Callable
from types import SimpleNamespace

import anyio
import pytest
import structlog.testing
from sqlalchemy import delete, select, update

from tests.store.fleet_database import let_pass
from visavis.errors import DataFolderInUse, StorageUnusable
from visavis.sessions import server_lease
from visavis.sessions.server_lease import ServerLease
from visavis.stage.fence import now_ns
from visavis.store import clock
from visavis.store.database import Database
from visavis.store.leases import ABANDONED_AFTER_MS, LEASE_MS, NOW_MS, RENEW_EVERY_S, Leases
from visavis.store.models import servers

pytestmark = pytest.mark.anyio

WITHIN_S = 30.0  # a bound for a busy machine


@pytest.fixture
async def database(postgresql_url: str) -> AsyncIterator[Database]:
    database = await Database.open(postgresql_url)
    yield database
    await database.aclose()


async def until(is_so: Callable[[], Awaitable[bool]]) -> None:
    with anyio.fail_after(WITHIN_S):
        while not await is_so():  # noqa: ASYNC110 (nobody tells)
            await anyio.sleep(0.02)


async def epoch_of(database: Database, name: str) -> int | None:
    """Return the epoch of a lease that has not ended."""
    query = select(servers.c.epoch).where(servers.c.id == name, servers.c.ended_at_ms.is_(None))
    async with database.read() as connection:
        epoch: int | None = await connection.scalar(query)
    return epoch


async def test_a_server_that_is_handed_over_does_not_take_its_lease_back_from_its_successor(database: Database) -> None:
    leases = Leases.of_servers(database)
    with structlog.testing.capture_logs() as logs:
        async with ServerLease.held(database, server_id="one") as leaving, anyio.create_task_group() as tasks:
            tasks.start_soon(leaving.run)
            successor = await leases.take("one")

            async def is_noticed() -> bool:
                return any(log["event"] == "server_lease_lost" for log in logs)

            await until(is_noticed)
            await anyio.sleep(2.5 * RENEW_EVERY_S)
            assert await leases.renew(successor), "it was taken back"
            tasks.cancel_scope.cancel()
        assert await leases.renew(successor), "whoever leaves ends no lease but its own"
    assert [log["event"] for log in logs].count("server_lease_lost") == 1


@pytest.mark.parametrize("lost_by", ["ended", "forgotten", "abandoned"])
async def test_a_server_takes_its_lease_again_that_nobody_has(database: Database, lost_by: str) -> None:
    leases = Leases.of_servers(database)
    async with ServerLease.held(database, server_id="one") as one, anyio.create_task_group() as tasks:
        before = one.lease
        async with database.write() as connection:
            if lost_by == "ended":  # while it slept
                ended = {"ended_at_ms": NOW_MS, "epoch": servers.c.epoch + 1}
                await connection.execute(update(servers).where(servers.c.id == "one").values(**ended))
            elif lost_by == "forgotten":
                await connection.execute(delete(servers))
        if lost_by == "abandoned":  # by a successor that was killed, and no other server was there to end it
            await leases.take("one")
            await let_pass(database, servers, "one", ms=ABANDONED_AFTER_MS + 1)
        tasks.start_soon(one.run)

        async def is_held_again() -> bool:
            return one.lease != before

        await until(is_held_again)
        assert one.lease.epoch > before.epoch and await epoch_of(database, "one") == one.lease.epoch
        await until_renewed(database)
        tasks.cancel_scope.cancel()
    assert await epoch_of(database, "one") is None, "it was left"


async def test_a_server_with_the_name_of_another_that_is_at_work_does_not_start(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two machines that were made of one image. A server that is started again, or handed over, is at its address."""
    monkeypatch.setattr(server_lease, "NAME_FREE_WITHIN_S", 0.3)
    async with ServerLease.held(database, server_id="one", address="https://one.test") as one:
        with pytest.raises(DataFolderInUse, match=r"The server at https://one.test has the same name"):
            async with ServerLease.held(database, server_id="one", address="https://other.test"):
                pass
        assert await epoch_of(database, "one") == one.lease.epoch, "the one at work has noticed nothing"
        async with ServerLease.held(database, server_id="one", address="https://one.test") as again:
            assert again.lease.epoch > one.lease.epoch
            await let_pass(database, servers, "one", ms=LEASE_MS + 1)  # it is dead
            async with ServerLease.held(database, server_id="one", address="https://elsewhere.test") as moved:
                assert moved.lease.epoch > again.lease.epoch


async def test_a_server_whose_clock_is_far_from_the_databases_says_so_once(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server_lease, "CLOCK_EVERY", 1)
    monkeypatch.setattr(server_lease, "RENEW_EVERY_S", 0.02)
    monkeypatch.setattr(clock, "time", SimpleNamespace(time=lambda: time.time() - 3_600))
    with structlog.testing.capture_logs() as logs:
        async with ServerLease.held(database, server_id="one") as one, anyio.create_task_group() as tasks:
            tasks.start_soon(one.run)

            async def is_told() -> bool:
                return any(log["event"] == "server_clock_wrong" for log in logs)

            await until(is_told)
            await until_renewed(database)
            tasks.cancel_scope.cancel()
    (told,) = [log for log in logs if log["event"] == "server_clock_wrong"]
    assert -3_700 < told["ahead_of_database_s"] < -3_500


async def until_renewed(database: Database) -> None:
    async def seen() -> int:
        async with database.read() as connection:
            return int((await connection.execute(select(servers.c.seen_at_ms))).scalar_one())

    first = await seen()

    async def is_renewed() -> bool:
        return await seen() > first

    await until(is_renewed)


@pytest.mark.parametrize("is_there", [True, False])
async def test_a_server_that_slept_is_certain_whose_its_sessions_are_when_it_has_asked_the_database(
    database: Database, monkeypatch: pytest.MonkeyPatch, is_there: bool
) -> None:
    slept_ns = [0]
    monkeypatch.setattr(server_lease, "now_ns", lambda: now_ns() + slept_ns[0])

    async def renew(*_: object) -> bool:
        raise StorageUnusable("The database is away")

    async with ServerLease.held(database, server_id="one") as one, anyio.create_task_group() as tasks:
        await one.until_certain()
        slept_ns[0] = 3_000_000_000
        with anyio.move_on_after(0.1) as waiting:
            await one.until_certain()
        assert waiting.cancelled_caught
        if not is_there:  # then nobody takes anything
            monkeypatch.setattr(Leases, "renew", renew)
        tasks.start_soon(one.run)
        with anyio.fail_after(WITHIN_S):
            await one.until_certain()
        tasks.cancel_scope.cancel()
