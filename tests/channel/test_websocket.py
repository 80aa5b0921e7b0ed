"""The channel over real sockets: uvicorn serves it over fake sessions, a real WebSocket client speaks to it."""

from __future__ import annotations

import base64
import itertools
import json
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import anyio
import pytest
import uvicorn
from anyio.lowlevel import checkpoint
from fastapi import FastAPI
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from tests.channel.fakes import FakeLiveSessions, FakeSession
from visavis.channel.port import SessionOver
from visavis.channel.websocket import WS_MAX_SIZE_BYTES, channel_router
from visavis.stage.port.events import PlaybackFinished, PlaybackStarted

pytestmark = pytest.mark.anyio
PCM = base64.b64encode(bytes(3200)).decode()


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@asynccontextmanager
async def serving(session: FakeSession, **timeouts: float) -> AsyncIterator[str]:
    """Serve one session, `sess_1`, on a free port; yield the channel's address."""
    app = FastAPI()
    app.include_router(channel_router(FakeLiveSessions({"sess_1": session}), **timeouts))
    config = uvicorn.Config(
        app, ws="websockets-sansio", ws_max_size=WS_MAX_SIZE_BYTES, log_level="warning", lifespan="off"
    )
    server = uvicorn.Server(config)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(server.serve, [listener])
            try:
                yield f"ws://127.0.0.1:{listener.getsockname()[1]}/v1/channel"
            finally:
                server.should_exit = True


async def tell(client: ClientConnection, **message: Any) -> None:
    await client.send(json.dumps(message))


async def hear(client: ClientConnection) -> dict[str, Any]:
    with anyio.fail_after(20):
        heard = json.loads(await client.recv())
    assert isinstance(heard, dict)
    return heard


async def closing(client: ClientConnection) -> tuple[int, str]:
    """Wait for the close; return its code and reason. Fails on a message before it."""
    with anyio.fail_after(20), pytest.raises(ConnectionClosed) as closed:
        raise AssertionError(await client.recv())
    assert closed.value.rcvd is not None
    return closed.value.rcvd.code, closed.value.rcvd.reason


async def opened(client: ClientConnection, *features: str) -> None:
    await tell(client, type="session.init", session_id="sess_1", session_token="token", features=list(features))
    assert await hear(client) == {"type": "connection.established", "session_id": "sess_1"}


async def test_speech_is_taken_in_order_even_when_sent_before_any_answer() -> None:
    session = FakeSession(token="token")
    async with serving(session) as address, connect(address) as client:
        await tell(client, type="session.init", session_id="sess_1", session_token="token")
        for rate in (16_000, 8_000, 32_000):
            await tell(client, type="agent.speak", audio=PCM, sample_rate=rate)
        await tell(client, type="agent.interrupt")
        heard = [await hear(client) for _ in range(5)]
    assert [message.get("audio_samples", message["type"]) for message in heard] == [
        "connection.established",
        1600,
        3200,
        800,
        "agent.interrupt.confirmed",
    ]
    assert session.spoken == [
        (3200, 16_000, None, False),
        (3200, 8_000, None, False),
        (3200, 32_000, None, False),
        "interrupt",
    ]


async def test_speech_in_small_pieces_does_not_wait_for_each_answer() -> None:
    session = FakeSession(token="token", speak_gate=anyio.Event())
    async with serving(session) as address, connect(address) as client:
        await opened(client)
        for rate in (16_000, 8_000, 32_000):
            await tell(client, type="agent.speak", audio=PCM, sample_rate=rate)
        await tell(client, type="nonsense")
        await tell(client, type="agent.speak", audio="", final=True)
        with anyio.fail_after(20):
            while session.asked < 4:
                await (await client.ping())  # one round trip
        assert session.spoken == [] and session.speak_gate is not None
        session.speak_gate.set()
        heard = [await hear(client) for _ in range(5)]
    assert [message.get("audio_samples", message.get("code")) for message in heard] == [
        1600,
        3200,
        800,
        "UNKNOWN_TYPE",
        0,
    ]


async def test_what_a_client_sent_before_it_left_is_taken() -> None:
    session = FakeSession(token="token")
    async with serving(session) as address:
        async with connect(address) as client:
            await opened(client)
            for _ in range(50):
                await tell(client, type="agent.speak", audio=PCM)
        with anyio.fail_after(20):
            await session.gone.wait()
    assert len(session.spoken) == 50


async def test_the_session_of_the_address_must_be_the_one_of_the_init() -> None:
    async with serving(FakeSession(token="token")) as address, connect(f"{address}/sess_other") as client:
        await tell(client, type="session.init", session_id="sess_1", session_token="token")
        assert (await hear(client))["code"] == "SESSION_MISMATCH"
        assert (await closing(client))[0] == 4404
    async with serving(FakeSession(token="token")) as address, connect(f"{address}/sess_other") as client:
        await tell(client, type="session.init", session_id="sess_other", session_token="token")
        assert (await hear(client))["code"] == "SESSION_NOT_FOUND"
        assert await closing(client) == (4404, "Session not found")


async def test_silence_before_the_init_closes_the_channel() -> None:
    async with serving(FakeSession(token="token"), init_timeout_s=0.1) as address, connect(address) as client:
        assert (await hear(client))["code"] == "INIT_TIMEOUT"
        assert (await closing(client))[0] == 4408


async def test_the_time_for_an_init_is_not_prolonged_by_refused_ones() -> None:
    async with serving(FakeSession(token="token"), init_timeout_s=0.3) as address, connect(address) as client:
        codes = set()
        while "INIT_TIMEOUT" not in codes:
            await tell(client, type="session.init")
            codes.add((await hear(client))["code"])
            await anyio.sleep(0.02)
        assert codes == {"INVALID_INIT", "INIT_TIMEOUT"}


async def test_a_flood_of_refused_inits_does_not_prolong_the_time_either() -> None:
    """Without sockets, as a server's buffers would decide how much of the flood there is to be read at that time."""
    app, told = FastAPI(), []
    app.include_router(channel_router(FakeLiveSessions({}), init_timeout_s=0.1))
    frames = itertools.chain(
        [{"type": "websocket.connect"}],
        itertools.repeat({"type": "websocket.receive", "text": '{"type": "session.init"}'}),
    )

    async def receive() -> Any:
        await checkpoint()
        return next(frames)

    async def send(message: Any) -> None:
        await checkpoint()
        told.append(message)

    scope = {"type": "websocket", "path": "/v1/channel", "query_string": b"", "headers": [], "subprotocols": []}
    with anyio.fail_after(20):
        await app(scope, receive, send)
    assert json.loads(told[-2]["text"])["code"] == "INIT_TIMEOUT" and told[-1]["code"] == 4408


async def test_an_open_channel_outlives_the_time_for_an_init() -> None:
    session = FakeSession(token="token")
    async with serving(session, init_timeout_s=0.2) as address, connect(address) as client:
        await opened(client)
        await anyio.sleep(0.4)
        await tell(client, type="agent.interrupt")
        assert (await hear(client))["type"] == "agent.interrupt.confirmed"


async def test_events_are_forwarded_and_the_end_waits_for_no_effect() -> None:
    session = FakeSession(token="token")
    async with serving(session) as address, connect(address) as client:
        await opened(client, "playback")
        assert session.attached is not None
        session.attached.tell(PlaybackFinished(utterance_id="u", position_s=0.125, interrupted=True))
        finished = {"type": "agent.playback.finished", "utterance_id": "u", "position_s": 0.125, "interrupted": True}
        assert await hear(client) == finished
        session.speak_gate = anyio.Event()  # never set: this speak never returns
        await tell(client, type="agent.speak", audio=PCM)
        session.attached.tell(SessionOver(reason="room empty"))
        assert await closing(client) == (1000, "room empty")
    assert session.detached == 1


async def test_a_second_channel_takes_over_and_the_first_closes() -> None:
    session = FakeSession(token="token")
    async with serving(session) as address, connect(address) as first, connect(address) as second:
        await opened(first)
        await opened(second)
        assert (await closing(first))[0] == 4409
        await tell(second, type="agent.interrupt")
        assert (await hear(second))["type"] == "agent.interrupt.confirmed"


async def test_a_client_that_vanishes_is_detached_and_what_it_said_is_kept() -> None:
    session = FakeSession(token="token")
    async with serving(session) as address:
        async with connect(address) as client:
            await opened(client)
            await tell(client, type="agent.speak", audio=PCM)
            assert (await hear(client))["audio_samples"] == 1600
            await client.send("nonsense")
            assert (await hear(client))["code"] == "INVALID_JSON"
            client.transport.abort()
        with anyio.fail_after(20):
            await session.gone.wait()
    assert session.spoken == [(3200, 16_000, None, False)]


async def test_a_message_too_large_is_told_then_closed_and_the_session_lives_on() -> None:
    session = FakeSession(token="token")
    async with serving(session) as address:
        async with connect(address) as client:
            await opened(client, "binary")
            await client.send(bytes(10 * 1024 * 1024))
            assert (await hear(client))["audio_samples"] == 5 * 1024 * 1024
            await client.send(bytes(10 * 1024 * 1024 + 2))
            assert (await hear(client))["code"] == "MESSAGE_TOO_LARGE"
            assert (await closing(client))[0] == 1009
        async with connect(address, max_size=None) as client:
            await opened(client, "binary")
            with pytest.raises(ConnectionClosed) as closed:
                await client.send(bytes(WS_MAX_SIZE_BYTES + 1))
                await hear(client)
            assert closed.value.rcvd is not None and closed.value.rcvd.code == 1009
    assert len(session.spoken) == 1


async def test_a_fault_of_ours_closes_1011_and_detaches() -> None:
    session = FakeSession(token="token")
    async with serving(session) as address, connect(address) as client:
        await opened(client)
        session.broken = True
        await tell(client, type="agent.speak", audio=PCM)
        assert (await hear(client))["code"] == "INTERNAL"
        assert (await closing(client))[0] == 1011
    assert session.detached == 1


async def test_a_performer_that_does_not_answer_is_told_and_the_channel_stays_open() -> None:
    session = FakeSession(token="token")
    async with serving(session, effect_timeout_s=0.1) as address, connect(address) as client:
        await opened(client)
        session.speak_gate = anyio.Event()  # never set
        await tell(client, type="agent.speak", audio=PCM)
        assert (await hear(client))["code"] == "PERFORMER_LOST"
        session.speak_gate = None
        await tell(client, type="agent.speak", audio=PCM)
        assert (await hear(client))["audio_samples"] == 1600


async def test_a_client_that_leaves_before_it_is_closed_is_detached() -> None:
    session = FakeSession(token="token", speak_gate=anyio.Event())
    async with serving(session) as address:
        async with connect(address) as client:
            await opened(client, "playback", "binary")
            await tell(client, type="agent.speak", audio=PCM)
            await client.send(bytes(10 * 1024 * 1024 + 2))
            for _ in range(10):
                await (await client.ping())  # the close stands in line behind the speech
            assert session.attached is not None and session.speak_gate is not None
            session.attached.tell(PlaybackStarted(utterance_id="u"))
            client.transport.abort()
        for _ in range(10):
            async with connect(address):  # round trips: the server has seen the client leave
                pass
        session.speak_gate.set()
        with anyio.fail_after(20):
            await session.gone.wait()


async def test_an_interrupt_behind_a_burst_overtakes_it_and_is_answered_in_its_turn() -> None:
    session = FakeSession(token="token", speak_gate=anyio.Event())
    async with serving(session) as address, connect(address) as client:
        await opened(client)
        for _ in range(100):
            await tell(client, type="agent.speak", audio=PCM)
        await tell(client, type="agent.interrupt")
        await tell(client, type="agent.speak", audio=PCM, utterance_id="after")
        with anyio.fail_after(20):
            while not session.interrupts:
                await (await client.ping())
        assert session.interrupts == [(102, 0)], "the init is message 1, the interrupt 102"
        assert session.speak_gate is not None
        session.speak_gate.set()
        heard = [await hear(client) for _ in range(102)]
    kinds = [message["type"] for message in heard]
    assert kinds == ["agent.speak.confirmed"] * 100 + ["agent.interrupt.confirmed", "agent.speak.confirmed"]
    assert all(message["audio_samples"] == 1600 for message in heard if "audio_samples" in message)
    assert session.spoken == ["interrupt", (3200, 16_000, "after", False)]
    assert session.dropped == list(range(2, 102))


async def test_speech_that_was_sent_before_the_session_was_open_is_numbered_too() -> None:
    session = FakeSession(token="token", speak_gate=anyio.Event())
    async with serving(session) as address, connect(address) as client:
        await tell(client, type="session.init", session_id="sess_1", session_token="token")
        for _ in range(5):
            await tell(client, type="agent.speak", audio=PCM)
        assert (await hear(client))["type"] == "connection.established"
        await tell(client, type="agent.interrupt")
        with anyio.fail_after(20):
            while not session.interrupts:
                await (await client.ping())
        assert session.speak_gate is not None
        session.speak_gate.set()
        assert [(await hear(client))["type"] for _ in range(6)][-1] == "agent.interrupt.confirmed"
    assert session.spoken == ["interrupt"] and session.dropped == [2, 3, 4, 5, 6]


async def test_an_interrupt_that_breaks_is_told_in_its_turn() -> None:
    session = FakeSession(token="token", broken_interrupt=True)
    async with serving(session) as address, connect(address) as client:
        await opened(client)
        await tell(client, type="agent.speak", audio=PCM)
        await tell(client, type="agent.interrupt")
        assert (await hear(client))["audio_samples"] == 1600
        assert (await hear(client))["code"] == "INTERNAL"
        assert (await closing(client))[0] == 1011
    assert session.detached == 1


async def test_a_flood_of_interrupts_is_answered_one_by_one() -> None:
    session = FakeSession(token="token")
    async with serving(session) as address, connect(address) as client:
        await opened(client)
        for _ in range(500):
            await tell(client, type="agent.interrupt")
        assert {(await hear(client))["type"] for _ in range(500)} == {"agent.interrupt.confirmed"}
    assert sorted(through for through, _ in session.interrupts) == list(range(2, 502))
