"""Two servers of a fleet and a machine: a server that is stopped or killed loses its sessions to the other, and no word
is lost or said twice.
"""

from __future__ import annotations

import asyncio
import os
import signal
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest
from sqlalchemy import select

from tests.faults.restarts import Client, Session
from tests.faults.test_interruptions import sound
from tests.live_server import LiveServer
from tests.supervisor.test_fleet_service import place_of, serving, taken
from tests.supervisor.test_supervisor import WITHIN_S, running
from visavis.errors import CloseCode
from visavis.store.database import Database
from visavis.store.models import sessions
from visavis.store.stages import StageStore

pytestmark = pytest.mark.anyio

PIECES = 20  # of 0.1 s, of each utterance
SETTINGS = {"VISAVIS_SECRET": "s" * 32, "VISAVIS_STAGE_GRACE_S": "60", "VISAVIS_CHANNEL_GRACE_S": "60"}


@dataclass(slots=True)
class Balancer:
    """Leads clients to one server."""

    server: LiveServer
    headers: dict[str, str]

    @property
    def base_url(self) -> str:
        return self.server.base_url


async def owner_of(database: Database, session_id: str) -> str | None:
    async with database.read() as connection:
        owner: str | None = await connection.scalar(select(sessions.c.server_id).where(sessions.c.id == session_id))
    return owner


async def until_log(path: Path, event: str) -> None:
    async with asyncio.timeout(WITHIN_S):
        while event not in await asyncio.to_thread(path.read_text):  # noqa: ASYNC110 (another process tells nobody)
            await asyncio.sleep(0.02)


async def speak(client: Client, utterance_id: str, *, pieces: range) -> None:
    for piece in pieces:
        await client.send(type="agent.speak", audio=sound(0.1), utterance_id=utterance_id, final=piece == PIECES - 1)


async def test_the_other_server_goes_on_with_the_sessions_of_one_that_is_stopped_or_killed(
    postgresql_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    database = await Database.open(postgresql_url)
    async with AsyncExitStack() as stack:
        names = ("one", "other")
        for name in names:
            (tmp_path / name).mkdir()
        starting = [serving(database, tmp_path / name, **SETTINGS) for name in names]  # type: ignore[arg-type]
        one, other = await asyncio.gather(*(stack.enter_async_context(server) for server in starting))
        await stack.enter_async_context(running(database, tmp_path, monkeypatch))
        front = Balancer(one, {"x-api-key": one.key})
        session = await Session.start(front)
        before = await owner_of(database, session.session_id)
        place = await place_of(database, session.session_id)
        client = Client(session, resume=True)
        async with session.viewer() as viewer:
            await client.open()
            await speak(client, "first", pieces=range(PIECES // 2))
            await client.until("agent.playback.started", utterance_id="first")
            os.kill(one.process.pid, signal.SIGSTOP)
            await client.give_up()
            front.server = other
            await speak(client, "first", pieces=range(PIECES // 2, PIECES))
            await client.until("agent.playback.finished", utterance_id="first")
            assert await owner_of(database, session.session_id) != before
            os.kill(one.process.pid, signal.SIGCONT)
            await until_log(tmp_path / "one" / "server.log", "session_lost_to_another_server")
            front.server = one  # which passes everything on to the other
            await client.give_up()
            await speak(client, "second", pieces=range(PIECES // 2))
            await client.until("agent.playback.started", utterance_id="second")
            async with session.viewer():  # the room's address is that of the first server
                pass
            os.kill(other.process.pid, signal.SIGKILL)
            await speak(client, "second", pieces=range(PIECES // 2, PIECES))
            await client.until("agent.playback.finished", utterance_id="second")
            assert await owner_of(database, session.session_id) == before
            _, blocks = viewer.peer.read()
            assert blocks.missing == 0, "viewers have noticed nothing"
        assert client.resumed == [False, True, True, True]
        assert client.closes[-1] == CloseCode.SERVER_CHANGES, "the first server has noticed that the other is gone"
        ends = [(one["utterance_id"], one["position_s"]) for one in client.all_of("agent.playback.finished")]
        assert ends == [("first", PIECES / 10), ("second", PIECES / 10)]
        confirmed = sum(message["audio_samples"] for message in client.all_of("agent.speak.confirmed"))
        assert confirmed == 2 * PIECES * 1600
        assert await place_of(database, session.session_id) == place
        await session.end()
        row = sessions.c
        async with database.read() as connection:
            query = select(row.status, row.end_reason).where(row.id == session.session_id)
            assert (await connection.execute(query)).one() == ("ended", "ended_by_client")
        assert await place_of(database, session.session_id) == (None, None) and await taken(database) == [0]
        assert await StageStore(database, beside=database).sums_are_right()
    for name in names:
        assert "Traceback" not in (tmp_path / name / "server.log").read_text()
    await database.aclose()
