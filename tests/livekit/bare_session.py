"""A session without a server and a stage, whose room is real: for tests of the way to a LiveKit server."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import numpy as np
import pytest

from tests.livekit.agent import Agent, Finished
from tests.livekit.path import Path
from tests.rooms.livekit.doubles import Events
from tools.livekit.server import LiveKitServer
from visavis.rooms.livekit.room import LiveKitRoom
from visavis.rooms.spec import ANYWHERE, LiveKitRoomSpec
from visavis.stage.encoder import VideoEncoder

SIZE_PX = (128, 128)
FPS, CLOCK_HZ = 25, 48_000


class BareSession(Events):
    """It encodes grey pictures, and has played all speech as soon as its end has come."""

    def __init__(self) -> None:
        super().__init__()
        self._encoder = VideoEncoder(width_px=SIZE_PX[0], height_px=SIZE_PX[1], fps=FPS)

    def keyframe_wanted(self, *, joining: bool) -> None:
        self._encoder.want_keyframe(joining=joining)

    async def perform(self, room: LiveKitRoom) -> None:
        """Publish pictures, and tell the ends of speech, until cancelled."""
        grey = np.full((SIZE_PX[1] * 3 // 2, SIZE_PX[0]), 128, np.uint8)
        number = 0
        while True:
            if (packet := self._encoder.encode(grey, number * CLOCK_HZ // FPS)) is not None:
                room.publish(packet)
            for segment_id in [one.segment_id for one in self.speech if one.final]:
                played = [one for one in self.speech if one.segment_id == segment_id]
                position_s = sum(len(one.pcm) / 2 / one.sample_rate_hz for one in played)
                room.speech_finished(segment_id, position_s=position_s, interrupted=False)
                self.speech = [one for one in self.speech if one.segment_id != segment_id]
            number += 1
            await asyncio.sleep(1 / FPS)


@asynccontextmanager
async def joined(
    livekit: LiveKitServer, path: Path, agent: Agent, *, valid_s: float = 3600
) -> AsyncIterator[BareSession]:
    """Have an avatar in the agent's room that reaches it by a path, and performs. `valid_s`: of its token."""
    attributes = {"lk.publish_on_behalf": agent.identity}
    token = livekit.token_for(valid_s, agent.room_name, agent.served_by, kind="agent", attributes=attributes)
    spec = LiveKitRoomSpec(url=path.url, token=token, networks=ANYWHERE)
    session = BareSession()
    room = await LiveKitRoom.open(spec, session, size_px=SIZE_PX, wall_clock_at_start_ns=0, ice_servers=())
    try:
        async with asyncio.TaskGroup() as group:
            performing = group.create_task(session.perform(room))
            yield session
            performing.cancel()
    finally:
        await room.aclose()


async def assert_speaks(agent: Agent) -> None:
    """The avatar is seen, and takes one more sentence."""
    pictures, ends = agent.seen.pictures, len(agent.finished)
    await agent.wait_seen(pictures=pictures + 3)
    await agent.speak(0.4)
    end = (await agent.wait_finished(ends + 1))[-1]
    assert end == Finished(pytest.approx(0.4, abs=0.02), False)  # type: ignore[arg-type]
