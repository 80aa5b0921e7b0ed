"""Faults at random while sessions run: stages are killed and stopped, the database is locked, clients end sessions.
Then the ledger is added up: no session has ended with its stage, each has ended once, for its true reason, at the right
second.
"""

from __future__ import annotations

import contextlib
import os
import random
import signal
import sqlite3
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import anyio
import httpx
import pytest
import structlog.testing

from tests.conftest import InProcess
from tests.fakes import fake_prepare
from tests.faults.scale import FULL
from tests.fleet.test_stage_fleet import PARTS
from tests.packs import place_pack
from tests.processes import PYTHON_PATH
from visavis.api.app import create_app
from visavis.api.services import Services
from visavis.avatars.service import Avatars
from visavis.engine.pack_ref import PackRef
from visavis.fleet.admission import Limits
from visavis.fleet.local import LocalStage, LocalStages
from visavis.fleet.performer import StagePerformer
from visavis.fleet.stages import StageFleet
from visavis.sessions.lifecycle import EndReason
from visavis.settings import Settings
from visavis.store.sessions import SessionStore

pytestmark = pytest.mark.anyio

ROUNDS = 60 if FULL else 4
SESSIONS = 4
SILENT_S = 2.5
WITHIN_S = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """What the ledger must say about a session: why it ended, and when at the earliest and at the latest (unix ms)."""

    reason: EndReason
    earliest_ms: int
    latest_ms: int


@contextlib.asynccontextmanager
async def service_with_stages(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[tuple[httpx.AsyncClient, Services, str]]:
    """A service with a real database and two real stages, which perform with the tests' own renderer."""
    monkeypatch.setenv("PYTHONPATH", PYTHON_PATH)
    ref = place_pack(folder)

    async def pack_ref(self: Avatars, look_id: str) -> PackRef:
        return ref

    monkeypatch.setattr(Avatars, "pack_ref", pack_ref)
    stages = LocalStages(data_dir=folder, max_stages=2, parts=PARTS, silent_s=SILENT_S)
    settings = Settings(data_dir=folder, rate_limit_per_minute=100_000)
    app = create_app(
        settings, StageFleet(stages, limits=Limits(measured=False, sessions_per_stage=SESSIONS)), fake_prepare, ()
    )
    async with app.router.lifespan_context(app):
        services = app.state.services
        _, key = await services.accounts.create(name="tests")
        owner = await services.accounts.authenticate(key)
        look = await services.avatars.add(b"a face", name="Avatar", owner=owner)
        transport = InProcess(app, raise_app_exceptions=False)
        async with httpx.AsyncClient(
            transport=transport, base_url="http://visavis.test", headers={"x-api-key": key}, timeout=WITHIN_S
        ) as client:
            yield client, services, look.id


async def start(client: httpx.AsyncClient, look: str) -> str:
    """Start a session; try again while the stages are being replaced. Return its id."""
    with anyio.fail_after(WITHIN_S):  # as a client does
        while (answer := await client.post("/v1/sessions", json={"avatar": look})).status_code == 503:  # noqa: ASYNC110
            await anyio.sleep(0.1)
    assert answer.status_code == 201, answer.text
    session_id: str = answer.json()["session"]["session_id"]
    return session_id


def stages_of(services: Services) -> list[LocalStage]:
    assert isinstance(services.fleet, StageFleet)
    return [stage for stage in services.fleet._stages if isinstance(stage, LocalStage)]


def all_go_on(services: Services, *, without: int) -> bool:
    """Whether the stage process `without` is given up, and every session is performed by another one."""
    if without in {stage.process.pid for stage in stages_of(services)}:
        return False
    links = [stage.link for stage in stages_of(services)]
    performers = [session.performer for session in services.live.table.running.values() if not session.ending]
    return all(isinstance(one, StagePerformer) and one.link in links for one in performers)


async def lock(database: sqlite3.Connection) -> None:
    """Take the write lock, as soon as the server lets it go."""
    while True:
        with contextlib.suppress(sqlite3.OperationalError):
            database.execute("BEGIN IMMEDIATE")
            return
        await anyio.sleep(0.005)


def now_ms() -> int:
    return time.time_ns() // 1_000_000


async def test_the_ledger_is_right_after_faults_at_random(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    chance = random.Random(20)
    expected: dict[str, Expected] = {}
    with structlog.testing.capture_logs() as logs:
        async with service_with_stages(tmp_path, monkeypatch) as (client, services, look):
            store: SessionStore = services.sessions._store
            for _ in range(ROUNDS):
                running = [await start(client, look) for _ in range(SESSIONS)]
                place = {one: stage.process.pid for stage in stages_of(services) for one in stage.link.sessions}
                by_client, fault = chance.choice(running), chance.choice(["kill", "stop", "none"])
                hit = chance.choice(sorted(set(place.values())))
                other = sqlite3.connect(tmp_path / "visavis.db", isolation_level=None, timeout=0)
                with contextlib.closing(other):
                    if chance.random() < 0.5:
                        await lock(other)  # for as long as the faults last
                    began_ms = now_ms()
                    assert (await client.put(f"/v1/sessions/{by_client}/end")).status_code == 200
                    expected[by_client] = Expected(reason=EndReason.CLIENT, earliest_ms=began_ms, latest_ms=now_ms())
                    began_ms = now_ms()
                    if fault != "none":
                        os.kill(hit, signal.SIGKILL if fault == "kill" else signal.SIGSTOP)
                    with anyio.fail_after(WITHIN_S):
                        while fault != "none" and not all_go_on(services, without=hit):  # noqa: ASYNC110
                            await anyio.sleep(0.02)
                assert all(services.live.table.is_live(one) for one in set(running) - {by_client})
                began_ms = now_ms()
                for one in set(running) - {by_client}:
                    assert (await client.put(f"/v1/sessions/{one}/end")).json()["session"]["status"] == "ended"
                    expected[one] = Expected(reason=EndReason.CLIENT, earliest_ms=began_ms, latest_ms=now_ms())
            with anyio.fail_after(WITHIN_S):
                while services.live.ends.unwritten or services.fleet.capacity().sessions > 0:  # noqa: ASYNC110
                    await anyio.sleep(0.02)
            rows = await store.lists.newest(await _account(store, expected), statuses=("ended",), limit=10_000)
            ledger = {record.id: record for record in rows}
            left = await store.started_here()
    assert left == []
    assert ledger.keys() == expected.keys()
    for session_id, told in expected.items():
        record = ledger[session_id]
        assert record.end_reason == told.reason, session_id
        assert record.ended_at_ms is not None
        assert told.earliest_ms - 1000 <= record.ended_at_ms <= told.latest_ms + 1000, session_id
    ends = [log["session_id"] for log in logs if log["event"] == "session_ended"]
    assert sorted(ends) == sorted(expected), "each end is logged once"
    assert not [log for log in logs if log["event"] in ("task_failed", "task_cancelled_itself", "session_end_lost")]


async def _account(store: SessionStore, expected: dict[str, Expected]) -> str:
    record = await store.get(next(iter(expected)))
    assert record is not None
    return record.account_id
