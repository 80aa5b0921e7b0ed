"""A session of a fleet in a caller's room: its server dies, and then its machine is lost. Agent and livekit-server are
real, as are the servers, the machines and the PostgreSQL.
"""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path

import httpx
import pytest
from livekit import rtc
from sqlalchemy import update
from visavis_client import AsyncVisavis

from tests.livekit.agent import Agent, Finished
from tests.livekit.conftest import start
from tests.supervisor.test_fleet_service import place_of, serving, taken
from tests.supervisor.test_supervisor import WITHIN_S, running
from tests.supervisor.test_take_over import SETTINGS, owner_of
from tools.livekit.server import LiveKitServer
from visavis.store.database import Database
from visavis.store.leases import NOW_MS
from visavis.store.models import stages

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(900)]


async def until(is_so: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(WITHIN_S):
        while not await is_so():  # noqa: ASYNC110 (other processes tell nobody)
            await asyncio.sleep(0.05)


class Comings:
    """Who came into a room and left it, as the agent was told."""

    def __init__(self, agent: Agent) -> None:
        self.told: list[tuple[str, str]] = []
        agent.room.on("participant_connected", lambda one: self._note("came", one))
        agent.room.on("participant_disconnected", lambda one: self._note("left", one))

    def _note(self, what: str, participant: rtc.RemoteParticipant) -> None:
        self.told.append((what, participant.identity))


async def test_it_outlives_its_server_and_its_machine_and_each_sentence_ends_once(
    livekit: LiveKitServer, agent: Agent, postgresql_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    database = await Database.open(postgresql_url)
    for name in ("one", "other", "second"):
        (tmp_path / name).mkdir()
    async with AsyncExitStack() as stack:
        starting = [serving(database, tmp_path / name, **SETTINGS) for name in ("one", "other")]  # type: ignore[arg-type]
        one, other = await asyncio.gather(*(stack.enter_async_context(server) for server in starting))
        first = await stack.enter_async_context(running(database, tmp_path, monkeypatch))
        client = await stack.enter_async_context(AsyncVisavis(one.base_url, one.key, retries=0))
        comings = Comings(agent)
        session_id = (await start(client, livekit, agent)).id
        owner, (before, _) = await owner_of(database, session_id), await place_of(database, session_id)
        await agent.wait_seen(pictures=3)

        await agent.speak(4.0)
        await agent.wait_started(1)
        os.kill(one.process.pid, signal.SIGKILL)
        await until(lambda: _differs(owner_of(database, session_id), owner))
        assert await agent.wait_finished(1) == [Finished(pytest.approx(4.0, abs=0.02), False)]  # type: ignore[arg-type]
        assert comings.told == [("came", "avatar")], "the room has noticed nothing"

        await stack.enter_async_context(running(database, tmp_path / "second", monkeypatch))
        await agent.speak(6.0)
        await agent.wait_started(2)
        os.kill(first.process_id(), signal.SIGKILL)
        async with database.write() as connection:  # its supervisor is in this process, and cannot be killed
            ended = {"ended_at_ms": NOW_MS, "epoch": stages.c.epoch + 1}
            await connection.execute(update(stages).where(stages.c.id == before).values(**ended))
        await until(lambda: _differs(_stage_of(database, session_id), before))
        pictures = agent.seen.pictures
        ends = await agent.wait_finished(2)
        assert ends[1].interrupted and 0.0 < ends[1].position_s < 6.0, "what the room had said is lost with its stage"
        await agent.wait_seen(pictures=pictures + 3)
        assert _twice(comings.told) == []

        await agent.speak(0.4)
        await agent.wait_finished(3)
        await asyncio.sleep(1.0)  # one more end would have come by now
        assert [end.interrupted for end in agent.finished] == [False, True, False]
        assert first.supervisor.process_ids, "it goes on as another machine"
        async with httpx.AsyncClient(base_url=other.base_url, headers={"x-api-key": one.key}) as http:
            assert (await http.put(f"/v1/sessions/{session_id}/end")).status_code == 200
        assert await taken(database) == [0, 0]
    await database.aclose()


async def _differs(found: Awaitable[str | None], before: str | None) -> bool:
    return await found not in (None, before)


async def _stage_of(database: Database, session_id: str) -> str | None:
    return (await place_of(database, session_id))[0]


def _twice(told: list[tuple[str, str]]) -> list[str]:
    """Return the identities that came while they were there."""
    there, twice = set[str](), list[str]()
    for what, identity in told:
        if what == "came" and identity in there:
            twice.append(identity)
        (there.add if what == "came" else there.discard)(identity)
    return twice
