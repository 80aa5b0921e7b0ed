"""Text on a real channel, with a real stage, and a speech endpoint on a real socket that misbehaves."""

from __future__ import annotations

import asyncio
import base64
import json
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
from visavis_client import AsyncVisavis, ChannelRefused
from websockets.asyncio.client import ClientConnection, connect

from tests.sounds import wav
from tests.voice import test_endpoint as endpoints
from tests.voice.speech_server import RATE_HZ, Reply, SpeechServer, speak_well, speech_server, spoken
from visavis.demo.session_client import SessionClient
from visavis.server import RunningServer

pytestmark = pytest.mark.anyio
FEATURES = ["text", "playback"]
ERROR_WITHIN_S = 5.0


@pytest.fixture
async def speech(speech_listener: socket.socket) -> AsyncIterator[SpeechServer]:
    async with speech_server(speech_listener) as opened:
        yield opened


class Client:
    """A session with its channel. `told`: every message of the server."""

    def __init__(self, session: dict[str, Any], address: str) -> None:
        self.session, self.address = session, address
        self.told: list[dict[str, Any]] = []
        self.connection: ClientConnection

    @asynccontextmanager
    async def channel(self) -> AsyncIterator[None]:
        async with connect(self.address) as self.connection:
            await self.send(
                type="session.init",
                session_id=self.session["session_id"],
                session_token=self.session["access_token"],
                features=FEATURES,
            )
            await self.until(type="connection.established")
            yield

    async def send(self, **message: Any) -> None:
        await self.connection.send(json.dumps(message))

    async def say(self, text: str, utterance_id: str, *, final: bool = True, **members: Any) -> None:
        await self.send(type="agent.say", text=text, utterance_id=utterance_id, final=final, **members)

    async def until(self, **members: Any) -> dict[str, Any]:
        """Read messages up to one with these members; return it."""
        async with asyncio.timeout(20):
            while True:
                self.told.append(json.loads(await self.connection.recv()))
                if members.items() <= self.told[-1].items():
                    return self.told[-1]

    async def finished(self, utterance_id: str) -> dict[str, Any]:
        return await self.until(type="agent.playback.finished", utterance_id=utterance_id)

    def all_told(self, utterance_id: str) -> list[str]:
        """What was told of an utterance, in order: the codes of errors, and the last parts of types."""
        own = [message for message in self.told if message.get("utterance_id") == utterance_id]
        return [message.get("code") or message["type"].rpartition(".")[2] for message in own]


@pytest.fixture
async def client(server: RunningServer, speech: SpeechServer) -> AsyncIterator[Client]:
    async with httpx.AsyncClient(base_url=server.base_url, headers={"x-api-key": server.api_key}, timeout=30) as http:
        sessions = SessionClient(http)
        character = (await http.get("/v1/avatars/public")).json()["avatars"][0]["avatar_id"]
        looks = (await http.get(f"/v1/avatars?parent_id={character}&characters_only=false")).json()["avatars"]
        session = await sessions.create(looks[0]["avatar_id"], {})
        opened = Client(session, await sessions.start(session["session_id"]))
        async with opened.channel():
            yield opened
        await sessions.end(session["session_id"])


def length_s(*texts: str) -> float:
    return sum(len(spoken(text)) for text in texts) / RATE_HZ


async def test_text_is_spoken_sentence_by_sentence(client: Client, speech: SpeechServer) -> None:
    await client.say("**Hello** there 👍. I know SQL", "a", voice="nova", language="en")
    end = await client.finished("a")
    assert speech.texts == ["Hello there.", "I know sequel"] and speech.requests[0]["voice"] == "nova"
    assert end["position_s"] == pytest.approx(length_s(*speech.texts), abs=0.002) and not end["interrupted"]
    assert client.all_told("a") == ["confirmed", "started", "finished"]


async def test_deltas_are_spoken_before_the_text_is_complete(client: Client, speech: SpeechServer) -> None:
    for delta in ("It costs 3", ".50 dol", "lars. ", "Any"):
        await client.say(delta, "a", final=False)
    await client.until(type="agent.playback.started", utterance_id="a")
    await client.say("thing else?", "a")
    end = await client.finished("a")
    assert speech.texts == ["It costs 3.50 dollars.", "Anything else?"]
    assert end["position_s"] == pytest.approx(length_s(*speech.texts), abs=0.002)


PLAYED = [
    endpoints.header_in_every_chunk,
    endpoints.whole_file_in_every_chunk,
    endpoints.pcm_with_rate,
    endpoints.busy,
]
REFUSED = {
    "undeclared_rate": "VOICE_FAILED",
    "mp3": "VOICE_FAILED",
    "words": "VOICE_FAILED",
    "refuse": "VOICE_FAILED",
    "half_by_length": "VOICE_FAILED",
    "half_by_chunks": "VOICE_FAILED",
    "half_by_header": "VOICE_FAILED",
    "stall": "VOICE_TIMED_OUT",
    "trickle": "VOICE_TIMED_OUT",
    "never": "VOICE_TIMED_OUT",
    "hang_up": "VOICE_FAILED",
}


async def test_a_synthesiser_that_misbehaves_is_heard_or_told_and_the_next_text_is_heard(
    client: Client, speech: SpeechServer
) -> None:
    text, after = "A sentence to speak.", "And the next."
    for behaviour in PLAYED:
        name = behaviour.__name__
        speech.behaviours = [behaviour]
        await client.say(text, name)
        assert (await client.finished(name))["position_s"] == pytest.approx(length_s(text), abs=0.002), name
        assert client.all_told(name) == ["confirmed", "started", "finished"]
    for name, code in REFUSED.items():
        speech.otherwise = getattr(endpoints, name)
        await client.say(text, name)
        async with asyncio.timeout(ERROR_WITHIN_S):
            await client.until(type="error", utterance_id=name, code=code)
        speech.otherwise = speak_well
        await client.say(after, f"after {name}")
        assert (await client.finished(f"after {name}"))["position_s"] == pytest.approx(length_s(after), abs=0.002)
        told = client.all_told(name)
        assert sorted(told) == sorted(["confirmed", code, "started", "finished"]), (name, told)
    assert not [one for one in client.told if one["type"] == "error" and "utterance_id" not in one]


async def test_an_interrupt_during_synthesis_ends_it_and_text_after_it_is_heard(
    client: Client, speech: SpeechServer
) -> None:
    gone = asyncio.Event()

    async def in_the_middle(reply: Reply) -> None:
        data = wav(spoken(reply.request["input"]), RATE_HZ, data_size=0)
        await reply.head()
        await reply.chunk(data[: len(data) // 2])
        await reply.until_client_leaves()
        gone.set()

    speech.behaviours = [in_the_middle]
    await client.say("A long sentence that is interrupted. Nobody hears this.", "a")
    await client.until(type="agent.playback.started", utterance_id="a")
    await client.send(type="agent.interrupt")
    await client.say("Late words.", "a")
    await client.say("Yes?", "b")
    cut = await client.finished("a")
    whole = await client.finished("b")
    assert cut["interrupted"] and cut["position_s"] < length_s("A long sentence that is interrupted.") / 2 + 0.01
    assert whole == {**whole, "position_s": pytest.approx(length_s("Yes?"), abs=0.002), "interrupted": False}
    assert speech.texts == ["A long sentence that is interrupted.", "Yes?"]
    assert client.all_told("a").count("finished") == 1
    await asyncio.wait_for(gone.wait(), 5)


async def test_text_and_sound_come_in_their_order(client: Client, speech: SpeechServer) -> None:
    audio = base64.b64encode(bytes(2 * 3200)).decode()

    async def sound(utterance_id: str) -> None:
        await client.send(type="agent.speak", audio=audio, utterance_id=utterance_id, final=True)

    await sound("s1")
    await client.say("Some words. More words.", "t1")
    await sound("s2")
    await client.say("Other words.", "t2")
    await sound("s3")
    await client.finished("s3")
    playback = [
        (message["type"].rpartition(".")[2], message["utterance_id"])
        for message in client.told
        if message["type"].startswith("agent.playback")
    ]
    assert playback == [(kind, name) for name in ("s1", "t1", "s2", "t2", "s3") for kind in ("started", "finished")]


async def test_text_is_spoken_to_its_end_although_the_channel_was_lost(client: Client, speech: SpeechServer) -> None:
    back = asyncio.Event()

    async def when_back(reply: Reply) -> None:
        await back.wait()
        await speak_well(reply)

    speech.behaviours = [speak_well, when_back]
    speech.otherwise = speak_well
    await client.say("First part. Second part. Third part.", "a")
    await client.until(type="agent.playback.started", utterance_id="a")
    client.connection.transport.abort()
    back.set()
    async with client.channel():
        end = await client.finished("a")
    parts = ("First part.", "Second part.", "Third part.")
    assert end["position_s"] == pytest.approx(length_s(*parts), abs=0.002) and not end["interrupted"]


async def test_the_client_says_text_whole_and_in_pieces(
    server: RunningServer, client: Client, speech: SpeechServer
) -> None:
    async def model() -> AsyncIterator[str]:
        for piece in ("It costs 3", ".50 dollars. ", "Any", "thing else?"):
            yield piece

    async with AsyncVisavis(server.base_url, server.api_key) as visavis:
        avatar = (await visavis.avatars.public())[0].id
        async with visavis.sessions.create(avatar=avatar, features=["text"]) as session:
            said = await session.say("Hello there.", voice="nova", utterance_id="a")
            assert said.utterance_id == "a" and said.position_s == pytest.approx(length_s("Hello there."), abs=0.002)
            assert (await session.say(model())).position_s == pytest.approx(length_s(*speech.texts[1:]), abs=0.002)
            assert speech.texts == ["Hello there.", "It costs 3.50 dollars.", "Anything else?"]
            speech.behaviours = [endpoints.refuse]
            with pytest.raises(ChannelRefused) as refused:
                await session.say("Hello.")
            assert refused.value.code == "VOICE_FAILED"
            assert not (await session.say("Goodbye.")).interrupted
            cut = await session.send_text("A long sentence that nobody hears to its end. And another one.")
            await session.interrupt()
            assert (await cut.played()).interrupted


async def test_the_client_needs_the_feature(server: RunningServer) -> None:
    async with AsyncVisavis(server.base_url, server.api_key) as visavis:
        avatar = (await visavis.avatars.public())[0].id
        async with visavis.sessions.create(avatar=avatar) as session:
            with pytest.raises(ChannelRefused, match="text"):
                await session.say("Hello.")
