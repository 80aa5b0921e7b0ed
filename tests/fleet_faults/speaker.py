"""A client of the fleet that speaks all the time, comes back when its channel breaks, and knows what it has said."""

from __future__ import annotations

import asyncio
import base64
import json
import random
import time
import wave
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import httpx
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake

from tests.fleet_faults.fleet import Fleet
from visavis.library import SAMPLE

WITHIN_S = 90.0  # a bound on waiting for what must happen
PIECE_S, RATE_HZ = 0.1, 16_000
PIECES = 6, 24  # of an utterance, at least and at most
AHEAD = 2  # utterances that were said and have not ended
PING_EVERY_S, SILENT_S = 1.0, 2.0  # after which the client takes its connection for dead
ANSWERED_WITHIN_S = 10.0  # more than a relay waits for another owner
COMES_AGAIN = ("SERVER_CHANGES", "STORAGE_UNUSABLE")


@dataclass(frozen=True, slots=True, kw_only=True)
class Return:
    """A channel that was lost and resumed: when the client came back, and how long that took (unix s, s)."""

    at_s: float
    took_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """A call that has succeeded: it took effect between these times (unix s), perhaps with an earlier attempt."""

    from_s: float
    until_s: float
    body: dict[str, Any]


async def call(fleet: Fleet, method: str, path: str, **body: Any) -> Call:
    """Call the API as a client does: again, while no server can answer."""
    from_s = time.time()
    problem = ""
    async with asyncio.timeout(WITHIN_S):
        while True:
            try:
                async with httpx.AsyncClient(base_url=fleet.base_url, headers=fleet.headers, timeout=10) as http:
                    answer = await http.request(method, path, json=body or None)
                if answer.status_code < 300 and answer.json().get("ws_uri") != "try_again":
                    return Call(from_s=from_s, until_s=time.time(), body=answer.json())
                problem = f"{answer.status_code} {answer.text[:300]}"
                assert answer.status_code in (200, 502, 503, 504), f"{method} {path}: {problem}"
            except httpx.TransportError as error:
                problem = repr(error)
            if time.time() - from_s > 30:
                fleet.note(f"{method} {path} does not succeed: {problem}")
            await asyncio.sleep(0.1)


@dataclass(slots=True, kw_only=True)
class Said:
    """An utterance. `ended`: what the server told of its end."""

    utterance_id: str
    samples: int = 0
    ended: dict[str, Any] | None = None


@dataclass(slots=True)
class Speaker:
    """One session, and its channel. `run` speaks until `stop`."""

    fleet: Fleet
    name: str
    session_id: str
    access_token: str
    room: dict[str, str]
    started: Call
    ended: Call | None = None
    returns: list[Return] = field(default_factory=list)
    resumed: list[bool] = field(default_factory=list)  # of each opening
    said: dict[str, Said] = field(default_factory=dict)
    messages_s: list[tuple[float, str]] = field(default_factory=list)  # when which message came (unix s)
    confirmed_samples: int = 0
    received: int = 0  # messages that count
    stopping: bool = False
    _untaken: dict[int, str] = field(default_factory=dict)
    _number: int = 0
    _connection: ClientConnection | None = None
    _opening: asyncio.Lock = field(default_factory=asyncio.Lock)
    _changed: asyncio.Condition = field(default_factory=asyncio.Condition)

    @classmethod
    async def start(cls, fleet: Fleet, name: str) -> Speaker:
        looks = await call(fleet, "GET", "/v1/avatars?view=flat")
        look = looks.body["public_avatars"][0]["avatar_id"]
        session = (await call(fleet, "POST", "/v1/sessions", avatar_id=look)).body["session"]
        started = await call(fleet, "POST", f"/v1/sessions/{session['session_id']}/start")
        fleet.note(f"{name}: {session['session_id']}")
        return cls(fleet, name, session["session_id"], session["access_token"], session["daily_room"], started)

    async def end(self) -> None:
        self.ended = await call(self.fleet, "PUT", f"/v1/sessions/{self.session_id}/end")

    async def run(self, chance: random.Random) -> None:
        """Speak until `stopping`, and wait until all that was said has ended."""
        await self._open()
        reading = asyncio.create_task(self._read())
        speaking = asyncio.create_task(self._speak(chance))
        try:
            await asyncio.wait((reading, speaking), return_when=asyncio.FIRST_COMPLETED)
            if reading.done():
                await reading
            await speaking
        finally:
            for task in (reading, speaking):
                task.cancel()
            await asyncio.wait((reading, speaking))
            if self._connection is not None:
                await self._connection.close()

    async def _speak(self, chance: random.Random) -> None:
        number = 0
        while not self.stopping:
            number += 1
            said = self.said[f"u{number}"] = Said(utterance_id=f"u{number}")
            pieces = chance.randint(*PIECES)
            for piece in range(pieces):
                audio = _piece(chance)
                said.samples += int(PIECE_S * RATE_HZ)
                final = piece == pieces - 1
                await self._send(type="agent.speak", audio=audio, utterance_id=said.utterance_id, final=final)
                await asyncio.sleep(PIECE_S)
            await self._until_ended(number - AHEAD + 1)
        await self._until_ended(number)

    async def _until_ended(self, number: int) -> None:
        if number < 1:
            return
        said = self.said[f"u{number}"]
        async with asyncio.timeout(WITHIN_S), self._changed:
            await self._changed.wait_for(lambda: said.ended is not None)

    async def _send(self, **message: Any) -> None:
        async with self._opening:
            self._number += 1
            text = self._untaken[self._number] = json.dumps(message)
            assert self._connection is not None
            with suppress(ConnectionClosed):  # `_read` comes back, and says it again
                await self._connection.send(text)

    async def _read(self) -> None:
        acknowledged_s = time.monotonic()
        while True:
            assert self._connection is not None
            try:
                message: dict[str, Any] = json.loads(await self._connection.recv())
            except ConnectionClosed:
                await self._come_back()
                continue
            await self._take(message)
            if time.monotonic() > acknowledged_s + 1:
                acknowledged_s = time.monotonic()
                with suppress(ConnectionClosed):
                    await self._connection.send(json.dumps({"type": "ack", "seq": self.received}))

    async def _take(self, message: dict[str, Any]) -> None:
        kind = message["type"]
        assert kind != "error", (self.name, message)
        self.received += 1
        assert message["seq"] == self.received, (self.name, self.received, message)
        self.messages_s.append((time.time(), kind))
        for number in [number for number in self._untaken if number <= message.get("ack", 0)]:
            del self._untaken[number]
        if kind == "agent.speak.confirmed":
            self.confirmed_samples += message["audio_samples"]
        elif kind == "agent.playback.finished":
            said = self.said[message["utterance_id"]]
            assert said.ended is None, f"{self.name}: {said.utterance_id} has ended twice"
            async with self._changed:
                said.ended = message
                self._changed.notify_all()

    async def _come_back(self) -> None:
        at_s = time.time()
        await self._open()
        self.returns.append(Return(at_s=at_s, took_s=time.time() - at_s))
        assert self.resumed[-1], f"{self.name}: the conversation began anew"

    async def _open(self) -> None:
        """Connect; try again while nobody answers. Then say again what the server has not taken."""
        init: dict[str, Any] = {
            "type": "session.init",
            "session_id": self.session_id,
            "session_token": self.access_token,
            "features": ["playback", "resume"],
        }
        if self.resumed:
            init["resume"] = {"received": self.received}
        async with self._opening, asyncio.timeout(WITHIN_S):
            while (established := await self._established(init)) is None:  # noqa: ASYNC110 (as clients do)
                await asyncio.sleep(0.05)
            self.resumed.append(established["resumed"])
            for number in [number for number in self._untaken if number <= established["received"]]:
                del self._untaken[number]
            assert self._connection is not None
            with suppress(ConnectionClosed):  # `_read` comes back
                for text in list(self._untaken.values()):
                    await self._connection.send(text)

    async def _established(self, init: dict[str, Any]) -> dict[str, Any] | None:
        """Connect once; return the answer to `init`, None if no server could answer."""
        try:
            self._connection = await connect(
                f"{self.fleet.base_url.replace('http', 'ws')}/v1/channel",
                max_size=None,
                max_queue=None,
                ping_interval=PING_EVERY_S,
                ping_timeout=SILENT_S,
                close_timeout=1.0,
                open_timeout=SILENT_S,
                proxy=None,
            )
            await self._connection.send(json.dumps(init))
            async with asyncio.timeout(ANSWERED_WITHIN_S):
                answer: dict[str, Any] = json.loads(await self._connection.recv())
        except (OSError, TimeoutError, ConnectionClosed, EOFError, InvalidHandshake):
            return None
        if answer["type"] == "error":
            assert answer["code"] in COMES_AGAIN, (self.name, answer)
            return None
        assert answer["type"] == "connection.established", (self.name, answer)
        return answer

    def drop(self) -> None:
        """Lose the connection: the client does not notice before its next message."""
        assert self._connection is not None
        self._connection.transport.abort()

    def check(self) -> None:
        """Nothing that was said is lost, and nothing was said twice, or in another order."""
        ended = [said for said in self.said.values() if said.ended is not None]
        assert len(ended) == len(self.said) > 0, self.name
        for said in ended:
            assert said.ended is not None
            assert abs(said.ended["position_s"] - said.samples / RATE_HZ) < 0.001, (self.name, said)
            assert not said.ended["interrupted"], (self.name, said)
        assert self.confirmed_samples == sum(said.samples for said in ended), self.name
        order = [said.ended["seq"] for said in ended if said.ended is not None]
        assert order == sorted(order), self.name


def _speech() -> bytes:
    """Return a recording of speech, int16 at RATE_HZ."""
    with wave.open(str(SAMPLE)) as recording:
        assert recording.getframerate() == RATE_HZ and recording.getnchannels() == 1
        frames: bytes = recording.readframes(recording.getnframes())
    return frames


def _piece(chance: random.Random) -> str:
    """Return a piece of speech as base64."""
    size = 2 * int(PIECE_S * RATE_HZ)
    at = 2 * chance.randrange((len(SPEECH) - size) // 2)
    return base64.b64encode(SPEECH[at : at + size]).decode()


SPEECH = _speech()
