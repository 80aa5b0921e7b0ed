"""Leases of servers in a real PostgreSQL: who may renew, who may end them, and who owns the sessions then."""

from __future__ import annotations

from collections.abc import AsyncIterator

import anyio
import pytest

from tests.store.fleet_database import (
    add_sessions,
    keep,
    let_pass,
    make_steady,
    new_server,
    open_fleet,
    owner_of,
    steady_server,
)
from tests.store.test_postgresql import Gate
from visavis.errors import StorageUnusable
from visavis.store.database import Database
from visavis.store.leases import GAP_MS, GRACE_MS, LEASE_MS, Leases
from visavis.store.models import servers
from visavis.store.session_owners import Owned, SessionOwners
from visavis.store.sessions import SessionStore

pytestmark = pytest.mark.anyio


@pytest.fixture
async def fleet(postgresql_url: str) -> AsyncIterator[tuple[Database, Database]]:
    async with open_fleet(postgresql_url) as databases:
        yield databases


async def test_a_holder_that_slept_cannot_renew_what_another_has_ended(fleet: tuple[Database, Database]) -> None:
    database, beside = fleet
    leases = Leases.of_servers(beside)
    sleeper, other = await new_server(database, beside, "sleeper"), await steady_server(database, beside, "other")
    assert await leases.end_lapsed(other) == []
    await let_pass(database, servers, "sleeper", ms=LEASE_MS + 1)
    assert await leases.count() == 1
    assert await leases.end_lapsed(other) == ["sleeper"]
    assert await leases.end_lapsed(other) == [], "it is ended once"
    assert not await leases.renew(sleeper)
    await leases.leave(sleeper)
    again = await leases.take("sleeper")
    assert again.epoch > sleeper.epoch + 1, "the end has raised the epoch, too"
    assert await leases.renew(again) and not await leases.renew(sleeper)


async def test_a_lease_that_has_lapsed_is_the_holders_until_somebody_ends_it(
    fleet: tuple[Database, Database],
) -> None:
    database, beside = fleet
    leases = Leases.of_servers(beside)
    sleeper, other = await new_server(database, beside, "sleeper"), await steady_server(database, beside, "other")
    await let_pass(database, servers, "sleeper", ms=LEASE_MS * 10)
    assert await leases.renew(sleeper)
    await keep(database, servers, "sleeper")
    assert await leases.end_lapsed(other) == []


async def test_of_a_renewal_and_an_end_at_once_one_succeeds(fleet: tuple[Database, Database]) -> None:
    database, beside = fleet
    leases = Leases.of_servers(beside)
    other = await steady_server(database, beside, "other")
    outcomes: list[tuple[bool, bool]] = []
    for number in range(60):
        sleeper = await leases.take(f"sleeper_{number}")
        await let_pass(database, servers, sleeper.id, ms=LEASE_MS + 1)
        renewed: list[bool] = []
        ended: list[str] = []

        async def renew(sleeper: object = sleeper, renewed: list[bool] = renewed) -> None:
            renewed.append(await leases.renew(sleeper))  # type: ignore[arg-type]

        async def end(ended: list[str] = ended) -> None:
            ended.extend(await leases.end_lapsed(other))

        async with anyio.create_task_group() as tasks:
            for one in (renew, end) if number % 2 else (end, renew):
                tasks.start_soon(one)
        outcomes.append((renewed == [True], sleeper.id in ended))
    assert all(renewed != ended for renewed, ended in outcomes), outcomes


async def test_two_servers_that_look_at_once_end_each_lease_once(fleet: tuple[Database, Database]) -> None:
    database, beside = fleet
    leases = Leases.of_servers(beside)
    takers = [await steady_server(database, beside, name) for name in ("one", "other")]
    for number in range(40):
        await leases.take(f"dead_{number}")
        await let_pass(database, servers, f"dead_{number}", ms=LEASE_MS + 1)
    ended: list[str] = []

    async def look(number: int) -> None:
        ended.extend(await leases.end_lapsed(takers[number % 2]))

    async with anyio.create_task_group() as tasks:
        for number in range(8):
            tasks.start_soon(look, number)
    assert sorted(ended) == sorted(f"dead_{number}" for number in range(40))


async def test_after_the_database_was_away_nobody_ends_anything_until_all_had_time_to_renew(
    fleet: tuple[Database, Database],
) -> None:
    database, beside = fleet
    leases = Leases.of_servers(beside)
    first, second, dead = [await steady_server(database, beside, name) for name in ("first", "second", "dead")]
    for lease in (first, second, dead):
        await let_pass(database, servers, lease.id, ms=30_000)  # nobody could renew
    assert await leases.end_lapsed(first) == [], "its own lease has lapsed"
    assert await leases.renew(first)
    assert await leases.end_lapsed(first) == [], "it is not steady"
    assert await leases.renew(second)
    await keep(database, servers, "second")
    await make_steady(database, "first")
    assert await leases.end_lapsed(first) == ["dead"]


async def test_a_gap_that_lets_a_lease_live_still_makes_its_holder_wait(fleet: tuple[Database, Database]) -> None:
    """The database was away for less than a lease: whoever is late by more than the others would be dead."""
    database, beside = fleet
    leases = Leases.of_servers(beside)
    first, dead = await steady_server(database, beside, "first"), await steady_server(database, beside, "dead")
    await let_pass(database, servers, dead.id, ms=LEASE_MS + 1)
    await let_pass(database, servers, first.id, ms=GAP_MS + 100)
    assert await leases.end_lapsed(first) == [], "nor does it end anything before its first renewal"
    assert await leases.renew(first)
    assert await leases.end_lapsed(first) == []
    assert GAP_MS + GRACE_MS > LEASE_MS


async def test_a_server_whose_lease_has_ended_ends_none(fleet: tuple[Database, Database]) -> None:
    database, beside = fleet
    leases = Leases.of_servers(beside)
    gone, _ = await steady_server(database, beside, "gone"), await leases.take("dead")
    await let_pass(database, servers, "dead", ms=LEASE_MS + 1)
    await leases.leave(gone)
    assert await leases.end_lapsed(gone) == []
    replaced = await steady_server(database, beside, "replaced")
    await steady_server(database, beside, "replaced")
    assert await leases.end_lapsed(replaced) == [], "a later process has its name"


async def test_while_the_database_is_away_a_renewal_fails_in_words_and_then_succeeds(postgresql_url: str) -> None:
    gate = Gate(postgresql_url)
    await gate.open()
    async with open_fleet(gate.url) as (_, beside):
        leases = Leases.of_servers(beside)
        lease = await leases.take("one")
        gate.shut()
        for _ in range(2):
            with pytest.raises(StorageUnusable):
                await leases.renew(lease)
        await gate.open()
        assert await leases.renew(lease)
    gate.shut()


async def test_the_sessions_of_a_dead_server_come_to_one_other_each(fleet: tuple[Database, Database]) -> None:
    database, beside = fleet
    leases, owners = Leases.of_servers(beside), SessionOwners(database)
    takers = [await steady_server(database, beside, name) for name in ("one", "other")]
    dead = await new_server(database, beside, "dead")
    ids = await add_sessions(database, 60, server_id="dead")
    assert await owners.take_over(takers[0]) == [], "its lease has not ended"
    await let_pass(database, servers, "dead", ms=LEASE_MS + 1)
    await leases.end_lapsed(takers[0])
    taken: list[tuple[str, Owned]] = []

    async def take(number: int) -> None:
        by = takers[number % 2]
        while found := await owners.take_over(by, at_most=7):
            taken.extend((by.id, one) for one in found)

    async with anyio.create_task_group() as tasks:
        for number in range(4):
            tasks.start_soon(take, number)
    assert sorted(one.session_id for _, one in taken) == sorted(ids)
    assert {one.epoch for _, one in taken} == {1}
    for server_id, one in taken:
        assert await owner_of(database, one.session_id) == (server_id, 1, None)
        assert not await owners.is_owned(one.session_id, dead, epoch=0)


async def test_a_server_that_wakes_and_one_that_takes_over_never_both_own_a_session(
    fleet: tuple[Database, Database],
) -> None:
    database, beside = fleet
    leases, owners = Leases.of_servers(beside), SessionOwners(database)
    taker, _ = await steady_server(database, beside, "taker"), await new_server(database, beside, "sleeper")
    ids = await add_sessions(database, 40, server_id="sleeper")
    await let_pass(database, servers, "sleeper", ms=LEASE_MS + 1)
    assert await leases.end_lapsed(taker) == ["sleeper"]
    kept: dict[str, int] = {}
    taken: dict[str, int] = {}

    async def wake() -> None:
        again = await leases.take("sleeper")
        kept.update({one.session_id: one.epoch for one in await owners.take_own(again)})

    async def take() -> None:
        while found := await owners.take_over(taker, at_most=3):
            taken.update({one.session_id: one.epoch for one in found})

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(take)
        tasks.start_soon(wake)
    for session_id in ids:
        server_id, epoch, _ = await owner_of(database, session_id)
        mine = kept if server_id == "sleeper" else taken
        assert mine[session_id] == epoch, "who owns it knows its epoch, and nobody else does"
        other = taken if mine is kept else kept
        assert other.get(session_id, -1) < epoch


async def test_what_the_owner_of_before_still_writes_changes_nothing(fleet: tuple[Database, Database]) -> None:
    database, beside = fleet
    leases, owners, store = Leases.of_servers(beside), SessionOwners(database), SessionStore(database)
    taker, dead = await leases.take("taker"), await leases.take("dead")
    (session_id,) = await add_sessions(database, 1, server_id="dead")
    before = await store.get(session_id)
    assert before is not None
    await leases.leave(dead)
    assert len(await owners.take_over(taker)) == 1
    assert await store.move(before, to="ended", ended_at_ms=5, end_reason="client") is None
    after = await store.get(session_id)
    assert after is not None and (after.status, after.server_id, after.epoch) == ("started", "taker", 1)
    assert await store.move(after, to="ended", ended_at_ms=5, end_reason="client") is not None


async def test_a_server_whose_lease_has_ended_takes_no_session(fleet: tuple[Database, Database]) -> None:
    database, beside = fleet
    leases, owners = Leases.of_servers(beside), SessionOwners(database)
    gone, dead = await leases.take("gone"), await leases.take("dead")
    await add_sessions(database, 3, server_id="dead")
    await leases.leave(dead)
    await leases.leave(gone)
    assert await owners.take_over(gone) == []
    assert await owners.take_own(dead) == []
    assert len(await owners.take_own(await leases.take("dead"))) == 3
