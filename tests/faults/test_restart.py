"""A server that is killed -9 while its sessions go on, and started again on the same data folder: the sessions are live
again, viewers have watched on, and each utterance has one end.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sqlite3
import time
from contextlib import closing
from pathlib import Path

import httpx
import pytest

from tests.faults.restarts import Client, Session, is_alive, place
from tests.faults.scale import FULL, only_in_full
from tests.faults.test_interruptions import sound
from tests.faults.waiting import until
from tests.processes import children

pytestmark = pytest.mark.anyio


async def test_sessions_of_a_killed_server_go_on_with_the_next_one(tmp_path: Path) -> None:
    spoken_s = 20.0 if FULL else 6.0
    with place(tmp_path) as here:
        here.start()
        await here.ready()
        session = await Session.start(here)
        client = Client(session, resume=False)
        async with session.viewer() as viewer:
            await client.open()
            before = here.row(session.session_id)
            await client.send(type="agent.speak", audio=sound(spoken_s), utterance_id="long", final=True)
            await client.until("agent.playback.started", utterance_id="long")
            viewer.peer.read()
            stages = set(here.stages)
            here.kill()
            assert all(is_alive(pid) for pid in stages)
            here.start()
            finished = await client.until("agent.playback.finished", utterance_id="long")
            assert (finished["position_s"], finished["interrupted"]) == (spoken_s, False)
            # the viewer has got every block of sound, though the server was away
            pictures, blocks = viewer.peer.read()
            assert blocks.missing == 0 and blocks.received > 50 * spoken_s * 0.8
            assert pictures.received > 0
            # the session is as live as before: speech, an interrupt, viewers who come and go
            await client.send(type="agent.speak", audio=sound(60.0), utterance_id="cut", final=True)
            await client.until("agent.playback.started", utterance_id="cut")
            await client.send(type="agent.interrupt")
            await client.until("agent.playback.finished", utterance_id="cut", interrupted=True)
            await here.ready()
            assert here.stages == stages, "no other stage was started"
            async with session.viewer() as second:
                assert await second.leave() == 200
            assert await viewer.leave() == 200
        finished_ids = [message["utterance_id"] for message in client.all_of("agent.playback.finished")]
        assert finished_ids == ["long", "cut"]
        document = await session.read()
        assert document["status"] == "started"
        ended_s = time.time()
        await session.end()
        after = here.row(session.session_id)
        assert (after["status"], after["end_reason"]) == ("ended", "ended_by_client")
        assert after["started_at_ms"] == before["started_at_ms"]
        assert after["first_frame_at_ms"] is not None
        assert abs(after["ended_at_ms"] / 1000 - ended_s) < 1.0
        await here.stop()
        await here.until_stages_end()


async def test_stages_without_a_server_end_and_their_sessions_end_as_of_when_they_were_last_seen(
    tmp_path: Path,
) -> None:
    with place(tmp_path, VISAVIS_STAGE_GRACE_S="0.5") as here:
        here.start()
        await here.ready()
        session = await Session.start(here)
        await asyncio.sleep(2.0)  # the session lasts for a while
        killed_s = time.time()
        here.kill()
        await here.until_stages_end()
        here.start()
        await here.ready()
        row = here.row(session.session_id)
        assert (row["status"], row["end_reason"]) == ("ended", "server_died")
        assert -1.0 < row["ended_at_ms"] / 1000 - killed_s < 0.5
        await here.stop()


@only_in_full
async def test_an_end_is_told_though_stage_and_server_died_before_the_client_came_back(tmp_path: Path) -> None:
    with place(tmp_path, VISAVIS_LOG_JSON="true") as here:
        here.start()
        await here.ready()
        session = await Session.start(here)
        client = Client(session, resume=False)
        await client.open()
        await client.send(type="agent.speak", audio=sound(0.3), utterance_id="untold", final=True)
        await client.until("agent.speak.confirmed")
        assert client.connection is not None
        await client.connection.close()
        await asyncio.sleep(1.5)  # it is played meanwhile
        (stage,) = here.stages
        os.kill(stage, signal.SIGKILL)
        await until(lambda: '"session_moved"' in here.log, seen=lambda: here.log)
        here.stages |= set(children(here.server.pid, "visavis.stage"))
        here.kill()
        here.start()
        await client.open()
        await client.until("agent.playback.finished", utterance_id="untold", position_s=0.3, interrupted=False)
        await here.ready()
        await client.send(type="agent.speak", audio=sound(0.1), utterance_id="next", final=True)
        await client.until("agent.playback.finished", utterance_id="next")
        told = [message["utterance_id"] for message in client.all_of("agent.playback.finished")]
        assert told == ["untold", "next"]
        await here.stop()
        await here.until_stages_end()


@only_in_full
async def test_clients_are_told_once_though_the_database_was_locked_when_their_server_was_killed(
    tmp_path: Path,
) -> None:
    """What webhooks are to be told waits for the database; the clients have it long before."""
    with place(tmp_path, VISAVIS_WEBHOOK_NETWORKS='["127.0.0.0/8"]') as here:
        here.start()
        await here.ready()
        async with httpx.AsyncClient(base_url=here.base_url, headers=here.headers) as http:
            assert (await http.post("/v1/webhooks", json={"url": "http://127.0.0.1:9/"})).status_code == 201
        clients = [Client(await Session.start(here), resume=resume) for resume in (False, True)]
        for client in clients:
            await client.open()
        with closing(sqlite3.connect(here.folder / "visavis.db", isolation_level=None)) as database:
            database.execute("BEGIN IMMEDIATE")
            for client in clients:
                await client.send(type="agent.speak", audio=sound(0.2), utterance_id="first", final=True)
                await client.until("agent.playback.finished", utterance_id="first")
            here.kill()
        here.start()
        await here.ready()
        for client in clients:
            await client.come_back()
            await client.send(type="agent.speak", audio=sound(0.1), utterance_id="next", final=True)
            await client.until("agent.playback.finished", utterance_id="next")
            for kind in ("agent.playback.started", "agent.playback.finished"):
                assert [message["utterance_id"] for message in client.all_of(kind)] == ["first", "next"]
        await here.stop()
        await here.until_stages_end()


@only_in_full
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_server_that_is_told_to_stop_ends_its_stages_though_it_is_killed_then(
    tmp_path: Path, number: int
) -> None:
    with place(tmp_path, VISAVIS_DRAIN_S="600") as here:
        here.start()
        await here.ready()
        session = await Session.start(here)
        client = Client(session, resume=False)
        await client.open()
        await client.send(type="agent.speak", audio=sound(60.0), utterance_id="long", final=True)
        await client.until("agent.playback.started", utterance_id="long")
        os.kill(here.server.pid, number)
        await asyncio.sleep(1.0)  # it drains
        here.kill()
        began_s = time.monotonic()
        await here.until_stages_end()
        assert time.monotonic() - began_s < 10.0, "they did not wait for their grace period of 15 s"
