"""What a LiveKit server may say when a participant goes on over another connection, and what is told of a refusal."""

from __future__ import annotations

import asyncio
from http import HTTPStatus

import pytest
from livekit.protocol import models, rtc
from websockets.asyncio.server import ServerConnection, serve
from websockets.http11 import Request, Response

from visavis.errors import RoomRefused
from visavis.outbound.reach import allowed_by
from visavis.rooms.livekit.signalling import Signalling

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


async def test_a_token_that_is_refused_is_not_repeated() -> None:
    async def refuse(side: ServerConnection, request: Request) -> Response:
        return side.respond(HTTPStatus.UNAUTHORIZED, "invalid token: the-token, error: expired")

    async with serve(lambda side: side.close(), "127.0.0.1", 0, process_request=refuse) as server:
        url = f"ws://127.0.0.1:{next(iter(server.sockets)).getsockname()[1]}"
        with pytest.raises(RoomRefused) as refused:
            await Signalling.open(url, "the-token", is_allowed=LOOPBACK)
    assert "the-token" not in refused.value.message and "expired" in refused.value.message
