"""An avatar's connection in trouble, against a real livekit-server: it is reset, breaks, changes its address, outlives
its token, and is sent to another server.
"""

from __future__ import annotations

import asyncio
import time
from pathlib import Path as File
from typing import Literal

import pytest
from livekit.protocol import models, rtc

from tests.livekit.agent import Agent, Finished
from tests.livekit.bare_session import assert_speaks, joined
from tests.livekit.path import Path
from tools.livekit.server import LiveKitServer, running
from visavis.rooms.livekit import signalling

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(900)]

RATE_HZ = 24_000


def note_who_leaves(agent: Agent) -> list[str]:
    """Return a list that gets the identities of those who leave the agent's room."""
    left: list[str] = []
    agent.room.on("participant_disconnected", lambda one: left.append(one.identity))
    return left


@pytest.mark.parametrize("event", ["participant_connected", "track_published"])
async def test_an_agent_that_speaks_as_soon_as_it_sees_the_avatar_is_heard(
    livekit: LiveKitServer, agent: Agent, event: Literal["participant_connected", "track_published"]
) -> None:
    """Its speech may come before the avatar's join is over."""
    speaking: list[asyncio.Task[None]] = []

    def speak(*_: object) -> None:
        if not speaking:
            speaking.append(asyncio.create_task(agent.speak(0.4)))

    agent.room.on(event, speak)
    async with Path(livekit).opened() as path, joined(livekit, path, agent), asyncio.timeout(30):
        assert await agent.wait_finished(1) == [Finished(pytest.approx(0.4, abs=0.02), False)]  # type: ignore[arg-type]


async def test_a_reset_of_the_signalling_is_seen_by_nobody(livekit: LiveKitServer, agent: Agent) -> None:
    left = note_who_leaves(agent)
    async with Path(livekit).opened() as path, joined(livekit, path, agent) as session:
        for resets in (1, 2):
            stream = await agent.open(rate_hz=RATE_HZ)
            await stream.write(bytes(RATE_HZ))
            path.reset()
            await stream.write(bytes(RATE_HZ))
            await path.wait_joins(resets + 1)
            await stream.write(bytes(RATE_HZ))
            await stream.aclose()
            end = (await agent.wait_finished(2 * resets - 1))[-1]
            assert end == Finished(pytest.approx(1.5, abs=0.02), False)  # type: ignore[arg-type]
            await assert_speaks(agent)
        assert len(path.tokens) == 3 and left == [], "it has joined once, and its signalling was resumed twice"
        assert not session.ended.done()
        await agent.leave()
        assert (await session.ended)[0] == "agent_left", "it still hears who leaves"


async def test_an_address_that_changes_ends_nothing(livekit: LiveKitServer, agent: Agent) -> None:
    """The server sends nothing to another address until it is told of it, and in the end takes the avatar for gone."""
    async with Path(livekit).opened() as path, joined(livekit, path, agent) as session:
        await assert_speaks(agent)
        path.change_address()
        changed_s = time.monotonic()
        await path.wait_joins(2)
        await agent.wait_seen(pictures=agent.seen.pictures + 3)
        print(f"pictures {time.monotonic() - changed_s:.2f} s after the change")
        await assert_speaks(agent)
        assert not session.ended.done()


async def test_a_token_that_has_run_out_lets_the_avatar_come_back(livekit: LiveKitServer, agent: Agent) -> None:
    """By the token that the server has sent meanwhile."""
    async with (
        Path(livekit).opened() as path,
        joined(livekit, path, agent, valid_s=-50) as session,  # the server takes it for 10 s more
    ):
        await assert_speaks(agent)
        while await path.admits(path.tokens[0]):  # noqa: ASYNC110  # asks the server
            await asyncio.sleep(0.2)
        path.reset()
        await path.wait_joins(2)
        path.change_address()
        await path.wait_joins(3)
        await assert_speaks(agent)
        assert path.tokens[0] not in path.tokens[1:]
        assert not session.ended.done()


async def test_a_server_that_sends_the_avatar_to_another_one_keeps_its_session(
    livekit: LiveKitServer, agent: Agent, tmp_path: File
) -> None:
    """As a cluster does whose node is emptied. The agent is told the same; here another one with its name stands in."""
    with running(tmp_path) as other:
        moved = Agent(other, agent.room_name)
        await moved.join()
        async with Path(livekit).opened() as path, joined(livekit, path, agent) as session:
            stream = await agent.open(rate_hz=RATE_HZ)
            await stream.write(bytes(RATE_HZ))
            while not session.speech:  # noqa: ASYNC110  # told by a packet
                await asyncio.sleep(0.02)
            leave = rtc.LeaveRequest(
                reason=models.DisconnectReason.MIGRATION,
                action=rtc.LeaveRequest.Action.RECONNECT,
                regions=rtc.RegionSettings(regions=[rtc.RegionInfo(region="next", url=other.url)]),
            )
            await path.tell(rtc.SignalResponse(leave=leave))
            await moved.wait_seen(pictures=3)
            end = (await moved.wait_finished(1))[0]
            assert not end.interrupted and end.position_s > 0.0, "of what it was told before"
            await assert_speaks(moved)
            assert len(path.tokens) == 1 and agent.finished == [] and not session.ended.done()
        await moved.leave()


async def test_a_signalling_that_is_silent_is_replaced(
    livekit: LiveKitServer, agent: Agent, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A proxy may have forgotten it, and tell nobody. The agent's leaving would never be heard of."""
    monkeypatch.setattr(signalling, "PING_EVERY_S", 0.5)
    async with Path(livekit).opened() as path, joined(livekit, path, agent) as session:
        await assert_speaks(agent)
        monkeypatch.setattr(signalling, "SILENT_WITHIN_S", 2.0)
        path.silence()
        await path.wait_joins(2)
        await agent.leave()
        assert (await session.ended)[0] == "agent_left"
