"""What a LiveKit server may say when a participant goes on over another connection, and what is told of a refusal."""

from __future__ import annotations

import asyncio
import contextlib
from http import HTTPStatus

import pytest
from livekit.protocol import models, rtc
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response

from tests.rooms.livekit.doubles import Events
from visavis.errors import RoomRefused, RoomUnreachable
from visavis.outbound.reach import allowed_by
from visavis.rooms.livekit.agents import ON_BEHALF
from visavis.rooms.livekit.participant import CONNECTED_WITHIN_S
from visavis.rooms.livekit.room import LiveKitRoom
from visavis.rooms.livekit.signalling import MAX_EARLY_BYTES, OPEN_WITHIN_S, Signalling
from visavis.rooms.spec import ANYWHERE, LiveKitRoomSpec

pytestmark = pytest.mark.anyio

LOOPBACK = allowed_by(["127.0.0.0/8"])
LEFT = rtc.SignalResponse(
    update=rtc.ParticipantUpdate(
        participants=[models.ParticipantInfo(identity="agent", state=models.ParticipantInfo.State.DISCONNECTED)]
    )
)
RESUMED = rtc.SignalResponse(reconnect=rtc.ReconnectResponse())
LEAVE = rtc.SignalResponse(leave=rtc.LeaveRequest(action=rtc.LeaveRequest.Action.RECONNECT))


@pytest.mark.parametrize(("said", "resumed"), [([LEFT, RESUMED], True), ([LEAVE], False), ([LEFT], False)])
async def test_news_that_overtake_the_answer_are_kept(said: list[rtc.SignalResponse], resumed: bool) -> None:
    async def answer(side: ServerConnection) -> None:
        assert side.request is not None and "&reconnect=1&sid=PA_1" in side.request.path
        for message in said:
            await side.send(message.SerializeToString())

    async with serve(answer, "127.0.0.1", 0) as server:
        url = f"ws://127.0.0.1:{next(iter(server.sockets)).getsockname()[1]}"
        signalling = await Signalling.open(url, "token", is_allowed=LOOPBACK, resumes="PA_1")
        async with asyncio.timeout(10):
            assert await signalling.resume() is resumed
            kept = [message async for message in signalling.messages()]
        assert kept == [message for message in said if message is LEFT]
        await signalling.aclose()


def news(size_bytes: int) -> bytes:
    """Somebody with much to say of himself has changed."""
    metadata = "x" * size_bytes
    update = rtc.ParticipantUpdate(participants=[models.ParticipantInfo(identity="user", metadata=metadata)])
    return rtc.SignalResponse(update=update).SerializeToString()


async def test_a_server_that_tells_without_end_before_it_answers_is_left() -> None:
    async def tell(side: ServerConnection) -> None:
        with contextlib.suppress(ConnectionClosed):
            while True:
                await side.send(news(500_000))

    async with serve(tell, "127.0.0.1", 0) as server:
        url = f"ws://127.0.0.1:{next(iter(server.sockets)).getsockname()[1]}"
        signalling = await Signalling.open(url, "token", is_allowed=LOOPBACK, resumes="PA_1")
        async with asyncio.timeout(OPEN_WITHIN_S / 2):
            assert not await signalling.resume()
        assert sum(message.ByteSize() for message in signalling._early) <= MAX_EARLY_BYTES
        signalling.abort()


@pytest.mark.parametrize("says", ["news without end", "that it is over"])
async def test_a_server_that_does_not_let_the_avatar_join_is_left_at_once(events: Events, says: str) -> None:
    """It takes the avatar in, and answers nothing that it asks."""
    avatar = models.ParticipantInfo(sid="PA_1", identity="avatar", attributes={ON_BEHALF: "agent"})
    joined = rtc.SignalResponse(join=rtc.JoinResponse(participant=avatar))

    async def tell(side: ServerConnection) -> None:
        with contextlib.suppress(ConnectionClosed):
            await side.send(joined.SerializeToString())
            while says == "news without end":
                await side.send(news(500_000))
            await side.send(rtc.SignalResponse(leave=rtc.LeaveRequest()).SerializeToString())
            await side.wait_closed()

    async with serve(tell, "127.0.0.1", 0) as server:
        url = f"ws://127.0.0.1:{next(iter(server.sockets)).getsockname()[1]}"
        spec = LiveKitRoomSpec(url=url, token="token", networks=ANYWHERE)
        with pytest.raises(RoomUnreachable, match="too much" if says == "news without end" else "ended"):
            async with asyncio.timeout(CONNECTED_WITHIN_S / 2):
                await LiveKitRoom.open(spec, events, size_px=(64, 64), wall_clock_at_start_ns=0, ice_servers=())


async def test_a_token_that_is_refused_is_not_repeated() -> None:
    async def refuse(side: ServerConnection, request: Request) -> Response:
        return side.respond(HTTPStatus.UNAUTHORIZED, "invalid token: the-token, error: expired")

    async with serve(lambda side: side.close(), "127.0.0.1", 0, process_request=refuse) as server:
        url = f"ws://127.0.0.1:{next(iter(server.sockets)).getsockname()[1]}"
        with pytest.raises(RoomRefused) as refused:
            await Signalling.open(url, "the-token", is_allowed=LOOPBACK)
    assert "the-token" not in refused.value.message and "expired" in refused.value.message
