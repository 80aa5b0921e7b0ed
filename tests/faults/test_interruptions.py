"""Interruptions and ends of utterances in a real server with real stages: no end is lost or told twice, nothing that
was interrupted is heard, and the avatar is never mute.
"""

from __future__ import annotations

import asyncio
import base64
import json
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from tests.e2e.conftest import anyio_backend, http, server, sessions
from tests.faults.scale import only_in_full
from tests.live_server import LiveServer
from visavis.demo.session_client import SessionClient

__all__ = ["anyio_backend", "http", "server", "sessions"]  # the fixtures of a real server

pytestmark = pytest.mark.anyio
RATE_HZ = 16_000
WITHIN_S = 30.0
FEATURES = ["playback", "state"]


def sound(duration_s: float) -> str:
    return base64.b64encode(bytes(2 * int(RATE_HZ * duration_s))).decode()


class Channel:
    """One channel of a session, and all that it has received."""

    def __init__(self, connection: ClientConnection) -> None:
        self.connection = connection
        self.received: list[dict[str, Any]] = []

    async def send(self, kind: str, **members: Any) -> None:
        await self.connection.send(json.dumps({"type": kind, **members}))

    async def speak(self, name: str, duration_s: float, *, final: bool = True) -> None:
        await self.send("agent.speak", audio=sound(duration_s), utterance_id=name, final=final)

    async def next(self, kind: str, **members: Any) -> dict[str, Any]:
        """Return the next message with this type and these members, which are compared as they are."""
        async with asyncio.timeout(WITHIN_S):
            while True:
                message: dict[str, Any] = json.loads(await self.connection.recv())
                self.received.append(message)
                assert message["type"] != "error", message
                if message["type"] == kind and members.items() <= message.items():
                    return message

    async def read_to_the_close(self) -> tuple[int, str]:
        async with asyncio.timeout(WITHIN_S):
            with pytest.raises(ConnectionClosed) as closed:
                while True:
                    self.received.append(json.loads(await self.connection.recv()))
        assert closed.value.rcvd is not None
        return closed.value.rcvd.code, closed.value.rcvd.reason

    @property
    def ends(self) -> list[dict[str, Any]]:
        return [message for message in self.received if message["type"] == "agent.playback.finished"]

    @property
    def finished(self) -> Counter[str]:
        return Counter(message["utterance_id"] for message in self.ends)


class Session:
    """A started session of the hosted dialect, and its channels."""

    def __init__(self, server: LiveServer, sessions: SessionClient, created: dict[str, Any]) -> None:
        self._sessions, self._created = sessions, created
        self.address = f"{server.base_url.replace('http', 'ws')}/v1/channel/{created['session_id']}"
        self.token = {"session_id": created["session_id"], "session_token": created["access_token"]}

    async def end(self) -> None:
        await self._sessions.end(self._created["session_id"])

    async def open(self, connection: ClientConnection, **members: Any) -> Channel:
        channel = Channel(connection)
        await channel.send("session.init", **self.token, features=FEATURES, **members)
        await channel.next("connection.established")
        return channel

    @asynccontextmanager
    async def channel(self, **members: Any) -> AsyncIterator[Channel]:
        async with connect(self.address, max_size=None) as connection:
            yield await self.open(connection, **members)


@pytest.fixture
async def session(server: LiveServer, sessions: SessionClient) -> AsyncIterator[Session]:
    created = await sessions.create(server.look, {})
    await sessions.start(created["session_id"])
    session = Session(server, sessions, created)
    yield session
    await session.end()


async def test_an_avatar_is_not_mute_after_a_takeover_that_follows_an_interrupt(session: Session) -> None:
    """The first channel interrupts far ahead of what the stage has got, and goes on; then another takes over."""
    for turn in range(5):
        async with session.channel() as first:
            for piece in range(40):
                await first.speak(f"old {turn}", 1.0, final=piece == 39)
            await first.send("agent.interrupt")
            for _ in range(5):
                await first.speak(f"old {turn}", 1.0, final=False)
            await first.next(
                "agent.interrupt.confirmed"
            )  # what the server has not read when another takes over is lost
            async with session.channel() as second:
                await second.speak(f"new {turn}", 0.3)
                end = await second.next("agent.playback.finished", utterance_id=f"new {turn}")
                assert (end["position_s"], end["interrupted"]) == (0.3, False)
                await first.read_to_the_close()
                assert (first.finished + second.finished)[f"old {turn}"] == 1


async def test_late_pieces_after_an_interrupt_are_confirmed_with_no_samples_and_never_heard(session: Session) -> None:
    async with session.channel() as channel:
        await channel.speak("old", 5.0, final=False)
        await channel.next("agent.playback.started", utterance_id="old")
        await channel.send("agent.interrupt")
        await channel.speak("old", 1.0, final=False)
        await channel.speak("new", 0.5)
        await channel.speak("old", 1.0)
        await channel.next("agent.playback.finished", utterance_id="new", position_s=0.5, interrupted=False)
        confirmed = [m["audio_samples"] for m in channel.received if m["type"] == "agent.speak.confirmed"]
        assert confirmed == [80_000, 0, 8_000, 0]
        assert channel.finished == {"old": 1, "new": 1}


async def test_an_utterance_waits_for_its_sender_and_has_one_end(session: Session) -> None:
    async with session.channel() as channel:
        for _ in range(3):
            await channel.speak("slow", 0.2, final=False)
            await asyncio.sleep(0.8)  # the pause of the sender is what is tested
        await channel.send("agent.speak", audio="", utterance_id="slow", final=True)
        await channel.next("agent.playback.finished", utterance_id="slow", position_s=0.6, interrupted=False)
        await channel.send("agent.speak", audio="", utterance_id="slow", final=True)
        await channel.speak("mark", 0.1)
        await channel.next("agent.playback.finished", utterance_id="mark")
        assert channel.finished == {"slow": 1, "mark": 1}


async def test_ends_are_kept_while_the_channel_is_away(session: Session) -> None:
    names = [f"u{number}" for number in range(30)]
    async with session.channel() as channel:
        for name in names:
            await channel.speak(name, 0.05)
        for _ in names:
            await channel.next("agent.speak.confirmed")
        await channel.connection.close()
        await channel.read_to_the_close()
        before = channel.finished
    await asyncio.sleep(1.0)  # they finish meanwhile
    async with session.channel() as again:
        await again.next("agent.playback.finished", utterance_id=names[-1])
        assert before + again.finished == dict.fromkeys(names, 1)
        ends = channel.ends + again.ends
        assert all((end["position_s"], end["interrupted"]) == (0.05, False) for end in ends)


@only_in_full
async def test_more_ends_than_a_queue_holds_come_before_the_close(session: Session) -> None:
    """An interrupt ends thousands of utterances at once, and the end of the session as many again."""
    async with session.channel() as channel:
        for half in ("a", "b"):
            for number in range(2000):
                await channel.speak(f"{half}{number}", 0.2)
            for _ in range(2000):
                await channel.next("agent.speak.confirmed")
            if half == "a":
                await channel.send("agent.interrupt")
                await channel.next("agent.interrupt.confirmed")
        await session.end()
        assert await channel.read_to_the_close() == (1000, "ended_by_client")
        assert channel.finished == {f"{half}{number}": 1 for half in "ab" for number in range(2000)}


async def test_an_interrupt_behind_much_speech_ends_each_utterance_once(session: Session) -> None:
    async with session.channel() as channel:
        for number in range(100):
            await channel.speak(f"u{number}", 3.0)
        await channel.send("agent.interrupt")
        await channel.next("agent.interrupt.confirmed")
        await channel.speak("after", 0.1)
        await channel.next("agent.playback.finished", utterance_id="after", interrupted=False)
        assert channel.finished == {**{f"u{number}": 1 for number in range(100)}, "after": 1}
