"""Speech that waits for the first viewer, who hears it from its first sample."""

from __future__ import annotations

import asyncio
import base64
import json

import numpy as np
import pytest
from numpy.typing import NDArray
from websockets.asyncio.client import connect

from tests.e2e.test_channel_wire import WireSession, receive
from tests.live_server import LiveServer
from visavis.demo.session_client import SessionClient
from visavis.rooms.watch import WhepViewer

pytestmark = pytest.mark.anyio
RATE_HZ = 16_000
LOUD = 4000


async def test_a_viewer_who_joins_later_hears_speech_from_its_first_sample(
    server: LiveServer, sessions: SessionClient
) -> None:
    wire = WireSession(server, sessions)
    await wire.bring_to("started")
    wave = np.sin(2 * np.pi * 800 * np.arange(RATE_HZ // 2) / RATE_HZ) * 12_000
    speech = {
        "type": "agent.speak",
        "audio": base64.b64encode(wave.astype("<i2").tobytes()).decode(),
        "utterance_id": "greeting",
        "final": True,
    }
    async with connect(wire.ws_uri) as channel:
        await channel.send(json.dumps({**wire.init, "features": ["playback"], "hold_for_viewer_s": 30}))
        assert (await receive(channel))["type"] == "connection.established"
        await channel.send(json.dumps(speech))
        assert (await receive(channel))["audio_samples"] == RATE_HZ // 2
        await asyncio.sleep(1.0)  # the viewer is late
        room, token = wire.names["$ROOM_URL"], wire.names["$ROOM_TOKEN"]
        heard: list[NDArray[np.int16]] = []

        async def listen(viewer: WhepViewer) -> None:
            async for block in viewer.sound():
                heard.append(block.samples)  # noqa: PERF401 (what was heard until the task is cancelled)

        async with WhepViewer(whep_url=f"{room}/whep", token=token) as viewer:
            listening = asyncio.create_task(listen(viewer))
            assert await receive(channel) == {"type": "agent.playback.started", "utterance_id": "greeting"}
            end = await receive(channel)
            assert (end["type"], end["position_s"]) == ("agent.playback.finished", 0.5)
            await asyncio.sleep(0.5)  # what was sent arrives
            listening.cancel()
    sound = np.concatenate(heard).astype(np.int32)
    loud = np.flatnonzero(np.abs(sound) > LOUD)
    assert (loud[-1] - loud[0]) / 48_000 == pytest.approx(0.5, abs=0.02)
    await wire.end()
