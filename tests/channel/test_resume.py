"""Conversations that go on over another connection: nothing is lost and nothing is said twice."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import anyio
import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from tests.channel.fakes import FakeSession
from tests.channel.test_websocket import PCM, receive, send, serving, wait_for_close
from visavis.channel.conversation import Conversation, Conversations
from visavis.channel.port import SessionInit
from visavis.channel.protocol import ChannelProtocol, ChannelState
from visavis.channel.sent_log import MAX_SENT_BYTES, SentLog
from visavis.channel.websocket import MAX_PENDING_EFFECTS, SEND_TIMEOUT_S
from visavis.errors import Overtaken
from visavis.stage.port.events import MotionFrames, PlaybackFinished, StateChanged

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def end(name: str) -> PlaybackFinished:
    return PlaybackFinished(utterance_id=name, position_s=0.1, interrupted=False)


async def init(client: ClientConnection, *features: str, received: int | None = None) -> dict[str, Any]:
    """Open the channel, or resume after the message with the number `received`; return the answer."""
    resume = {} if received is None else {"resume": {"received": received}}
    features = features or ("playback", "resume")
    await send(client, type="session.init", session_id="sess_1", session_token="token", features=features, **resume)
    return await receive(client)


def begun(*, resumed: bool, received: int) -> dict[str, Any]:
    return {"type": "connection.established", "session_id": "sess_1", "resumed": resumed, "received": received}


def confirmed(number: int, taken: int) -> dict[str, Any]:
    return {"type": "agent.speak.confirmed", "audio_samples": 1600, "seq": number, "ack": taken}


async def speak(client: ClientConnection, name: str) -> None:
    await send(client, type="agent.speak", audio=PCM, utterance_id=name)


async def until(condition: Any, client: ClientConnection) -> None:
    """Wait for the server, one round trip at a time."""
    with anyio.fail_after(20):
        while not condition():
            await (await client.ping())


async def test_messages_are_numbered_and_tell_what_was_taken() -> None:
    session = FakeSession(token="token")
    async with serving(session) as address, connect(address) as client:
        assert await init(client) == begun(resumed=False, received=0)
        await speak(client, "a")
        assert await receive(client) == confirmed(1, 1)
        await send(client, type="ack", seq=1)
        await client.send("nonsense")
        assert (await receive(client)) | {"error": ""} == {
            "type": "error",
            "error": "",
            "code": "INVALID_JSON",
            "seq": 2,
            "ack": 2,
        }


async def test_a_client_that_comes_back_gets_what_it_missed_and_sends_what_was_not_taken() -> None:
    session = FakeSession(token="token")
    async with serving(session) as address:
        async with connect(address) as client:
            await init(client)
            await speak(client, "a")
            assert await receive(client) == confirmed(1, 1)
            session.speak_gate = anyio.Event()
            for name in "bc":
                await speak(client, name)
            await until(lambda: session.speak_calls == 3, client)
            client.transport.abort()
        for _ in range(10):
            async with connect(address):  # round trips: the server has seen the client leave
                pass
        assert session.attached is not None
        session.attached.emit(end("a"))  # behind the answers to b and c
        for _ in range(10):
            async with connect(address):
                pass
        session.speak_gate.set()
        with anyio.fail_after(20):
            await session.left.wait()
        session.speak_gate = None
        async with connect(address) as client:
            assert await init(client, received=1) == begun(resumed=True, received=3)
            assert [await receive(client) for _ in range(2)] == [confirmed(2, 2), confirmed(3, 3)]
            finished = {"type": "agent.playback.finished", "utterance_id": "a", "position_s": 0.1, "interrupted": False}
            assert await receive(client) == finished | {"seq": 4, "ack": 3}
            await speak(client, "d")
            assert await receive(client) == confirmed(5, 4)
    assert [spoken[2] for spoken in session.spoken] == ["a", "b", "c", "d"]
    assert session.unsent == [], "the conversation keeps what was not sent"


async def test_a_client_takes_over_from_its_own_connection_that_is_not_known_to_be_dead() -> None:
    session = FakeSession(token="token")
    async with serving(session) as address, connect(address) as dead:
        await init(dead)
        session.speak_gate = anyio.Event()
        await speak(dead, "a")
        await until(lambda: session.speak_calls == 1, dead)
        async with connect(address) as client, anyio.create_task_group() as tasks:
            answers: list[dict[str, Any]] = []

            async def resume() -> None:
                answers.append(await init(client, received=0))

            tasks.start_soon(resume)
            assert (await wait_for_close(dead))[0] == 4409
            session.speak_gate.set()
            with anyio.fail_after(20):
                while not answers:
                    await (await client.ping())
            assert answers == [begun(resumed=True, received=1)]
            assert await receive(client) == confirmed(1, 1)
    assert [spoken[2] for spoken in session.spoken] == ["a"]


async def test_a_client_takes_over_from_its_own_connection_that_accepts_nothing() -> None:
    """Its network was lost without a word: what the server has sent is not acknowledged, and fills all buffers."""
    session = FakeSession(token="token")
    async with dead_end(session, "playback", "resume", "motion") as address, connect(address, max_size=None) as client:
        assert (await init(client, "playback", "resume", "motion", received=0))["resumed"]
        kinds = [(await receive(client))["type"] for _ in range(18)]
        assert kinds == ["agent.motion.format", *["agent.motion"] * 16, "agent.playback.finished"]


@asynccontextmanager
async def dead_end(session: FakeSession, *features: str) -> AsyncIterator[str]:
    """A channel whose client accepts nothing, with more to be sent than all buffers take, and the end of the utterance
    "a" behind it. Yields the channel's address.
    """
    frames = MotionFrames(utterance_id="a", position_s=0.0, coefficients=[[0.123] * 52] * 500, heads=[[0.0] * 3])
    with socket.socket() as dead_socket:
        dead_socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        async with serving(session, send_buffer_bytes=4096) as address:
            dead_socket.connect(("127.0.0.1", int(address.split(":")[2].split("/")[0])))
            async with connect(address, sock=dead_socket, max_queue=1, compression=None) as dead:
                await init(dead, *features)
                assert session.attached is not None
                for _ in range(16):  # 2.6 MB, less than the server keeps
                    session.attached.emit(frames)
                session.attached.emit(end("a"))
                yield address
                dead.transport.abort()


async def test_a_plain_takeover_gets_the_ends_that_a_connection_does_not_accept() -> None:
    """Within a second or two, not when a client counts as disconnected because it accepts nothing."""
    session = FakeSession(token="token")
    async with dead_end(session, "playback", "motion") as address, connect(address) as client:
        await init(client, "playback")
        with anyio.fail_after(SEND_TIMEOUT_S / 2):
            await session.left.wait()
        assert end("a") in session.unsent
        assert session.attached is not None and session.detached == 1, "the new channel goes on"


async def test_a_client_comes_back_though_another_of_its_connections_still_waits() -> None:
    session = FakeSession(token="token", speak_gate=anyio.Event())
    async with serving(session) as address, connect(address) as dead:
        await init(dead)
        await speak(dead, "a")
        await until(lambda: session.speak_calls == 1, dead)
        first = session.attached
        async with connect(address) as second:  # it waits for the first one, and is lost meanwhile
            resume = {"session_id": "sess_1", "session_token": "token", "features": ["playback", "resume"]}
            await send(second, type="session.init", **resume, resume={"received": 0})
            await until(lambda: session.attached is not first, second)
            waiting = session.attached
            second.transport.abort()
        async with connect(address) as third:
            await send(third, type="session.init", **resume, resume={"received": 0})
            await until(lambda: session.attached is not waiting, third)
            assert session.speak_gate is not None
            session.speak_gate.set()
            assert await receive(third) == begun(resumed=True, received=1)
            assert await receive(third) == confirmed(1, 1)
    assert [spoken[2] for spoken in session.spoken] == ["a"]


async def test_the_newest_connection_goes_on_and_those_that_wait_for_longer_are_overtaken() -> None:
    """Their clients have left. None of them may begin the conversation anew, either."""
    conversations, protocol = Conversations(), ChannelProtocol()
    protocol.state, protocol.features = ChannelState.OPEN, frozenset({"resume"})
    init = SessionInit(session_id="sess_1", token="token", hosted=False, features=frozenset({"resume"}), received=0)
    used = conversations.start("sess_1", protocol)
    resumed: list[Conversation | None] = []

    async def resume() -> None:
        resumed.append(await conversations.resume(init))

    async def wait_in_vain() -> None:
        with pytest.raises(Overtaken):
            await conversations.resume(init)

    with anyio.fail_after(20):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(wait_in_vain)
            await anyio.wait_all_tasks_blocked()
            tasks.start_soon(wait_in_vain)
            await anyio.wait_all_tasks_blocked()
            tasks.start_soon(resume)
            await anyio.wait_all_tasks_blocked()
            conversations.release(used)
    assert resumed == [used]


async def test_a_conversation_that_is_not_known_begins_anew() -> None:
    session = FakeSession(token="token")
    async with serving(session) as address:
        async with connect(address) as client:
            assert await init(client, received=7) == begun(resumed=False, received=0)
            await speak(client, "a")
            assert await receive(client) == confirmed(1, 1)
        with anyio.fail_after(20):
            await session.left.wait()
        async with connect(address) as client:
            assert await init(client, received=2) == begun(resumed=False, received=0), "it was never sent a second one"
        async with connect(address) as client:
            assert await init(client, "resume", "state", received=0) == begun(resumed=False, received=0), (
                "with other features"
            )


async def speak_and_leave(address: str, session: FakeSession) -> None:
    """Speak "a", whose end comes after the client has left, with a change of the state."""
    session.speak_gate = anyio.Event()
    async with connect(address) as client:
        await init(client, "playback", "resume", "state")
        await speak(client, "a")
        await until(lambda: session.speak_calls == 1, client)
        client.transport.abort()
    for _ in range(10):
        async with connect(address):  # round trips: the server has seen the client leave
            pass
    assert session.attached is not None
    session.attached.emit(StateChanged(state="speaking"))
    session.attached.emit(end("a"))
    for _ in range(10):
        async with connect(address):
            pass
    session.speak_gate.set()
    with anyio.fail_after(20):
        await session.left.wait()


async def test_a_channel_without_resume_gets_the_ends_that_nobody_was_sent() -> None:
    session = FakeSession(token="token")
    async with serving(session) as address:
        await speak_and_leave(address, session)
        async with connect(address) as client:
            established = {"type": "connection.established", "session_id": "sess_1"}
            assert await init(client, "playback", "state") == established
            finished = await receive(client)
            assert (finished["type"], finished["utterance_id"]) == ("agent.playback.finished", "a")


async def test_an_end_that_a_client_has_come_back_for_is_not_told_to_the_next_channel() -> None:
    session = FakeSession(token="token")
    async with serving(session) as address:
        await speak_and_leave(address, session)
        async with connect(address) as client:
            assert (await init(client, "playback", "resume", "state", received=0))["resumed"]
            assert [(await receive(client))["type"] for _ in range(3)] == [
                "agent.speak.confirmed",
                "agent.state",
                "agent.playback.finished",
            ]
        async with connect(address) as client:
            await init(client, "playback")
            await speak(client, "b")
            assert (await receive(client))["type"] == "agent.speak.confirmed"


async def test_an_end_is_told_once_to_a_client_that_left_while_it_was_noted() -> None:
    """The end is in the conversation already, but the stage has not taken the note of it."""
    session = FakeSession(token="token")
    async with serving(session) as address:
        async with connect(address) as client:
            await init(client)
            session.note_gate = anyio.Event()
            assert session.attached is not None
            session.attached.emit(end("a"))
            await until(session.notes.all, client)
            client.transport.abort()
        with anyio.fail_after(20):
            await session.left.wait()
        session.note_gate.set()
        assert session.unsent == [], "the conversation keeps it: the session would tell it once more"
        async with connect(address) as client:
            assert (await init(client, received=0))["resumed"]
            assert (await receive(client))["utterance_id"] == "a"


async def test_ends_are_kept_when_the_channel_that_should_tell_them_does_not_open() -> None:
    session = FakeSession(token="token")
    async with serving(session) as address:
        await speak_and_leave(address, session)
        session.broken_notes = True
        async with connect(address) as client:
            assert (await init(client))["code"] == "INTERNAL"  # it would have begun anew
            await wait_for_close(client)
        with anyio.fail_after(20):
            while not session.unsent:
                async with connect(address):  # round trips: the server has seen the client leave
                    pass
        assert session.unsent == [end("a")]


async def test_an_interrupt_that_a_client_sent_before_it_left_takes_effect() -> None:
    session = FakeSession(token="token")
    async with serving(session) as address:
        async with connect(address) as client:
            await init(client)
            await send(client, type="agent.interrupt")
            await client.close()
            with pytest.raises(ConnectionClosed):
                while True:
                    await client.recv()
        with anyio.fail_after(20):
            await session.left.wait()
        assert session.interrupts == [(2, 0)]
        async with connect(address) as client:
            assert await init(client, received=0) == begun(resumed=True, received=1)
            assert await receive(client) == {"type": "agent.interrupt.confirmed", "seq": 1, "ack": 1}


async def test_an_interrupt_that_was_read_ahead_is_confirmed_once_although_it_is_sent_again() -> None:
    """It is behind more speech than the server takes at once, and acts before its turn, which never comes."""
    session = FakeSession(token="token", speak_gate=anyio.Event())
    async with serving(session) as address, connect(address) as dead:
        await init(dead)
        for number in range(60):
            await speak(dead, str(number))
        await send(dead, type="agent.interrupt")
        assert (await receive(dead)) | {"ack": 0} == {"type": "agent.interrupt.confirmed", "seq": 1, "ack": 0}
        await until(lambda: session.speak_calls == MAX_PENDING_EFFECTS, dead)
        async with connect(address) as client, anyio.create_task_group() as tasks:

            async def answer_when_the_other_is_closed() -> None:
                assert (await wait_for_close(dead))[0] == 4409
                assert session.speak_gate is not None
                session.speak_gate.set()

            tasks.start_soon(answer_when_the_other_is_closed)
            assert await init(client, received=1) == begun(resumed=True, received=MAX_PENDING_EFFECTS + 1)
            for number in range(MAX_PENDING_EFFECTS + 1, 60):
                await speak(client, str(number))
            await send(client, type="agent.interrupt")
            await speak(client, "after")
            messages = [await receive(client) for _ in range(61)]
    assert {message["type"] for message in messages} == {"agent.speak.confirmed"}
    assert len(session.interrupts) == 2 and session.speak_calls == 61, "each message was taken once"


async def test_messages_that_resume_wrongly_are_refused() -> None:
    session = FakeSession(token="token")
    async with serving(session) as address, connect(address) as client:
        for resume in (7, {}, {"received": -1}, {"received": True}, {"received": "1"}):
            await send(client, type="session.init", session_id="sess_1", session_token="token", resume=resume)
            assert (await receive(client))["code"] == "INVALID_INIT"
        assert (await init(client, "playback"))["type"] == "connection.established"
        await send(client, type="ack", seq=1)
        assert (await receive(client))["code"] == "FEATURE_NOT_ENABLED"


async def test_what_a_connection_says_of_a_conversation_that_was_given_up_goes_to_the_session() -> None:
    conversations, protocol = Conversations(), ChannelProtocol()
    protocol.state, protocol.features = ChannelState.OPEN, frozenset({"resume"})
    used = conversations.start("sess_1", protocol)
    protocol.sent.add("a", end("a"), is_sent=False)
    assert conversations.end("sess_1") == [end("a")]
    protocol.sent.add("b", end("b"), is_sent=False)
    assert conversations.release(used) == [end("b")], "each once"
    assert conversations.release(used) == []


def test_an_end_that_was_numbered_is_unsent_until_it_has_left() -> None:
    """Its client may leave while the stage takes the note of it."""
    log = SentLog()
    for name in "abc":
        log.add(name, end(name), is_sent=True)
    log.note_sent(1)
    assert log.take_unsent_events() == [end("b"), end("c")]
    assert log.take_unsent_events() == []


def test_the_log_keeps_what_is_not_acknowledged_within_bounds() -> None:
    log = SentLog()
    for number in range(1, 6):
        log.add(f"message {number}", None, is_sent=True)
    log.acknowledge(2)
    assert [text for _, text, _ in log.messages()] == ["message 3", "message 4", "message 5"]
    assert log.can_go_on_after(2) and log.can_go_on_after(5) and not log.can_go_on_after(6)
    log.add("x" * MAX_SENT_BYTES, None, is_sent=True)
    assert len(log.messages()) == 1 and log.can_go_on_after(5) and not log.can_go_on_after(4)
    log.acknowledge(6)
    assert log.messages() == [] and log.can_go_on_after(6)
