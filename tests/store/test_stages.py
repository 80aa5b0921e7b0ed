"""Places on the stages of a fleet, in a real PostgreSQL: one statement takes a place and reserves it."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator

import anyio
import pytest
from sqlalchemy import select, text, update

from tests.store.fleet_database import add_sessions, keep, let_pass, open_fleet, owner_of, steady_server
from visavis.errors import StaleOwner
from visavis.stage.port.report import FrameCosts, SessionShape
from visavis.store.database import Database
from visavis.store.leases import FORGOTTEN_AFTER_MS, LEASE_MS, Lease, Leases
from visavis.store.models import sessions, stages
from visavis.store.stage_rows import Reached, Room, StageRows
from visavis.store.stage_tokens import StageTokens
from visavis.store.stages import Placed, StageStore

pytestmark = pytest.mark.anyio

SMALL = SessionShape(width_px=512, height_px=512)
LARGE = SessionShape(width_px=1280, height_px=720)
COSTS = FrameCosts(fixed_ms=2.0, per_mpx_ms=4.0)


def room_for(sessions_: int, *, draining: bool = False) -> Room:
    """Return the room of a stage that takes so many small sessions."""
    each = COSTS.session_cores(SMALL) * 1000
    return Room(room_mcores=int((each + 1) * sessions_), frame_us=2_000, mpx_us=4_000, draining=draining)


class Fleet:
    def __init__(self, database: Database, beside: Database, server: Lease, token: str) -> None:
        self.database, self.beside, self.server = database, beside, server
        self.store = StageStore(database, beside=beside)
        self.rows = StageRows(beside, token=token)
        self.rooms: dict[str, Room] = {}
        self.leases: dict[str, Lease] = {}

    async def enter(self, name: str, room: Room, **labels: str) -> None:
        reached = Reached(address=f"wss://{name}.example:8443", port_token="secret")
        self.leases[name] = await self.rows.enter(name, reached, labels=labels, room=room)
        self.rooms[name] = room
        await keep(self.database, stages, name)

    async def renew(self, name: str, room: Room | None = None) -> None:
        self.rooms[name] = room or self.rooms[name]
        assert await self.rows.renew(self.leases[name], self.rooms[name])
        await keep(self.database, stages, name)

    async def place(self, session_id: str, shape: SessionShape = SMALL, *, epoch: int = 0, **labels: str) -> str | None:
        """Return the stage of the session's new place; None if there is none."""
        placed = await self.store.place(session_id, shape, epoch=epoch, by=self.server, labels=labels)
        return None if placed is None else placed.stage_id

    async def lose(self, name: str) -> None:
        """Let a stage not have renewed its lease for too long, and end it."""
        await let_pass(self.database, stages, name, ms=LEASE_MS + 1)
        assert await self.store.leases.end_lapsed(self.server) == [name]


@pytest.fixture
async def fleet(postgresql_url: str) -> AsyncIterator[Fleet]:
    async with open_fleet(postgresql_url) as (database, beside):
        _, token = await StageTokens(database).create("all stages")
        yield Fleet(database, beside, await steady_server(database, beside, "server"), token)


async def test_sessions_are_spread_until_every_place_is_taken(fleet: Fleet) -> None:
    ids = await add_sessions(fleet.database, 7)
    for name in ("a", "b", "c"):
        await fleet.enter(name, room_for(2))
    assert (await fleet.store.capacity(SMALL)).free == 6
    assert set(Counter([await fleet.place(one) for one in ids[:3]]).values()) == {1}
    assert set(Counter([await fleet.place(one) for one in ids[3:6]]).values()) == {1}
    assert await fleet.place(ids[6]) is None
    assert (await fleet.store.capacity(SMALL)).free == 0
    server_id, epoch, stage_id = await owner_of(fleet.database, ids[0])
    assert (server_id, epoch) == ("server", 1)
    assert await fleet.store.release(ids[0], epoch=1)
    assert not await fleet.store.release(ids[0], epoch=1), "it is given back once"
    assert await fleet.place(ids[6]) == stage_id
    assert await fleet.store.sums_are_right()


async def test_a_place_takes_what_the_size_costs_on_that_stage(fleet: Fleet) -> None:
    first, second, third = await add_sessions(fleet.database, 3)
    await fleet.enter("a", room_for(3))
    assert await fleet.place(first, LARGE) == "a"
    capacity = await fleet.store.capacity(SMALL)
    assert capacity.taken_mcores == pytest.approx(COSTS.session_cores(LARGE) * 1000, abs=1)
    assert COSTS.session_cores(LARGE) > 1.5 * COSTS.session_cores(SMALL)
    assert capacity.free == 1
    assert await fleet.place(second, LARGE) is None
    assert await fleet.place(second, SMALL) == "a"
    # Whatever it costs, the first session of a machine is taken, unless the stage says that it takes none.
    await fleet.enter("b", Room(room_mcores=1, frame_us=2_000, mpx_us=4_000))
    assert (await fleet.store.capacity(SMALL)).free == 1
    assert await fleet.place(third, LARGE) == "b"
    await fleet.enter("c", Room(room_mcores=0, frame_us=2_000, mpx_us=4_000))
    assert (await fleet.store.capacity(SMALL)).free == 0


async def test_a_placement_looks_at_few_stages_however_many_there_are(fleet: Fleet) -> None:
    """Whether or not PostgreSQL has counted what is in the table. Of a thousand it finds the one that has room, too."""
    ids = await add_sessions(fleet.database, 6)
    await fleet.enter("pattern", room_for(9), region="eu")
    async with fleet.database.write() as connection:
        columns = [one.name for one in stages.columns if one.name not in ("id", "lot")]
        names = ", ".join(columns)
        await connection.exec_driver_sql(
            f"INSERT INTO stages (id, {names}) SELECT 'stage_' || n, {names} FROM stages, generate_series(1, 999) n"
        )
    for session_id in ids[:2]:
        assert 0 < await looked_at(fleet, session_id, region="eu") < 100
    async with fleet.database.write() as connection:
        await connection.exec_driver_sql("ANALYZE stages")
    for session_id in ids[2:4]:
        assert 0 < await looked_at(fleet, session_id, region="eu") < 100
    await fleet.enter("other", room_for(1), region="us")
    assert await fleet.place(ids[4], region="us") == "other"
    assert await fleet.place(ids[5], region="us") is None
    assert await fleet.store.sums_are_right()


async def looked_at(fleet: Fleet, session_id: str, *, region: str) -> int:
    """Place a session; return how many rows of stages the database has read for it."""
    reading = text("SELECT seq_tup_read + idx_tup_fetch FROM pg_stat_user_tables WHERE relname = 'stages'")
    counts = []
    for places in (True, False):
        async with fleet.database.read() as connection:
            await connection.exec_driver_sql("SELECT pg_stat_force_next_flush()")
            counts.append(int((await connection.execute(reading)).scalar_one()))
        if places:
            assert await fleet.place(session_id, region=region) is not None
    return counts[1] - counts[0]


async def test_labels_are_matched_and_stages_that_drain_or_do_not_live_take_nothing(fleet: Fleet) -> None:
    first, second, *_ = await add_sessions(fleet.database, 4)
    await fleet.enter("eu", room_for(9), region="eu", kind="cpu")
    await fleet.enter("us", room_for(9), region="us", kind="cpu")
    assert await fleet.place(first, region="us", kind="cpu") == "us"
    assert await fleet.place(second, region="us", kind="gpu") is None
    assert (await fleet.store.capacity(SMALL, labels={"region": "eu"})).stages == 1
    await fleet.renew("eu", room_for(9, draining=True))
    assert await fleet.place(second, region="eu") is None
    await fleet.renew("eu", room_for(9))
    await let_pass(fleet.database, stages, "eu", ms=LEASE_MS + 1)
    assert await fleet.place(second, region="eu") is None, "it has lapsed"
    await fleet.renew("eu")
    assert await fleet.place(second, region="eu") == "eu"


async def test_of_many_that_ask_at_once_as_many_get_a_place_as_there_are(fleet: Fleet, postgresql_url: str) -> None:
    ids = await add_sessions(fleet.database, 60)
    for number in range(5):
        await fleet.enter(f"stage_{number}", room_for(4))
    other = await Database.open(postgresql_url)
    stores = [fleet.store, StageStore(other, beside=fleet.beside)]
    servers = [fleet.server, await steady_server(fleet.database, fleet.beside, "other")]
    placed: dict[str, Placed] = {}
    renewing = anyio.Event()

    async def renew_all() -> None:
        """The rows of all stages are written all the time, as by renewals."""
        while not renewing.is_set():
            for name in fleet.leases:
                await keep(fleet.database, stages, name)

    async def place(number: int) -> None:
        by = servers[number % 2]
        found = await stores[number % 2].place(ids[number], SMALL, epoch=0, by=by)
        if found is not None:
            placed[ids[number]] = found

    async with anyio.create_task_group() as renewals:
        renewals.start_soon(renew_all)
        async with anyio.create_task_group() as tasks:
            for number in range(60):
                tasks.start_soon(place, number)
        renewing.set()
    await other.aclose()
    assert Counter(one.stage_id for one in placed.values()) == {f"stage_{number}": 4 for number in range(5)}
    assert await fleet.store.sums_are_right()
    for session_id, one in placed.items():
        assert (await owner_of(fleet.database, session_id))[1:] == (one.epoch, one.stage_id)


async def test_the_only_stage_is_not_full_while_its_row_is_being_written(fleet: Fleet) -> None:
    (session_id,) = await add_sessions(fleet.database, 1)
    await fleet.enter("a", room_for(1))
    placed: list[str | None] = []

    async def place() -> None:
        placed.append(await fleet.place(session_id))

    async with anyio.create_task_group() as tasks, fleet.database.write() as connection:
        await connection.execute(select(stages.c.id).with_for_update())
        tasks.start_soon(place)
        await anyio.sleep(0.05)  # long enough for a placement; what follows is true however long it takes
        assert placed == []
    assert placed == ["a"]


async def test_one_of_two_servers_places_a_session_and_the_other_is_told(fleet: Fleet) -> None:
    ids = await add_sessions(fleet.database, 10)
    await fleet.enter("a", room_for(20))
    other = await steady_server(fleet.database, fleet.beside, "other")
    outcomes: list[bool] = []

    async def place(session_id: str, by: Lease) -> None:
        try:
            outcomes.append(await fleet.store.place(session_id, SMALL, epoch=0, by=by) is not None)
        except StaleOwner:
            outcomes.append(False)

    async with anyio.create_task_group() as tasks:
        for session_id in ids:
            tasks.start_soon(place, session_id, fleet.server)
            tasks.start_soon(place, session_id, other)
    assert Counter(outcomes) == {True: 10, False: 10}
    assert await fleet.store.sums_are_right()


async def test_a_placement_that_was_carried_out_before_its_answer_was_lost_is_found(fleet: Fleet) -> None:
    """`Database.at_once` carries a statement out once more if its connection has broken."""
    (session_id,) = await add_sessions(fleet.database, 1)
    await fleet.enter("a", room_for(2))
    first = await fleet.store.place(session_id, SMALL, epoch=0, by=fleet.server)
    assert first is not None and first == await fleet.store.place(session_id, SMALL, epoch=0, by=fleet.server)
    assert (await fleet.store.capacity(SMALL)).free == 1


async def test_sessions_of_a_lost_stage_get_other_places_and_a_stage_that_wakes_gets_nothing(fleet: Fleet) -> None:
    ids = await add_sessions(fleet.database, 4)
    await fleet.enter("a", room_for(4))
    for session_id in ids:
        assert await fleet.place(session_id) == "a"
    async with fleet.database.write() as connection:
        await connection.execute(update(sessions).values(status="started"))
    assert await fleet.store.lost(fleet.server) == []
    with pytest.raises(StaleOwner):  # it has a place
        await fleet.place(ids[0], epoch=1)
    await fleet.enter("b", room_for(3))
    await fleet.lose("a")
    assert not await fleet.rows.renew(fleet.leases["a"], fleet.rooms["a"])
    lost = await fleet.store.lost(fleet.server)
    assert sorted(one.session_id for one in lost) == sorted(ids)
    assert [await fleet.place(one.session_id, epoch=one.epoch) for one in lost] == ["b", "b", "b", None]
    assert [one.epoch for one in await fleet.store.lost(fleet.server)] == [1]
    assert await fleet.store.sums_are_right()


async def test_a_session_leaves_a_stage_that_drains_for_one_with_room_and_stays_without_one(fleet: Fleet) -> None:
    await fleet.enter("old", room_for(2))
    one, other = await add_sessions(fleet.database, 2)
    assert [await fleet.place(one), await fleet.place(other)] == ["old", "old"]
    with pytest.raises(StaleOwner):
        await fleet.place(one, epoch=1)
    await fleet.renew("old", room_for(2, draining=True))
    assert await fleet.place(one, epoch=1) is None
    await fleet.enter("new", room_for(1))
    assert await fleet.place(one, epoch=1) == "new"
    assert await fleet.place(other, epoch=1) is None
    places = [await owner_of(fleet.database, session_id) for session_id in (one, other)]
    assert places == [(fleet.server.id, 2, "new"), (fleet.server.id, 1, "old")]
    assert await fleet.store.sums_are_right()


async def test_a_server_whose_lease_was_ended_while_it_slept_places_nothing(fleet: Fleet) -> None:
    (session_id,) = await add_sessions(fleet.database, 1)
    await fleet.enter("a", room_for(1))
    await Leases.of_servers(fleet.beside).leave(fleet.server)
    with pytest.raises(StaleOwner):
        await fleet.place(session_id)
    with pytest.raises(StaleOwner):
        await fleet.place("sess_unknown")
    assert await owner_of(fleet.database, session_id) == (None, 0, None)
    assert await fleet.store.sums_are_right()


async def test_machines_are_forgotten_after_a_day_but_not_while_a_session_names_them(fleet: Fleet) -> None:
    (session_id,) = await add_sessions(fleet.database, 1)
    await fleet.enter("names a session", room_for(1))
    assert await fleet.place(session_id) == "names a session"
    for name in ("ended", "yesterday", "today"):
        await fleet.enter(name, room_for(1))
    async with fleet.database.write() as connection:
        await connection.execute(update(sessions).values(status="started"))
        await connection.execute(update(stages).where(stages.c.id == "ended").values(ended_at_ms=0))
    for name in ("names a session", "ended", "yesterday"):
        await let_pass(fleet.database, stages, name, ms=FORGOTTEN_AFTER_MS + 60_000)
    await let_pass(fleet.database, stages, "today", ms=FORGOTTEN_AFTER_MS - 60_000)
    await fleet.store.leases.forget()
    assert await names(fleet) == {"names a session", "today"}
    assert await fleet.store.leases.end_lapsed(fleet.server) != []
    assert [one.session_id for one in await fleet.store.lost(fleet.server)] == [session_id]
    await fleet.store.release(session_id, epoch=1)
    await fleet.store.leases.forget()
    assert await names(fleet) == {"today"}


async def names(fleet: Fleet) -> set[str]:
    async with fleet.database.read() as connection:
        return set(await connection.scalars(select(stages.c.id)))
