"""A started session and its channel, for tests of viewers."""

from __future__ import annotations

import asyncio
import base64
import json
import wave
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from websockets.asyncio.client import ClientConnection, connect

from tests.live_server import LiveServer
from visavis.demo.session_client import SessionClient


@asynccontextmanager
async def running_session(
    server: LiveServer, sessions: SessionClient, *features: str
) -> AsyncIterator[tuple[dict[str, Any], ClientConnection]]:
    """Create and start a session, and open its channel at 512x512; yield the session's document and the channel. The
    session ends with the context.
    """
    session = await sessions.create(server.look, {})
    room = session["daily_room"]
    async with connect(await sessions.start(session["session_id"])) as channel:
        config = {
            "session_id": session["session_id"],
            "access_token": session["access_token"],
            "room": {"platform": "daily", "url": room["url"], "token": room["token"]},
            "video_width": 512,
            "video_height": 512,
        }
        await channel.send(json.dumps({"type": "session.init", "config": config, "features": list(features)}))
        assert (await receive(channel))["type"] == "connection.established"
        yield session, channel
        await sessions.end(session["session_id"])


async def receive(channel: ClientConnection) -> dict[str, Any]:
    async with asyncio.timeout(30):
        message = json.loads(await channel.recv())
    assert isinstance(message, dict)
    return message


async def speak(channel: ClientConnection, recording: Path, utterance_id: str) -> None:
    """Send a whole recording as one message, and wait for its confirmation."""
    with wave.open(str(recording)) as file:
        audio, rate = base64.b64encode(file.readframes(file.getnframes())).decode(), file.getframerate()
    message = {"type": "agent.speak", "audio": audio, "sample_rate": rate, "utterance_id": utterance_id, "final": True}
    await channel.send(json.dumps(message))
    assert (await receive(channel))["type"] == "agent.speak.confirmed"
