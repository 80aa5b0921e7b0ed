"""Rooms of this service's own on a real livekit-server. Its client never closes its byte stream, as the hosted
service's Pipecat client does not.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.faults.restarts import WITHIN_S, Place, place
from tests.livekit.agent import Agent, Finished
from tools.livekit.server import KEY, SECRET, LiveKitServer

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(900)]
AVATAR = "agenthuman-avatar-agent"  # the hosted service's Pipecat client speaks to nobody else


@pytest.fixture(scope="module")
def service(livekit: LiveKitServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """A server whose operator has a LiveKit server."""
    environment = {
        "VISAVIS_LIVEKIT_URL": livekit.url,
        "VISAVIS_LIVEKIT_API_KEY": KEY,
        "VISAVIS_LIVEKIT_API_SECRET": SECRET,
        "VISAVIS_ROOM_EMPTY_GRACE_S": "0.5",
    }
    with place(tmp_path_factory.mktemp("proxy"), **environment) as opened:
        yield opened


async def create(service: Place) -> dict[str, Any]:
    """Create a session in a proxy room."""
    if not service.processes:
        service.start()
        await service.ready()
    async with httpx.AsyncClient(base_url=service.base_url, headers=service.headers, timeout=WITHIN_S) as http:
        look = (await http.get("/v1/avatars?view=flat")).json()["public_avatars"][0]["avatar_id"]
        body = {"avatar": look, "aspect_ratio": "1:1", "room": {"platform": "proxy"}}
        answer = await http.post("/v1/sessions", json=body)
    assert answer.status_code == 201, answer.text
    document: dict[str, Any] = answer.json()
    assert document["room"] == document["session"]["room"]
    session: dict[str, Any] = document["session"]
    return session


async def end(service: Place, session: dict[str, Any]) -> None:
    async with httpx.AsyncClient(base_url=service.base_url, headers=service.headers, timeout=WITHIN_S) as http:
        for _ in range(2):  # as the hosted service's Pipecat client does
            assert (await http.post(f"/v1/sessions/{session['session_id']}/end")).status_code == 200


async def rooms(livekit: LiveKitServer) -> set[str]:
    listed = (await livekit.call("ListRooms")).get("rooms", [])
    assert isinstance(listed, list)
    return {room["name"] for room in listed if room["name"].startswith("vv-")}


async def until_rooms(livekit: LiveKitServer, names: set[str]) -> None:
    async with asyncio.timeout(WITHIN_S):
        while await rooms(livekit) != names:  # noqa: ASYNC110  # polls another process
            await asyncio.sleep(0.05)


async def test_the_caller_speaks_over_one_open_stream_and_the_room_ends_with_the_session(
    service: Place, livekit: LiveKitServer
) -> None:
    session = await create(service)
    (room_name,) = await rooms(livekit)
    await asyncio.sleep(1.0)  # nobody has come yet: the room is not empty in the sense that ends a session
    caller = Agent(livekit, room_name, "caller", served_by=AVATAR)
    assert session["room"]["roomURL"] == livekit.url
    await caller.join(session["room"]["participantToken"])
    try:
        assert list(caller.room.remote_participants) == [AVATAR]
        assert await caller.clear() == "ok"  # nothing plays: nothing finishes
        stream = await caller.speak(0.6, close=False)
        assert await caller.wait_finished(1) == [Finished(pytest.approx(0.6, abs=0.02), False)]  # type: ignore[arg-type]
        await stream.write(bytes(2 * 24_000 * 5))  # the same stream is the next segment
        await caller.wait_started(2)
        await caller.clear()
        assert (await caller.wait_finished(2))[1].interrupted
        await asyncio.sleep(0.5)  # the user speaks; what came before is dropped
        await stream.write(bytes(2 * 24_000 * 4 // 10))
        assert (await caller.wait_finished(3))[2] == Finished(pytest.approx(0.4, abs=0.02), False)  # type: ignore[arg-type]
        assert caller.seen.pictures > 0
        gone = asyncio.Event()
        caller.room.on("disconnected", lambda *_: gone.set())
        await end(service, session)
        await until_rooms(livekit, set())
        await gone.wait()
    finally:
        await caller.leave()


async def test_the_callers_leaving_is_the_end_and_rooms_of_a_killed_server_are_found_again(
    service: Place, livekit: LiveKitServer
) -> None:
    session = await create(service)
    (room_name,) = await rooms(livekit)
    caller = Agent(livekit, room_name, "caller", served_by=AVATAR)
    await caller.join(session["room"]["participantToken"])
    try:
        service.kill()
        service.start()
        await service.ready()
        assert await rooms(livekit) == {room_name}  # the stage went on with it, and the next server does
        await caller.speak(0.3)
        await caller.wait_finished(1)
        await caller.leave()
        await until_rooms(livekit, set())
        assert service.row(session["session_id"])["end_reason"] == "agent_left"

        lost = await create(service)
        assert len(await rooms(livekit)) == 1
        service.kill()
        for pid in service.stages:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        service.start()
        await service.ready()
        await until_rooms(livekit, set())
        assert service.row(lost["session_id"])["end_reason"] == "server_died"
    finally:
        await caller.leave()
