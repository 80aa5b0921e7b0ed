"""A channel that breaks again and again in the middle of speech: with the feature "resume" nothing is lost or said
twice.
"""

from __future__ import annotations

import asyncio
import json
import random
from collections import Counter
from typing import Any

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from tests.e2e.conftest import anyio_backend, http, server, sessions
from tests.faults.scale import SCALE
from tests.faults.test_interruptions import WITHIN_S, Session, session, sound

__all__ = ["anyio_backend", "http", "server", "session", "sessions"]  # the fixtures of a real server

pytestmark = pytest.mark.anyio
BREAKS = 4 * SCALE
UTTERANCES = 30 * SCALE


class ResumingClient:
    """Numbers its messages, keeps them until the server has taken them, and resumes after each break."""

    def __init__(self, session: Session, *features: str) -> None:
        self._session, self._features = session, ["playback", "resume", *features]
        self._unsent: dict[int, str] = {}  # by number: sent, and not known to be taken
        self._number = 0
        self.received: list[dict[str, Any]] = []
        self.connection: ClientConnection | None = None

    async def open(self) -> None:
        self.connection = await connect(self._session.address, max_size=None)
        resume = {"resume": {"received": len(self.received)}} if self._number else {}
        init = {"type": "session.init", **self._session.token, "features": self._features}
        await self.connection.send(json.dumps(init | resume))
        async with asyncio.timeout(WITHIN_S):
            established = json.loads(await self.connection.recv())
        assert established["resumed"] is bool(self._number), established
        for number in [number for number in self._unsent if number <= established["received"]]:
            del self._unsent[number]
        for text in list(self._unsent.values()):
            await self.connection.send(text)

    async def send(self, **message: Any) -> None:
        self._number += 1
        text = self._unsent[self._number] = json.dumps(message)
        await self._while_open(lambda connection: connection.send(text))

    async def read(self, seconds: float) -> None:
        """Take messages for a while, or until the connection breaks."""
        assert self.connection is not None
        try:
            async with asyncio.timeout(seconds):
                while True:
                    message = json.loads(await self.connection.recv())
                    assert message["seq"] == len(self.received) + 1, "each comes once, in order"
                    self.received.append(message)
                    for number in [number for number in self._unsent if number <= message["ack"]]:
                        del self._unsent[number]
                    if message["seq"] % 5 == 0:
                        await self.connection.send(json.dumps({"type": "ack", "seq": message["seq"]}))
        except (TimeoutError, ConnectionClosed):
            return

    async def read_until(self, kind: str) -> None:
        """Take messages until one of this type came. Raises: AssertionError with what came last, after `WITHIN_S`."""
        try:
            async with asyncio.timeout(WITHIN_S):
                while not any(message["type"] == kind for message in self.received):
                    await self.read(0.2)
        except TimeoutError:
            open_ = self.connection is not None and self.connection.close_code is None
            last = [(message["seq"], message["type"]) for message in self.received[-5:]]
            raise AssertionError(f"no {kind}; open: {open_}, not taken: {list(self._unsent)}, last: {last}") from None

    async def _while_open(self, call: Any) -> None:
        try:
            await call(self.connection)
        except ConnectionClosed:
            await self.open()

    def break_connection(self) -> None:
        assert self.connection is not None
        self.connection.transport.abort()


async def test_a_conversation_survives_breaks_in_the_middle_of_speech(session: Session) -> None:
    rng = random.Random(7)
    client = ResumingClient(session)
    await client.open()
    breaks_after = sorted(rng.sample(range(UTTERANCES), BREAKS))
    for number in range(UTTERANCES):
        name = f"u{number}"
        await client.send(type="agent.speak", audio=sound(0.06), utterance_id=name)
        await client.send(type="agent.speak", audio=sound(0.04), utterance_id=name, final=True)
        if rng.random() < 0.3:
            await client.read(rng.random() * 0.2)
        if number in breaks_after:
            client.break_connection()
            await client.open()
    async with asyncio.timeout(WITHIN_S * SCALE):
        while len([m for m in client.received if m["type"] == "agent.playback.finished"]) < UTTERANCES:
            await client.read(0.5)
    assert client.connection is not None
    await client.connection.close()
    kinds = Counter(message["type"] for message in client.received)
    assert kinds["agent.speak.confirmed"] == 2 * UTTERANCES
    assert sum(message.get("audio_samples", 0) for message in client.received) == UTTERANCES * 1600
    finished = [message for message in client.received if message["type"] == "agent.playback.finished"]
    assert [message["utterance_id"] for message in finished] == [f"u{number}" for number in range(UTTERANCES)]
    assert all((message["position_s"], message["interrupted"]) == (0.1, False) for message in finished)


async def test_motion_has_no_gap_and_no_frame_twice_though_its_client_was_away(session: Session) -> None:
    spoken_s, frames_per_s = 4.0, 50
    client = ResumingClient(session, "motion")
    await client.open()
    await client.send(type="agent.speak", audio=sound(spoken_s), utterance_id="u", final=True)
    for _ in range(2):
        await client.read(0.7)
        client.break_connection()
        await asyncio.sleep(0.6)  # it is away
        await client.open()
    await client.read_until("agent.playback.finished")
    assert client.connection is not None
    await client.connection.close()
    motion = [m for m in client.received if m["type"] == "agent.motion" and m["utterance_id"] == "u"]
    frames = [round(m["position_s"] * frames_per_s) + k for m in motion for k in range(len(m["coefficients"]))]
    assert frames == list(range(len(frames))) and len(frames) >= spoken_s * frames_per_s
