"""Two servers on one PostgreSQL: limits hold for both together, and neither touches what the other performs."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anyio
import pytest
from sqlalchemy import select, update

from tests.conftest import Service, open_service
from tests.store.fleet_database import let_pass, make_steady
from visavis.sessions import sweep
from visavis.sessions.sweep import sweep_sessions
from visavis.store.database import Database
from visavis.store.leases import NOW_MS
from visavis.store.models import servers
from visavis.timestamps import now_ms

pytestmark = pytest.mark.anyio

WITHIN_S = 60


@dataclass(slots=True)
class Two:
    one: Service
    other: Service
    headers: dict[str, str]  # a key that both servers know
    folder: Path
    url: str

    @property
    def database(self) -> Database:
        return self.other.services.sessions._store._database

    async def create(self, service: Service) -> dict[str, Any]:
        body = {"avatar_id": self.one.look_id}
        answer = await service.client.post("/v1/sessions", json=body, headers=self.headers)
        assert answer.status_code == 201, answer.text
        session: dict[str, Any] = answer.json()["session"]
        return session

    async def put(self, service: Service, session: dict[str, Any], what: str) -> Any:
        return await service.client.put(f"/v1/sessions/{session['session_id']}/{what}", headers=self.headers)

    async def start(self, service: Service, session: dict[str, Any]) -> Any:
        """Ask until the session has started, or is refused."""
        with anyio.fail_after(WITHIN_S):
            while is_starting(answer := await self.put(service, session, "start")):  # noqa: ASYNC110
                await anyio.sleep(0.01)
        return answer

    async def ended(self, service: Service, session: dict[str, Any]) -> None:
        """Wait until the session is performed no longer."""
        with anyio.fail_after(WITHIN_S):
            while not service.performer(session["session_id"]).ended:  # noqa: ASYNC110
                await anyio.sleep(0.01)

    async def shown(self, service: Service, session: dict[str, Any]) -> dict[str, Any]:
        answer = await service.client.get(f"/v1/sessions/{session['session_id']}", headers=self.headers)
        found: dict[str, Any] = answer.json()["session"]
        return found


def is_starting(answer: Any) -> bool:
    return bool(answer.json().get("ws_uri") == "try_again")


@pytest.fixture
async def two(tmp_path: Path, postgresql_url: str) -> AsyncIterator[Two]:
    shared: dict[str, Any] = {"database_url": postgresql_url, "start_wait_s": 0.05, "secret": "s" * 32}
    async with (
        open_service(tmp_path / "one", **shared) as one,
        open_service(tmp_path / "other", **shared) as other,
    ):
        yield Two(one, other, {"x-api-key": one.key}, tmp_path, postgresql_url)


async def test_creates_on_both_take_as_many_places_as_there_are(two: Two) -> None:
    await two.one.services.accounts.set_plan("unlimited", {"max_concurrency": 5})
    codes: list[str] = []

    async def start(number: int) -> None:
        service = (two.one, two.other)[number % 2]
        session = await two.create(service)
        answer = await two.start(service, session)
        codes.append("started" if answer.status_code == 200 else answer.json()["error"]["code"])

    for service in (two.one, two.other):
        service.fleet.places = 200
    await two.other.services.avatars.prepare(two.one.look_id, b"a face")
    async with anyio.create_task_group() as tasks:
        for number in range(20):
            tasks.start_soon(start, number)
    assert (codes.count("started"), codes.count("CONCURRENCY_LIMIT_REACHED")) == (5, 15)
    assert len(two.one.fleet.performers) + len(two.other.fleet.performers) == 5


async def test_a_session_goes_on_whatever_the_other_server_does(two: Two) -> None:
    session = await two.create(two.one)
    await two.start(two.one, session)
    assert (await two.shown(two.other, session))["status"] == "started"
    assert (await two.start(two.other, session)).status_code == 200, "it has started already"
    await sweep_sessions(two.other.services.sessions._store, two.other.services.live, created_ttl_s=3600)
    async with open_service(two.folder / "third", database_url=two.url):
        pass
    assert (await two.shown(two.one, session))["status"] == "started"
    assert not two.one.performer(session["session_id"]).ended


async def test_a_session_that_one_server_starts_is_not_started_by_the_other(two: Two) -> None:
    session = await two.create(two.one)
    two.one.fleet.gate.clear()
    assert is_starting(await two.put(two.one, session, "start"))
    assert is_starting(await two.put(two.other, session, "start"))
    two.one.fleet.gate.set()
    assert (await two.start(two.other, session)).json()["ws_uri"].startswith("ws")
    assert session["session_id"] in two.one.fleet.performers and not two.other.fleet.performers


async def test_a_session_that_the_other_server_ends_is_performed_no_longer(two: Two) -> None:
    session = await two.create(two.one)
    await two.start(two.one, session)
    ended = (await two.put(two.other, session, "end")).json()["session"]
    assert ended["status"] == "ended"
    await two.ended(two.one, session)
    assert await two.shown(two.one, session) == await two.shown(two.other, session)


async def test_a_key_that_was_revoked_on_one_server_stops_on_the_other(two: Two) -> None:
    session = await two.create(two.one)
    await two.start(two.one, session)
    key = await two.other.services.accounts.authenticate(two.one.key)
    await two.other.services.accounts.revoke(key.id)
    with anyio.fail_after(WITHIN_S):
        while (answer := await two.one.client.get("/v1/sessions", headers=two.headers)).status_code == 200:  # noqa: ASYNC110
            await anyio.sleep(0.01)
    assert (answer.status_code, answer.json()) == (401, {"error": "API key has been deactivated"})
    await two.ended(two.one, session)


async def test_the_sessions_of_a_server_that_does_not_come_back_are_ended_by_another(two: Two) -> None:
    async with open_service(two.folder / "third", database_url=two.url, secret="s" * 32) as third:
        await third.services.avatars.prepare(two.one.look_id, b"a face")
        session = await two.create(third)
        await two.start(third, session)
        store, third_id = two.other.services.sessions._store, third.services.sessions._store.server_id
        third.services.live.let_go()  # as if it had died
    ended_ms = now_ms()

    async def sweep_once() -> dict[str, Any]:
        await make_steady(two.database, store.server_id)
        await sweep_sessions(store, two.other.services.live, created_ttl_s=3600)
        return await two.shown(two.other, session)

    assert (await sweep_once())["status"] == "started"
    await let_pass(two.database, servers, third_id, ms=200_000)
    assert (await sweep_once())["status"] == "started"
    await let_pass(two.database, servers, third_id, ms=400_000)
    with anyio.fail_after(WITHIN_S):
        # a renewal that was late has made it unsteady again
        while (await sweep_once())["status"] == "started":  # noqa: ASYNC110
            await anyio.sleep(0.01)
    found = await store.get(session["session_id"])
    assert found is not None and found.ended_at_ms is not None
    assert (found.end_reason, found.ended_at_ms <= ended_ms) == ("server_died", True)


async def test_after_a_pause_of_the_database_no_server_ends_what_the_others_perform(two: Two) -> None:
    session = await two.create(two.one)
    await two.start(two.one, session)
    store = two.other.services.sessions._store
    before_ms = await steady_since_ms(two.database, store.server_id)
    for service in (two.one, two.other):  # as after ten minutes without a database
        await let_pass(two.database, servers, service.services.sessions._store.server_id, ms=600_000)
    assert await store.abandoned(unseen_for_ms=sweep.ABANDONED_AFTER_S * 1000) == []
    with anyio.fail_after(WITHIN_S):  # its own lease is renewed now, and it waits for the others to have renewed theirs
        while await steady_since_ms(two.database, store.server_id) <= before_ms:  # noqa: ASYNC110
            await anyio.sleep(0.01)
    assert await store.abandoned(unseen_for_ms=sweep.ABANDONED_AFTER_S * 1000) == []
    assert (await two.shown(two.other, session))["status"] == "started"


async def steady_since_ms(database: Database, server_id: str) -> int:
    async with database.read() as connection:
        return int(await connection.scalar(select(servers.c.steady_since_ms).where(servers.c.id == server_id)) or 0)


async def test_a_server_whose_lease_was_ended_and_taken_again_goes_on_telling_its_clients(two: Two) -> None:
    """In no fleet nobody takes its sessions over, and nobody looks whose they are."""
    session = await two.create(two.one)
    await two.start(two.one, session)
    held = two.one.services.server_lease
    before = held.lease
    async with two.database.write() as connection:
        ended = {"ended_at_ms": NOW_MS, "epoch": servers.c.epoch + 1}
        await connection.execute(update(servers).where(servers.c.id == before.id).values(**ended))
    with anyio.fail_after(WITHIN_S):
        while held.lease == before:  # noqa: ASYNC110 (nobody tells)
            await anyio.sleep(0.02)
    with anyio.fail_after(WITHIN_S / 4):
        assert await two.one.services.live.table.running[session["session_id"]].is_ours()
