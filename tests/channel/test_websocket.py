"""The channel over real sockets: uvicorn serves fake sessions, and a real WebSocket client connects."""

from __future__ import annotations

import base64
import itertools
import json
import socket
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import anyio
import pytest
import structlog.testing
import uvicorn
from anyio.lowlevel import checkpoint
from fastapi import FastAPI
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from tests.channel.fakes import FakeLiveSessions, FakeSession
from visavis.channel.handshake import FEATURES
from visavis.channel.port import LastEvent, ServerChanges, SessionOver, TakenOver
from visavis.channel.websocket import WS_MAX_SIZE_BYTES, channel_router
from visavis.stage.port.events import PlaybackFinished, PlaybackStarted

pytestmark = pytest.mark.anyio
PCM = base64.b64encode(bytes(3200)).decode()


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@asynccontextmanager
async def serving(
    session: FakeSession, *, send_buffer_bytes: int | None = None, **timeouts: float
) -> AsyncIterator[str]:
    """Serve one session, `sess_1`, on a free port; yield the channel's address."""
    app = FastAPI()
    app.include_router(channel_router(FakeLiveSessions({"sess_1": session}), None, FEATURES, **timeouts))
    config = uvicorn.Config(
        app, ws="websockets-sansio", ws_max_size=WS_MAX_SIZE_BYTES, log_level="warning", lifespan="off"
    )
    server = uvicorn.Server(config)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        if send_buffer_bytes is not None:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, send_buffer_bytes)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(server.serve, [listener])
            try:
                yield f"ws://127.0.0.1:{listener.getsockname()[1]}/v1/channel"
            finally:
                server.should_exit = True


async def send(client: ClientConnection, **message: Any) -> None:
    await client.send(json.dumps(message))


async def receive(client: ClientConnection) -> dict[str, Any]:
    with anyio.fail_after(20):
        message = json.loads(await client.recv())
    assert isinstance(message, dict)
    return message


async def wait_for_close(client: ClientConnection) -> tuple[int, str]:
    """Wait for the close; return its code and reason. Fails on a message before it."""
    with anyio.fail_after(20), pytest.raises(ConnectionClosed) as closed:
        raise AssertionError(await client.recv())
    assert closed.value.rcvd is not None
    return closed.value.rcvd.code, closed.value.rcvd.reason


async def open_channel(client: ClientConnection, *features: str) -> None:
    await send(client, type="session.init", session_id="sess_1", session_token="token", features=list(features))
    assert await receive(client) == {"type": "connection.established", "session_id": "sess_1"}


async def test_speech_is_accepted_in_order_even_when_sent_before_any_reply() -> None:
    session = FakeSession(token="token")
    async with serving(session) as address, connect(address) as client:
        await send(client, type="session.init", session_id="sess_1", session_token="token")
        for rate in (16_000, 8_000, 32_000):
            await send(client, type="agent.speak", audio=PCM, sample_rate=rate)
        await send(client, type="agent.interrupt")
        received = [await receive(client) for _ in range(5)]
    assert received[0]["type"] == "connection.established"
    assert [message["audio_samples"] for message in received if "audio_samples" in message] == [1600, 3200, 800]
    assert {"type": "agent.interrupt.confirmed"} in received
    assert session.spoken == [
        (3200, 16_000, None, False),
        (3200, 8_000, None, False),
        (3200, 32_000, None, False),
        "interrupt",
    ]


async def test_small_pieces_of_speech_do_not_wait_for_each_reply() -> None:
    session = FakeSession(token="token", speak_gate=anyio.Event())
    async with serving(session) as address, connect(address) as client:
        await open_channel(client)
        for rate in (16_000, 8_000, 32_000):
            await send(client, type="agent.speak", audio=PCM, sample_rate=rate)
        await send(client, type="nonsense")
        await send(client, type="agent.speak", audio="", final=True)
        with anyio.fail_after(20):
            while session.speak_calls < 4:
                await (await client.ping())  # one round trip
        assert session.spoken == [] and session.speak_gate is not None
        session.speak_gate.set()
        received = [await receive(client) for _ in range(5)]
    assert [message.get("audio_samples", message.get("code")) for message in received] == [
        1600,
        3200,
        800,
        "UNKNOWN_TYPE",
        0,
    ]


async def test_speech_that_a_client_sent_before_it_left_is_accepted() -> None:
    session = FakeSession(token="token")
    async with serving(session) as address:
        async with connect(address) as client:
            await open_channel(client)
            for _ in range(50):
                await send(client, type="agent.speak", audio=PCM)
        with anyio.fail_after(20):
            await session.left.wait()
    assert len(session.spoken) == 50


async def test_the_address_and_the_init_must_name_the_same_session() -> None:
    async with serving(FakeSession(token="token")) as address, connect(f"{address}/sess_other") as client:
        await send(client, type="session.init", session_id="sess_1", session_token="token")
        assert (await receive(client))["code"] == "SESSION_MISMATCH"
        assert (await wait_for_close(client))[0] == 4404
    async with serving(FakeSession(token="token")) as address, connect(f"{address}/sess_other") as client:
        await send(client, type="session.init", session_id="sess_other", session_token="token")
        assert (await receive(client))["code"] == "SESSION_NOT_FOUND"
        assert await wait_for_close(client) == (4404, "Session not found")


async def test_a_missing_init_closes_the_channel() -> None:
    async with serving(FakeSession(token="token"), init_timeout_s=0.1) as address, connect(address) as client:
        assert (await receive(client))["code"] == "INIT_TIMEOUT"
        assert (await wait_for_close(client))[0] == 4408


async def test_refused_inits_do_not_extend_the_init_timeout() -> None:
    async with serving(FakeSession(token="token"), init_timeout_s=0.3) as address, connect(address) as client:
        codes = set()
        while "INIT_TIMEOUT" not in codes:
            await send(client, type="session.init")
            codes.add((await receive(client))["code"])
            await anyio.sleep(0.02)
        assert codes == {"INVALID_INIT", "INIT_TIMEOUT"}


async def test_a_flood_of_refused_inits_does_not_extend_the_init_timeout() -> None:
    """Runs without sockets: a server's buffers would decide how many of the frames have arrived at the timeout."""
    app, sent = FastAPI(), []
    app.include_router(channel_router(FakeLiveSessions({}), init_timeout_s=0.1))
    frames = itertools.chain(
        [{"type": "websocket.connect"}],
        itertools.repeat({"type": "websocket.receive", "text": '{"type": "session.init"}'}),
    )

    async def asgi_receive() -> Any:
        await checkpoint()
        return next(frames)

    async def asgi_send(message: Any) -> None:
        await checkpoint()
        sent.append(message)

    scope = {"type": "websocket", "path": "/v1/channel", "query_string": b"", "headers": [], "subprotocols": []}
    with anyio.fail_after(20):
        await app(scope, asgi_receive, asgi_send)
    assert json.loads(sent[-2]["text"])["code"] == "INIT_TIMEOUT" and sent[-1]["code"] == 4408


async def test_an_open_channel_outlives_the_init_timeout() -> None:
    session = FakeSession(token="token")
    async with serving(session, init_timeout_s=0.2) as address, connect(address) as client:
        await open_channel(client)
        await anyio.sleep(0.4)
        await send(client, type="agent.interrupt")
        assert (await receive(client))["type"] == "agent.interrupt.confirmed"


async def test_events_are_forwarded_and_the_end_of_the_session_waits_for_no_effect() -> None:
    session = FakeSession(token="token")
    async with serving(session) as address, connect(address) as client:
        await open_channel(client, "playback")
        assert session.attached is not None
        session.attached.emit(PlaybackFinished(utterance_id="u", position_s=0.125, interrupted=True))
        finished = {"type": "agent.playback.finished", "utterance_id": "u", "position_s": 0.125, "interrupted": True}
        assert await receive(client) == finished
        session.speak_gate = anyio.Event()  # never set: this speak never returns
        await send(client, type="agent.speak", audio=PCM)
        session.attached.emit(SessionOver(reason="room empty"))
        assert await wait_for_close(client) == (1000, "room empty")
    assert session.detached == 1


async def test_a_second_channel_takes_over_and_the_first_closes() -> None:
    session = FakeSession(token="token")
    async with serving(session) as address, connect(address) as first, connect(address) as second:
        await open_channel(first)
        await open_channel(second)
        assert (await wait_for_close(first))[0] == 4409
        await send(second, type="agent.interrupt")
        assert (await receive(second))["type"] == "agent.interrupt.confirmed"


class SlowSocket:
    """A client's socket, from which the server reads a frame in each turn of the event loop, as it reads a large
    backlog. `sent`: what the application has sent.
    """

    def __init__(self, *frames: dict[str, Any]) -> None:
        self.frames = deque([{"type": "websocket.connect"}, *(text_frame(**frame) for frame in frames)])
        self.sent: list[Any] = []

    async def receive(self) -> Any:
        while not self.frames:
            await checkpoint()
        await checkpoint()
        return self.frames.popleft()

    async def send(self, message: Any) -> None:
        self.sent.append(message)

    async def until(self, kind: str) -> Any:
        """Wait until the application has sent a message of this type."""
        with anyio.fail_after(20):
            while not (found := [one for one in self.sent if one["type"] == kind]):
                await checkpoint()
        return found[0]


def text_frame(**message: Any) -> dict[str, str]:
    return {"type": "websocket.receive", "text": json.dumps(message)}


@pytest.mark.parametrize("features", [[], ["resume"]])
@pytest.mark.parametrize("event", [TakenOver(), ServerChanges()])
async def test_an_interrupt_that_has_arrived_counts_though_its_channel_must_leave(
    features: list[str], event: LastEvent
) -> None:
    """The system has handed it over behind much speech, and the server has read none of it."""
    session = FakeSession(token="token")
    app = FastAPI()
    app.include_router(channel_router(FakeLiveSessions({"sess_1": session})))
    client = SlowSocket(
        {"type": "session.init", "session_id": "sess_1", "session_token": "token", "features": features}
    )
    scope = {"type": "websocket", "path": "/v1/channel", "headers": [], "query_string": b"", "subprotocols": []}
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(app, scope, client.receive, client.send)
        await client.until("websocket.send")
        assert session.attached is not None
        client.frames.extend([*[text_frame(type="agent.speak", audio=PCM)] * 20, text_frame(type="agent.interrupt")])
        session.attached.emit(event)
        closed = await client.until("websocket.close")
        client.frames.append({"type": "websocket.disconnect", "code": closed["code"]})
    assert closed["code"] == (4409 if isinstance(event, TakenOver) else 1012)
    assert [through for through, _ in session.interrupts] == [22]
    assert session.spoken.count("interrupt") == 1 and session.detached == 1


@pytest.mark.parametrize("features", [["playback"], ["playback", "resume"]])
@pytest.mark.parametrize("lost", [True, False])
async def test_a_server_that_slept_tells_nothing_before_it_knows_whose_the_session_is(
    features: list[str], lost: bool
) -> None:
    """What it told its client, the server that has the session by then would not know."""
    session = FakeSession(token="token")
    async with serving(session) as address, connect(address) as client:
        await send(client, type="session.init", session_id="sess_1", session_token="token", features=features)
        assert (await receive(client))["type"] == "connection.established"
        assert session.attached is not None
        session.owner_gate = anyio.Event()
        session.attached.emit(PlaybackStarted(utterance_id="a"))
        with anyio.move_on_after(0.1):
            raise AssertionError(await client.recv())
        session.lost = lost
        session.owner_gate.set()
        if lost:
            session.attached.emit(ServerChanges(taken=True))
            assert (await wait_for_close(client))[0] == 1012
        else:
            assert (await receive(client))["type"] == "agent.playback.started"


async def test_a_client_that_vanishes_is_detached_and_its_speech_is_kept() -> None:
    session = FakeSession(token="token")
    async with serving(session) as address:
        async with connect(address) as client:
            await open_channel(client)
            await send(client, type="agent.speak", audio=PCM)
            assert (await receive(client))["audio_samples"] == 1600
            await client.send("nonsense")
            assert (await receive(client))["code"] == "INVALID_JSON"
            client.transport.abort()
        with anyio.fail_after(20):
            await session.left.wait()
    assert session.spoken == [(3200, 16_000, None, False)]


async def test_a_message_too_large_gets_an_error_then_a_close_and_the_session_goes_on() -> None:
    session = FakeSession(token="token")
    async with serving(session) as address:
        async with connect(address) as client:
            await open_channel(client, "binary")
            await client.send(bytes(10 * 1024 * 1024))
            assert (await receive(client))["audio_samples"] == 5 * 1024 * 1024
            await client.send(bytes(10 * 1024 * 1024 + 2))
            assert (await receive(client))["code"] == "MESSAGE_TOO_LARGE"
            assert (await wait_for_close(client))[0] == 1009
        async with connect(address, max_size=None) as client:
            await open_channel(client, "binary")
            with pytest.raises(ConnectionClosed) as closed:
                await client.send(bytes(WS_MAX_SIZE_BYTES + 1))
                await receive(client)
            assert closed.value.rcvd is not None and closed.value.rcvd.code == 1009
    assert len(session.spoken) == 1


async def test_an_error_in_the_server_closes_1011_and_detaches() -> None:
    session = FakeSession(token="token")
    async with serving(session) as address, connect(address) as client:
        await open_channel(client)
        session.broken = True
        await send(client, type="agent.speak", audio=PCM)
        assert (await receive(client))["code"] == "INTERNAL"
        assert (await wait_for_close(client))[0] == 1011
    assert session.detached == 1


async def test_a_performer_that_does_not_answer_is_an_error_and_the_channel_stays_open() -> None:
    session = FakeSession(token="token")
    async with serving(session, effect_timeout_s=0.1) as address, connect(address) as client:
        await open_channel(client)
        session.speak_gate = anyio.Event()  # never set
        await send(client, type="agent.speak", audio=PCM)
        assert (await receive(client))["code"] == "PERFORMER_LOST"
        session.speak_gate = None
        await send(client, type="agent.speak", audio=PCM)
        assert (await receive(client))["audio_samples"] == 1600


async def test_a_client_that_leaves_before_it_is_closed_is_detached() -> None:
    session = FakeSession(token="token", speak_gate=anyio.Event())
    async with serving(session) as address:
        async with connect(address) as client:
            await open_channel(client, "playback", "binary")
            await send(client, type="agent.speak", audio=PCM)
            await client.send(bytes(10 * 1024 * 1024 + 2))
            for _ in range(10):
                await (await client.ping())  # the close waits behind the speech
            assert session.attached is not None and session.speak_gate is not None
            session.attached.emit(PlaybackStarted(utterance_id="u"))
            client.transport.abort()
        for _ in range(10):
            async with connect(address):  # round trips: the server has seen the client leave
                pass
        session.speak_gate.set()
        with anyio.fail_after(20):
            await session.left.wait()


async def test_events_that_a_client_did_not_get_are_given_back() -> None:
    session = FakeSession(token="token", speak_gate=anyio.Event())
    ends = [PlaybackFinished(utterance_id=str(n), position_s=0.0, interrupted=True) for n in range(3)]
    async with serving(session) as address:
        async with connect(address) as client:
            await open_channel(client, "playback")
            assert session.attached is not None
            session.attached.emit(ends[0])
            assert (await receive(client))["utterance_id"] == "0"
            await send(client, type="agent.speak", audio=PCM)
            with anyio.fail_after(20):
                while not session.speak_calls:
                    await (await client.ping())
            session.attached.emit(ends[1])  # waits behind the answer to the speech
            await (await client.ping())
            client.transport.abort()
        for _ in range(10):
            async with connect(address):  # round trips: the server has seen the client leave
                pass
        session.attached.emit(ends[2])
        assert session.speak_gate is not None
        session.speak_gate.set()
        with anyio.fail_after(20):
            await session.left.wait()
    assert session.unsent == ends[1:]


async def test_a_client_that_leaves_as_its_session_ends_is_no_error() -> None:
    session = FakeSession(token="token", speak_gate=anyio.Event())
    with structlog.testing.capture_logs() as logs:
        async with serving(session) as address:
            async with connect(address) as client:
                await open_channel(client)
                await send(client, type="agent.speak", audio=PCM)
                await (await client.ping())
                client.transport.abort()
            for _ in range(10):
                async with connect(address):  # round trips: the server has seen the client leave
                    pass
            assert session.attached is not None
            session.attached.emit(SessionOver(reason="ended_by_client"))
            with anyio.fail_after(20):
                await session.left.wait()
    assert [log["event"] for log in logs] == ["channel_opened", "channel_closed"]


async def test_an_interrupt_overtakes_a_burst_of_speech_and_is_confirmed_ahead_of_it() -> None:
    session = FakeSession(token="token", speak_gate=anyio.Event())
    async with serving(session) as address, connect(address) as client:
        await open_channel(client)
        for _ in range(100):
            await send(client, type="agent.speak", audio=PCM)
        await send(client, type="agent.interrupt")
        await send(client, type="agent.speak", audio=PCM, utterance_id="after")
        assert await receive(client) == {"type": "agent.interrupt.confirmed"}
        assert session.interrupts == [(102, 0)], "the init is message 1, the interrupt 102"
        assert session.speak_gate is not None
        session.speak_gate.set()
        received = [await receive(client) for _ in range(101)]
    assert {message["type"] for message in received} == {"agent.speak.confirmed"}
    assert all(message["audio_samples"] == 1600 for message in received if "audio_samples" in message)
    assert session.spoken == ["interrupt", (3200, 16_000, "after", False)]
    assert session.dropped == list(range(2, 102))


async def test_speech_sent_before_the_session_was_open_is_numbered_too() -> None:
    session = FakeSession(token="token", speak_gate=anyio.Event())
    async with serving(session) as address, connect(address) as client:
        await send(client, type="session.init", session_id="sess_1", session_token="token")
        for _ in range(5):
            await send(client, type="agent.speak", audio=PCM)
        assert (await receive(client))["type"] == "connection.established"
        await send(client, type="agent.interrupt")
        assert (await receive(client))["type"] == "agent.interrupt.confirmed"
        assert session.speak_gate is not None
        session.speak_gate.set()
        assert {(await receive(client))["type"] for _ in range(5)} == {"agent.speak.confirmed"}
    assert session.spoken == ["interrupt"] and session.dropped == [2, 3, 4, 5, 6]


async def test_an_interrupt_that_fails_is_reported() -> None:
    session = FakeSession(token="token", broken_interrupt=True)
    async with serving(session) as address, connect(address) as client:
        await open_channel(client)
        await send(client, type="agent.speak", audio=PCM)
        assert (await receive(client))["audio_samples"] == 1600
        await send(client, type="agent.interrupt")
        assert (await receive(client))["code"] == "INTERNAL"
        assert (await wait_for_close(client))[0] == 1011
    assert session.detached == 1


async def test_a_flood_of_interrupts_is_confirmed_one_by_one() -> None:
    session = FakeSession(token="token")
    async with serving(session) as address, connect(address) as client:
        await open_channel(client)
        for _ in range(500):
            await send(client, type="agent.interrupt")
        assert {(await receive(client))["type"] for _ in range(500)} == {"agent.interrupt.confirmed"}
    assert sorted(through for through, _ in session.interrupts) == list(range(2, 502))
