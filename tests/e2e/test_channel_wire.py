"""The golden transcripts against a real server with real sessions, a real performer and real sockets; and behaviour
that only real connections show.
"""

from __future__ import annotations

import asyncio
import json
import random
from itertools import pairwise
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from tests.contract.transcript import TRANSCRIPTS, Transcript, assert_same, binary, fill_placeholders
from tests.live_server import LiveServer
from visavis.demo.session_client import SessionClient

pytestmark = pytest.mark.anyio
ON_THE_WIRE = [path for path in TRANSCRIPTS if Transcript.read(path).head.get("wire")]


async def receive(connection: ClientConnection) -> dict[str, Any]:
    async with asyncio.timeout(20):
        message = json.loads(await connection.recv())
    assert isinstance(message, dict)
    return message


async def wait_for_close(connection: ClientConnection) -> tuple[int, str]:
    """Return the close's code and reason. Fails on a message before it."""
    async with asyncio.timeout(20):
        with pytest.raises(ConnectionClosed) as closed:
            raise AssertionError(await connection.recv())
    assert closed.value.rcvd is not None
    return closed.value.rcvd.code, closed.value.rcvd.reason


class WireSession:
    """A session with the status that a transcript wants, and the values of the transcript's placeholders."""

    def __init__(self, server: LiveServer, sessions: SessionClient) -> None:
        self.server, self.sessions = server, sessions
        self.names: dict[str, str] = {}
        self.ws_uri = ""

    async def bring_to(self, status: str) -> None:
        session = await self.sessions.create(self.server.look, {})
        room = session["daily_room"]
        self.names = {
            "$SESSION": session["session_id"],
            "$TOKEN": session["access_token"],
            "$ROOM_URL": room["url"],
            "$ROOM_TOKEN": room["token"],
        }
        self.ws_uri = f"{self.server.base_url.replace('http', 'ws')}/v1/channel/{session['session_id']}"
        if status != "created":
            assert await self.sessions.start(session["session_id"]) == self.ws_uri
        if status == "ended":
            await self.end()

    async def end(self) -> None:
        await self.sessions.end(self.names["$SESSION"])

    @property
    def init(self) -> dict[str, Any]:
        room = {"platform": "daily", "url": self.names["$ROOM_URL"], "token": self.names["$ROOM_TOKEN"]}
        config = {
            "session_id": self.names["$SESSION"],
            "access_token": self.names["$TOKEN"],
            "room": room,
            "video_width": 512,
            "video_height": 512,
        }
        return {"type": "session.init", "config": config}


@pytest.fixture
def wire(server: LiveServer, sessions: SessionClient) -> WireSession:
    return WireSession(server, sessions)


@pytest.mark.parametrize("path", ON_THE_WIRE, ids=lambda path: path.stem)
async def test_server_follows_the_transcript(path: Path, wire: WireSession) -> None:
    transcript = Transcript.read(path)
    status = transcript.head.get("session", "started")
    await wire.bring_to(status)
    address = wire.ws_uri.rsplit("/", 1)[0] if transcript.head.get("address") == "own-room" else wire.ws_uri
    async with connect(address, max_size=None) as connection:
        for step in transcript.steps:
            await follow(step, connection, wire)
    if status == "started":
        await wire.end()


async def follow(step: dict[str, Any], connection: ClientConnection, wire: WireSession) -> None:
    if "client" in step:
        await connection.send(json.dumps(fill_placeholders(step["client"], wire.names)))
    elif "client_text" in step:
        await connection.send(step["client_text"])
    elif "client_binary" in step:
        await connection.send(binary(step["client_binary"]))
    elif "server" in step:
        assert_same(await receive(connection), fill_placeholders(step["server"], wire.names))
    elif "close" in step:
        code, reason = await wait_for_close(connection)
        assert code == step["close"]
        assert_same(reason, step["reason"])
    elif step.get("session") == "SessionOver":
        await wire.end()
    else:
        assert step.keys() & {"effect", "session", "time"}, step  # the real server does these by itself


async def test_a_second_channel_takes_the_session_over(wire: WireSession) -> None:
    await wire.bring_to("started")
    async with connect(wire.ws_uri) as first, connect(wire.ws_uri) as second:
        await first.send(json.dumps(wire.init))
        assert (await receive(first))["type"] == "connection.established"
        await second.send(json.dumps(wire.init))
        assert (await receive(second))["type"] == "connection.established"
        assert (await wait_for_close(first))[0] == 4409
        await second.send(json.dumps({"type": "agent.interrupt"}))
        assert (await receive(second))["type"] == "agent.interrupt.confirmed"
        await wire.end()
        assert await wait_for_close(second) == (1000, "ended_by_client")


async def test_accepted_speech_is_played_although_the_channel_was_lost(wire: WireSession) -> None:
    await wire.bring_to("started")
    speech = {
        "type": "agent.speak",
        "audio": fill_placeholders("$PCM:32000", {}),
        "utterance_id": "kept",
        "final": True,
    }
    async with connect(wire.ws_uri) as connection:
        await connection.send(json.dumps(wire.init))
        await receive(connection)
        await connection.send(json.dumps(speech))
        assert (await receive(connection))["audio_samples"] == 32_000
        connection.transport.abort()
    async with connect(wire.ws_uri) as connection:
        await connection.send(json.dumps({**wire.init, "features": ["playback"]}))
        assert (await receive(connection))["type"] == "connection.established"
        message = await receive(connection)
        while message["type"] != "agent.playback.finished":
            message = await receive(connection)
        assert message == {
            "type": "agent.playback.finished",
            "utterance_id": "kept",
            "position_s": 2.0,
            "interrupted": False,
        }
    await wire.end()


async def test_every_utterance_finishes_exactly_once_and_in_order(wire: WireSession) -> None:
    await wire.bring_to("started")
    async with connect(wire.ws_uri) as connection:
        await connection.send(json.dumps({**wire.init, "features": ["playback"]}))
        await receive(connection)
        audio = fill_placeholders("$PCM:4800", {})
        for utterance in ("a", "b", "c"):
            await connection.send(
                json.dumps({"type": "agent.speak", "audio": audio, "utterance_id": utterance, "final": True})
            )
        await connection.send(
            json.dumps({"type": "agent.speak", "audio": fill_placeholders("$PCM:160000", {}), "utterance_id": "cut"})
        )
        finished: list[dict[str, Any]] = []
        while len(finished) < 4:
            message = await receive(connection)
            if message == {"type": "agent.playback.started", "utterance_id": "cut"}:
                await connection.send(json.dumps({"type": "agent.interrupt"}))
            if message["type"] == "agent.playback.finished":
                finished.append(message)
        assert [(f["utterance_id"], f["interrupted"]) for f in finished] == [
            ("a", False),
            ("b", False),
            ("c", False),
            ("cut", True),
        ]
        assert all(f["position_s"] == 0.3 for f in finished[:3]) and finished[3]["position_s"] < 10
    await wire.end()


async def test_speech_that_is_cut_within_samples_is_whole(wire: WireSession) -> None:
    pcm = bytes(64_000)
    edges = sorted({0, len(pcm), *random.Random(3).sample(range(1, len(pcm)), 93)})
    await wire.bring_to("started")
    async with connect(wire.ws_uri) as connection:
        await connection.send(json.dumps({**wire.init, "features": ["playback", "binary"]}))
        await receive(connection)
        for begin, end in pairwise(edges):
            await connection.send(pcm[begin:end])
        received: list[dict[str, Any]] = []
        confirmed: list[int] = []
        said_s = 0.0
        while len(confirmed) < 94 or said_s < 1.9999:
            received.append(await receive(connection))
            if received[-1]["type"] == "agent.playback.finished":
                said_s += received[-1]["position_s"]
            if received[-1]["type"] == "agent.speak.confirmed":
                confirmed.append(received[-1]["audio_samples"])
        assert sum(confirmed) == 32_000
        # One utterance, or more where this machine paused for 300 ms between two pieces.
        ends = [message for message in received if message["type"] == "agent.playback.finished"]
        assert [message["type"] for message in received if "audio_samples" not in message] == [
            "agent.playback.started",
            "agent.playback.finished",
        ] * len(ends)
        assert said_s == pytest.approx(2.0)
    await wire.end()


async def test_a_byte_that_is_left_at_the_end_of_an_utterance_is_reported(wire: WireSession) -> None:
    await wire.bring_to("started")
    async with connect(wire.ws_uri) as connection:
        await connection.send(json.dumps({**wire.init, "features": ["playback", "binary"]}))
        await receive(connection)
        for number in range(2):
            await connection.send(bytes(3201))  # ends by itself, after 300 ms
            received = [await receive(connection)]
            while received[-1]["type"] != "agent.playback.finished":
                received.append(await receive(connection))
            assert received.pop(0) == {"type": "agent.speak.confirmed", "audio_samples": 1600}
            (error,) = (message for message in received if message["type"] == "error")
            assert error == {
                "type": "error",
                "error": f"audio of utterance 'utt_{number + 1}' ended within a sample; PCM16 has two bytes per sample",
                "code": "ODD_AUDIO_LENGTH",
            }
            assert received[-1]["position_s"] == 0.1
    await wire.end()


async def test_a_hundred_small_pieces_are_one_utterance_without_a_gap(wire: WireSession) -> None:
    await wire.bring_to("started")
    async with connect(wire.ws_uri) as connection:
        await connection.send(json.dumps({**wire.init, "features": ["playback", "binary"]}))
        await receive(connection)
        for _ in range(100):
            await connection.send(bytes(640))
        received = [await receive(connection)]
        while received[-1]["type"] != "agent.playback.finished":
            received.append(await receive(connection))
        assert [message["audio_samples"] for message in received if message["type"] == "agent.speak.confirmed"] == [
            320
        ] * 100
        assert [message["type"] for message in received if message["type"] != "agent.speak.confirmed"] == [
            "agent.playback.started",
            "agent.playback.finished",
        ]
        assert received[-1]["position_s"] == 2.0 and received[-1]["interrupted"] is False
    await wire.end()


async def test_only_channel_addresses_upgrade_to_a_websocket(server: LiveServer) -> None:
    for path in ("/v1/other", "/v1/channel/a/b"):
        with pytest.raises(Exception, match=r"HTTP 40[34]"):
            async with connect(server.base_url.replace("http", "ws") + path):
                pass


async def test_the_channel_over_http_is_not_a_server_error(http: httpx.AsyncClient) -> None:
    assert (await http.get("/v1/channel")).status_code < 500
