"""`visavis serve` without stages of its own, and a machine of the fleet: sessions are placed by the database, performed
there, and give their places back.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import wave
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import select, update

from tests.e2e.wire_session import receive, running_session, speak
from tests.live_server import LiveServer
from tests.store.fleet_database import keep
from tests.supervisor.fleet_viewer import MAPPED, MAPPED_PORT, NotingViewer, stun_server
from tests.supervisor.test_supervisor import NETWORK, WITHIN_S, Machine, running
from visavis.demo.server_process import ServerProcess, free_port
from visavis.demo.session_client import SessionClient
from visavis.library import SAMPLE
from visavis.sessions.stage_sources import MachineSources
from visavis.store.database import Database
from visavis.store.leases import NOW_MS
from visavis.store.models import sessions, stages
from visavis.store.stage_rows import Reached, Room, StageRows
from visavis.store.stage_tokens import StageTokens
from visavis.store.stages import StageStore
from visavis.supervisor.certificate import made_for

pytestmark = pytest.mark.anyio


@asynccontextmanager
async def serving(database: Database, folder: Path, *, port: int = 0, **more: str) -> AsyncIterator[LiveServer]:
    """Run a server of the fleet, or start it again on its folder and port. `more`: settings."""
    port = port or free_port()
    settings = {
        "VISAVIS_DATABASE_URL": database.url,
        "VISAVIS_FLEET": "true",
        "VISAVIS_STAGE_SOURCE_URL": f"http://127.0.0.1:{port}",
        "VISAVIS_RATE_LIMIT_PER_MINUTE": "100000",
        "VISAVIS_STAGE_GRACE_S": "15",
        **more,
    }
    process = ServerProcess(port=port, data_dir=folder / "server", log=folder / "server.log", settings=settings)
    with process:
        await asyncio.to_thread(process.wait_ready)
        key = await asyncio.to_thread(process.create_key, "tests")
        async with httpx.AsyncClient(base_url=process.base_url, headers={"x-api-key": key}) as http:
            character = (await http.get("/v1/avatars/public")).json()["avatars"][0]["avatar_id"]
            looks = await http.get("/v1/avatars", params={"parent_id": character, "characters_only": "false"})
        look = looks.json()["avatars"][0]["avatar_id"]
        yield LiveServer(base_url=process.base_url, key=key, look=look, process=process)


def two_seconds(folder: Path) -> Path:
    """Return the beginning of a recording of speech."""
    path = folder / "two-seconds.wav"
    with wave.open(str(SAMPLE)) as whole, wave.open(str(path), "wb") as part:
        part.setparams(whole.getparams())
        part.writeframes(whole.readframes(2 * whole.getframerate()))
    return path


async def place_of(database: Database, session_id: str) -> tuple[str | None, int | None]:
    row = sessions.c
    async with database.read() as connection:
        found = await connection.execute(select(row.stage_id, row.place_mcores).where(row.id == session_id))
    stage_id, place_mcores = found.one()
    return stage_id, place_mcores


async def taken(database: Database) -> list[int]:
    async with database.read() as connection:
        return list(await connection.scalars(select(stages.c.taken_mcores).where(stages.c.ended_at_ms.is_(None))))


async def test_a_session_is_placed_performed_and_gives_its_place_back(
    postgresql_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    database = await Database.open(postgresql_url)
    store = StageStore(database, beside=database)
    async with AsyncExitStack() as afterwards:
        async with serving(database, tmp_path) as server, calling(server) as http:
            await _refused_without_a_machine(http, server)
            machine = await afterwards.enter_async_context(running(database, tmp_path, monkeypatch))
            (row,) = await machine.rows()
            await _perform(http, server, machine, row)
            await _ask_for_labels(http, server, machine, row)
            await _move_within_the_machine(http, server, machine)
            await _move_to_another_machine(http, server, machine)
        async with serving(database, tmp_path) as server, calling(server) as http:
            await _go_on_after_a_kill_of_the_server(http, server, machine)
    assert await store.sums_are_right()
    assert "Traceback" not in (tmp_path / "server.log").read_text()
    await database.aclose()


async def test_sessions_leave_a_machine_that_stops_and_go_to_none_that_is_not_what_it_says(
    postgresql_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    database = await Database.open(postgresql_url)
    async with running(database, tmp_path, monkeypatch) as machine, stun_server() as stun:
        ice = json.dumps([{"url": stun}])
        async with serving(database, tmp_path, VISAVIS_ICE_SERVERS=ice) as server, calling(server) as http:
            (row,) = await machine.rows()
            await _fetch_nothing_of_others(http, server, machine)
            await _pass_over_a_machine_with_the_name_of_another(http, server, machine, row)
            await _leave_a_machine_that_stops(http, server, machine, monkeypatch)
    assert "Traceback" not in (tmp_path / "server.log").read_text()
    await database.aclose()


def calling(server: LiveServer) -> httpx.AsyncClient:
    return httpx.AsyncClient(base_url=server.base_url, headers={"x-api-key": server.key}, timeout=30)


async def _refused_without_a_machine(http: httpx.AsyncClient, server: LiveServer) -> None:
    created = (await http.post("/v1/sessions", json={"avatar_id": server.look})).json()["session"]
    refused = await http.put(f"/v1/sessions/{created['session_id']}/start")
    assert (refused.status_code, refused.json()["error"]["code"]) == (503, "NO_CAPACITY"), refused.text


async def _perform(http: httpx.AsyncClient, server: LiveServer, machine: Machine, row: dict[str, Any]) -> None:
    database = machine.database
    async with running_session(server, SessionClient(http), "playback") as (session, channel):
        stage_id, place_mcores = await place_of(database, session["session_id"])
        assert stage_id == row["id"] and place_mcores
        assert await taken(database) == [place_mcores]
        await _fleet_is_shown(http, place_mcores)
        await speak(channel, two_seconds(machine.folder), "sample")
        assert (await receive(channel))["type"] == "agent.playback.started"
    assert await place_of(database, session["session_id"]) == (None, None)
    assert await taken(database) == [0]


async def _fetch_nothing_of_others(http: httpx.AsyncClient, server: LiveServer, machine: Machine) -> None:
    """The token with which a machine fetches packs and pictures opens those of its sessions, while it has them."""
    (row,) = await machine.rows()
    store = StageStore(machine.database, beside=machine.database)
    sources = MachineSources((machine.folder / "server" / "secret").read_bytes(), store)
    client = SessionClient(http)
    session_id = (await client.create(server.look, {}))["session_id"]

    async def asked(token: str) -> list[str]:
        paths = (f"pictures/{session_id}/pict_{'0' * 64}", f"packs/{server.look}/1/{'0' * 64}")
        answers = [await http.get(f"/internal/{path}", headers={"authorization": f"Bearer {token}"}) for path in paths]
        return [one.json()["error"]["message"] for one in answers]

    own, refused = sources.token_of(str(row["id"])), ["This stage performs no such session"] * 2
    assert await asked(own) == refused
    await client.start(session_id)
    assert await asked(own) == ["There is no such picture", "There is no such pack"]
    assert await asked(sources.token_of("stage_other")) == refused
    for forged in (own[:-1], own + "0", own.replace("stage_", "stage_a"), "stage_"):
        assert await asked(forged) == ["The token of a stage is required"] * 2
    await client.end(session_id)
    assert await asked(own) == refused
    assert "stage_source_refused" in (machine.folder / "server.log").read_text()


async def _pass_over_a_machine_with_the_name_of_another(
    http: httpx.AsyncClient, server: LiveServer, machine: Machine, row: dict[str, Any]
) -> None:
    """A machine with a token of its own says that it is reached where the first one is. Its sessions go to the first
    one, and no server tells it anything.
    """
    database = machine.database
    _, token = await StageTokens(database).create("another machine")
    with made_for("127.0.0.1", machine.folder) as certificate:
        reached = Reached(address=row["address"], port_token="its own", certificate=certificate.authority_pem)
    rows = StageRows(database, token=token)
    room = Room(room_mcores=100_000, frame_us=1, mpx_us=1)
    lease = await rows.enter("stage_impostor", reached, labels={}, room=room)
    await keep(database, stages, "stage_impostor")
    client = SessionClient(http)
    async with holding(database, {"id": "stage_impostor"}, mcores=-1):  # so it is chosen first
        for _ in range(2):
            session_id = (await client.create(server.look, {}))["session_id"]
            await client.start(session_id)
            assert (await place_of(database, session_id))[0] == row["id"]
            await client.end(session_id)
    await rows.leave(lease, room)
    log = (machine.folder / "server.log").read_text()
    assert log.count("machine_not_reached") == 1 and "certificate verify failed" in log


async def _fleet_is_shown(http: httpx.AsyncClient, place_mcores: int) -> None:
    """Any server shows the whole fleet, a second later at most."""
    wanted = f'visavis_fleet_cores{{state="taken"}} {place_mcores / 1000}'
    async with asyncio.timeout(WITHIN_S):
        while wanted not in (shown := (await http.get("/metrics")).text):  # noqa: ASYNC110 (nobody tells)
            await asyncio.sleep(0.1)
    assert "visavis_fleet_machines 1.0" in shown


async def _ask_for_labels(http: httpx.AsyncClient, server: LiveServer, machine: Machine, row: dict[str, Any]) -> None:
    """The machine has the label region=eu."""
    outcomes = []
    for labels in ({"region": "eu"}, {"region": "us", "kind": "gpu"}):
        body = {"avatar_id": server.look, "options": {"machine_labels": labels}}
        created = (await http.post("/v1/sessions", json=body)).json()
        assert created["options"]["machine_labels"] == labels
        session_id = created["session"]["session_id"]
        started = await http.put(f"/v1/sessions/{session_id}/start")
        outcomes.append((started.status_code, (await place_of(machine.database, session_id))[0]))
        if started.status_code == 200:
            await SessionClient(http).end(session_id)
    assert outcomes == [(200, row["id"]), (503, None)]
    assert int(started.headers["retry-after"]) > 0
    assert "No machine that takes sessions has the labels kind=gpu, region=us" in started.text


async def _move_within_the_machine(http: httpx.AsyncClient, server: LiveServer, machine: Machine) -> None:
    """A process dies: the session goes on on the one that the supervisor starts in its place."""
    async with running_session(server, SessionClient(http), "playback") as (session, channel):
        await speak(channel, two_seconds(machine.folder), "first")
        assert (await receive(channel))["type"] == "agent.playback.started"
        os.kill(machine.process_id(), signal.SIGKILL)
        async with asyncio.timeout(WITHIN_S):
            while (message := await receive(channel))["type"] != "agent.playback.finished":
                assert message["type"] != "error", message
        shown = (await http.get(f"/v1/sessions/{session['session_id']}")).json()
        assert shown["session"]["status"] == "started"


async def _move_to_another_machine(http: httpx.AsyncClient, server: LiveServer, machine: Machine) -> None:
    """The machine's lease ends: it kills its processes and enters under another name, and the session goes on there."""
    async with running_session(server, SessionClient(http), "playback") as (session, channel):
        (before, _), session_id = await place_of(machine.database, session["session_id"]), session["session_id"]
        await speak(channel, two_seconds(machine.folder), "first")
        assert (await receive(channel))["type"] == "agent.playback.started"
        process_id = machine.process_id()
        async with machine.database.write() as connection:
            ended = {"ended_at_ms": NOW_MS, "epoch": stages.c.epoch + 1}
            await connection.execute(update(stages).where(stages.c.id == before).values(**ended))
        async with asyncio.timeout(WITHIN_S):
            while (message := await receive(channel))["type"] != "agent.playback.finished":
                assert message["type"] != "error", message
        with pytest.raises(ProcessLookupError):  # nothing of the time before goes on
            os.kill(process_id, 0)
        stage_id, place_mcores = await place_of(machine.database, session_id)
        assert stage_id not in (None, before) and await taken(machine.database) == [place_mcores]
        shown = (await http.get(f"/v1/sessions/{session_id}")).json()
        assert shown["session"]["status"] == "started"
    assert await place_of(machine.database, session_id) == (None, None), "the end is written with the row's new epoch"
    assert await taken(machine.database) == [0]


async def _leave_a_machine_that_stops(
    http: httpx.AsyncClient, server: LiveServer, machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A session that says nothing goes to the other machine before its own one has stopped. Its room stays where it
    was: a viewer that has lost it comes back at the same address.
    """
    database, folder = machine.database, machine.folder / "second"
    folder.mkdir()
    (kept,) = await machine.rows()
    async with running(database, folder, monkeypatch) as second:
        async with holding(database, kept, mcores=100_000):  # as if it had no room
            client = SessionClient(http)
            created = await client.create(server.look, {})
            session_id, room = created["session_id"], created["daily_room"]
            await client.start(session_id)
        before, _ = await place_of(database, session_id)
        assert before != kept["id"]
        whep = {"whep_url": f"{room['url']}/whep", "token": room["token"]}
        viewer = NotingViewer(**whep)
        await viewer.open()
        await viewer.see(3, within_s=WITHIN_S)
        second.supervisor.stop()
        async with asyncio.timeout(WITHIN_S):
            while (await place_of(database, session_id))[0] == before:
                assert not second.task.done()
                await asyncio.sleep(0.02)
            await asyncio.wait((second.task,))
        assert (await place_of(database, session_id))[0] == kept["id"]
        async with asyncio.timeout(WITHIN_S):
            async for _ in viewer.pictures():
                pass
        assert viewer.lost, "its first connection is over"
        async with NotingViewer(**whep) as again:
            await again.see(3, within_s=WITHIN_S)
        await client.end(session_id)
    assert await taken(database) == [0]
    for one in (viewer, again):
        ports = {port for address, port, _ in one.candidates if address == "203.0.113.7"}
        assert len(ports) == 1 and ports < set(NETWORK.ports.numbers), one.candidates
        assert {port for _, port, kind in one.candidates if kind == "host"} == ports, "one port for all"
        assert (MAPPED, MAPPED_PORT, "srflx") in one.candidates, "as a STUN server of the server's settings sees it"
    assert viewer.candidates != again.candidates
    log = (machine.folder / "server.log").read_text()
    assert "its machine stops" in log


@asynccontextmanager
async def holding(database: Database, row: dict[str, Any], *, mcores: int) -> AsyncIterator[None]:
    """Let a machine seem to have so much taken, beside its sessions."""
    for taken_more in (mcores, -mcores):
        async with database.write() as connection:
            more = {"taken_mcores": stages.c.taken_mcores + taken_more}
            await connection.execute(update(stages).where(stages.c.id == row["id"]).values(**more))
        if taken_more == mcores:
            yield


async def _go_on_after_a_kill_of_the_server(http: httpx.AsyncClient, server: LiveServer, machine: Machine) -> None:
    """The server is killed and started again: it finds the machine in the database, and the session there."""
    client = SessionClient(http)
    session_id = (await client.create(server.look, {}))["session_id"]
    await client.start(session_id)
    before = await place_of(machine.database, session_id)
    os.kill(server.process.pid, signal.SIGKILL)
    await asyncio.to_thread(server.process.wait)
    async with serving(machine.database, machine.folder, port=server.process.port):
        shown = (await http.get(f"/v1/sessions/{session_id}")).json()["session"]
        assert shown["status"] == "started", shown
        assert before != (None, None) and await place_of(machine.database, session_id) == before
        await client.end(session_id)
        assert await place_of(machine.database, session_id) == (None, None)
    assert await taken(machine.database) == [0]
