"""Servers that refuse or close a channel: when the client opens it again, and when never."""

from __future__ import annotations

from http import HTTPStatus

import pytest
from visavis_client import AsyncChannel, Ended, LimitReached, VisavisError
from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.datastructures import Headers
from websockets.http11 import Request, Response

pytestmark = pytest.mark.anyio


def channel_of(server: Server) -> AsyncChannel:
    port = next(iter(server.sockets)).getsockname()[1]
    return AsyncChannel(f"ws://127.0.0.1:{port}/v1/channel", {"session_id": "sess_1"})


@pytest.mark.parametrize("code", [4401, 4409, 4410])
async def test_a_final_close_is_never_tried_again(code: int) -> None:
    tries = 0

    async def close(socket: ServerConnection) -> None:
        nonlocal tries
        tries += 1
        await socket.recv()
        await socket.close(code, "final")

    async with serve(close, "127.0.0.1", 0) as server:
        channel = channel_of(server)
        with pytest.raises(VisavisError):
            await channel.open()
        await channel.closed_by_server()
        assert tries == 1 and isinstance(channel.ended, Ended)


async def test_a_handshake_that_a_full_plan_refuses_is_never_tried_again() -> None:
    tries = 0

    def refuse(_socket: ServerConnection, _request: Request) -> Response:
        nonlocal tries
        tries += 1
        headers = Headers({"Visavis-Error-Code": "CONCURRENCY_LIMIT_REACHED", "Visavis-Should-Retry": "true"})
        headers["Retry-After"] = "0"
        body = b'{"success":false,"error":{"code":"CONCURRENCY_LIMIT_REACHED","message":"Full"}}'
        headers["Content-Length"] = str(len(body))
        return Response(HTTPStatus.TOO_MANY_REQUESTS, "Too Many Requests", headers, body)

    async def unused(_socket: ServerConnection) -> None: ...

    async with serve(unused, "127.0.0.1", 0, process_request=refuse) as server:
        channel = channel_of(server)
        with pytest.raises(LimitReached) as refused:
            await channel.open()
        await channel.closed_by_server()
        assert refused.value.code == "CONCURRENCY_LIMIT_REACHED" and tries == 1


async def test_a_handshake_that_is_refused_for_now_is_tried_again() -> None:
    tries = 0

    def refuse_once(socket: ServerConnection, _request: Request) -> Response | None:
        nonlocal tries
        tries += 1
        if tries > 1:
            return None
        headers = Headers({"Visavis-Error-Code": "SERVER_STOPPING", "Visavis-Should-Retry": "true", "Retry-After": "0"})
        headers["Content-Length"] = "0"
        return Response(HTTPStatus.SERVICE_UNAVAILABLE, "Service Unavailable", headers, b"")

    async def establish(socket: ServerConnection) -> None:
        await socket.recv()
        await socket.send('{"type": "connection.established"}')
        await socket.wait_closed()

    async with serve(establish, "127.0.0.1", 0, process_request=refuse_once) as server:
        channel = channel_of(server)
        await channel.open()
        assert tries == 2 and channel.ended is None
        await channel.close()
