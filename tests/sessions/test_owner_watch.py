"""Sessions of a server whose lease has ended come to another: two services with fake fleets on a real PostgreSQL."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import anyio
import pytest
from sqlalchemy import update

from tests.conftest import Service, open_service
from tests.fakes import FakePerformer
from tests.sessions.test_live_sessions import TIMEOUT_S, create, init, store, stored, wait_for_end
from visavis.channel.port import ServerChanges
from visavis.errors import HandOverBegun, StaleOwner, VisavisError
from visavis.fleet.port import Adopted
from visavis.sessions.isolated_tasks import IsolatedTasks
from visavis.sessions.lifecycle import EndReason
from visavis.sessions.observer import Observer
from visavis.sessions.owner_watch import OwnerWatch
from visavis.sessions.sweep import adopt_or_end, sweep_sessions
from visavis.stage.port.events import PlaybackFinished
from visavis.stage.port.held import HeldSession
from visavis.stage.port.values import PerformanceSpec
from visavis.store.database import Database
from visavis.store.last_seen import Seen
from visavis.store.leases import NOW_MS
from visavis.store.models import servers, sessions
from visavis.store.session_owners import SessionOwners

pytestmark = pytest.mark.anyio


@dataclass(slots=True)
class FakeStages:
    """Implements `owner_watch.Stages`: what a stage holds of one session, or what asking for it raises."""

    spec: PerformanceSpec | None = None
    failure: VisavisError | None = None
    gate: anyio.Event = field(default_factory=anyio.Event)
    asked: list[int] = field(default_factory=list)  # with which epochs of the row
    performer: FakePerformer | None = None
    given_up: list[str] = field(default_factory=list)

    async def take_over(self, session_id: str, *, ownership: int) -> Adopted | None:
        self.asked.append(ownership)
        await self.gate.wait()
        if self.failure is not None:
            raise self.failure
        if self.spec is None:
            return None
        self.performer = FakePerformer(self.spec)
        return Adopted(performer=self.performer, held=HeldSession(spec=self.spec, performed_s=30.0))

    def give_up(self, session_id: str) -> None:
        self.given_up.append(session_id)


@dataclass(slots=True)
class Two:
    one: Service
    other: Service

    @property
    def database(self) -> Database:
        return store(self.other)._database

    def watch(self, service: Service, stages: FakeStages) -> OwnerWatch:
        return OwnerWatch(
            server=service.services.server_lease,
            owners=SessionOwners(self.database),
            store=store(service),
            live=service.services.live,
            stages=stages,
            conversations=service.services.conversations,
        )

    async def start_placed(self) -> dict[str, Any]:
        """Start a session on the first server, and let it stand on a stage of the fleet."""
        session = await create(self.one)
        async with self.database.write() as connection:
            placed = update(sessions).where(sessions.c.id == session["session_id"])
            await connection.execute(placed.values(stage_id="a stage", place_mcores=1))
        return session

    async def let_other_take(self, watch: OwnerWatch, tasks: IsolatedTasks, session: dict[str, Any]) -> None:
        """End the first server's lease, and look until the other one takes the session. The first takes its lease again
        as soon as it notices.
        """
        ended = {"ended_at_ms": NOW_MS, "epoch": servers.c.epoch + 1}
        with anyio.fail_after(TIMEOUT_S):
            while (await stored(self.other, session["session_id"])).server_id != store(self.other).server_id:
                async with self.database.write() as connection:
                    of_one = update(servers).where(servers.c.id == store(self.one).server_id)
                    await connection.execute(of_one.values(**ended))
                await watch.look(tasks)


@pytest.fixture
async def two(tmp_path: Path, postgresql_url: str) -> AsyncIterator[Two]:
    shared: dict[str, Any] = {"database_url": postgresql_url, "secret": "s" * 32}
    async with (
        open_service(tmp_path / "one", **shared) as one,
        open_service(tmp_path / "other", **shared) as other,
    ):
        other.client.headers["x-api-key"] = one.key
        yield Two(one, other)


async def test_a_session_goes_on_on_the_other_server_and_the_one_that_slept_drops_it(two: Two) -> None:
    session = await two.start_placed()
    session_id, before = session["session_id"], two.one.performer(session["session_id"])
    stages = FakeStages(before.spec)
    attached = await two.one.services.live.attach(init(session))
    with pytest.raises(HandOverBegun):
        await two.other.services.live.attach(init(session))
    async with anyio.create_task_group() as group:
        tasks = IsolatedTasks(group)
        await two.let_other_take(two.watch(two.other, stages), tasks, session)
        await sweep_sessions(store(two.other), two.other.services.live, created_ttl_s=3600)
        assert (await stored(two.other, session_id)).status == "started", "it is being taken over"
        group.start_soon(two.other.services.live.attach, init(session))  # waits for it
        await anyio.wait_all_tasks_blocked()
        stages.gate.set()
    assert stages.asked == [(await stored(two.other, session_id)).epoch]
    live = two.other.services.live.table.running[session_id]
    assert live.has_channel and live.performer is stages.performer
    assert 30.0 <= (live.now_ms() - live.clock.started_at_ms) / 1000 < 40.0

    watch = two.watch(two.one, FakeStages())
    async with anyio.create_task_group() as group:
        with anyio.fail_after(TIMEOUT_S):
            while session_id in two.one.services.live.table.running:
                await watch.look(IsolatedTasks(group), takes=False)
                await anyio.sleep(0.01)
    events = [event async for event in attached.events()]
    assert events[-1] == ServerChanges(taken=True)
    assert not any(isinstance(event, PlaybackFinished) for event in events)
    with pytest.raises(HandOverBegun):
        await two.one.services.live.attach(init(session))
    room = session["daily_room"]
    headers = {"Authorization": f"Bearer {room['token']}"}
    refused = await two.one.client.get(f"/rooms/{room['url'].rpartition('/')[2]}/picture", headers=headers)
    assert (refused.status_code, refused.json()["error"]["code"]) == (503, "PERFORMER_LOST"), refused.text
    await sweep_sessions(store(two.one), two.one.services.live, created_ttl_s=3600)
    assert (await stored(two.one, session_id)).status == "started"
    await two.other.client.put(f"/v1/sessions/{session_id}/end")
    assert (await stored(two.one, session_id)).end_reason == EndReason.CLIENT


@pytest.mark.parametrize("was_live", [False, True])
async def test_a_server_that_died_before_it_asked_for_a_session_it_had_taken_over_asks_when_it_starts_again(
    two: Two, was_live: bool
) -> None:
    """`was_live`: it had performed the session, so its stage would have told of it at the start."""
    session = await two.start_placed()
    session_id, stages = session["session_id"], FakeStages(two.one.performer(session["session_id"]).spec)
    async with two.database.write() as connection:
        taken = update(sessions).where(sessions.c.id == session_id)
        await connection.execute(taken.values(server_id=store(two.other).server_id, epoch=sessions.c.epoch + 1))
    live, epoch = two.other.services.live, (await stored(two.other, session_id)).epoch
    seen = {session_id: Seen(seen_at_ms=0)} if was_live else {}
    unasked = await adopt_or_end(store(two.other), live, Observer(), [], seen, asks_stages=True)
    assert [record.id for record in unasked] == ([] if was_live else [session_id])
    if was_live:
        assert (await stored(two.other, session_id)).end_reason == EndReason.SERVER_DIED
        return
    watch = two.watch(two.other, stages)
    watch.expect(unasked)
    await sweep_sessions(store(two.other), live, created_ttl_s=3600)
    assert (await stored(two.other, session_id)).status == "started", "it is being taken over"
    async with anyio.create_task_group() as group:
        group.start_soon(watch.run)
        stages.gate.set()
        with anyio.fail_after(TIMEOUT_S):
            attached = await live.attach(init(session))
        assert stages.asked == [epoch] and live.table.running[session_id].performer is stages.performer
        await attached.detach()
        group.cancel_scope.cancel()


@pytest.mark.parametrize("stage_died", [True, False])
async def test_a_session_that_no_stage_performs_ends_and_one_with_a_later_owner_does_not(
    two: Two, stage_died: bool
) -> None:
    session = await two.start_placed()
    stages = FakeStages(failure=None if stage_died else StaleOwner("a later one"))
    stages.gate.set()
    async with anyio.create_task_group() as group:
        await two.let_other_take(two.watch(two.other, stages), IsolatedTasks(group), session)
    if stage_died:
        record = await wait_for_end(two.other, session["session_id"])
        assert record.end_reason == EndReason.SERVER_DIED and record.stage_id is None
    else:
        assert (await stored(two.other, session["session_id"])).status == "started"
        assert not two.other.services.live.table.taking
        assert stages.given_up == [session["session_id"]], "it is no stray"


async def test_a_session_that_is_on_a_stage_of_its_own_server_waits_for_that(two: Two) -> None:
    session = await create(two.one)
    ended = {"ended_at_ms": NOW_MS, "epoch": servers.c.epoch + 1}
    async with two.database.write() as connection:
        of_one = update(servers).where(servers.c.id == store(two.one).server_id)
        await connection.execute(of_one.values(**ended))
    async with anyio.create_task_group() as group:
        await two.watch(two.other, FakeStages()).look(IsolatedTasks(group))
    assert (await stored(two.other, session["session_id"])).server_id == store(two.one).server_id
