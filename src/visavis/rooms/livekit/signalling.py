"""The signalling of a LiveKit server: a WebSocket with protobuf messages (livekit-protocol, path `/rtc`)."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from urllib.parse import quote, urlsplit, urlunsplit

from google.protobuf.message import DecodeError
from livekit.protocol import rtc
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus, InvalidURI
from websockets.uri import parse_uri

from visavis.errors import RoomRefused, RoomUnreachable, RoomUrlRefused
from visavis.outbound.checked_sockets import NotAllowed, connect_allowed
from visavis.outbound.reach import IsAllowed

PROTOCOL = 16
OPEN_WITHIN_S = 10.0
PING_EVERY_S = 5.0
MAX_MESSAGE_BYTES = 1 << 20


def address_of(url: str, token: str) -> str:
    """Return the address of the signalling of a server. `url`: ws, wss, http or https."""
    parts = urlsplit(url)
    scheme = {"http": "ws", "https": "wss"}.get(parts.scheme, parts.scheme)
    asked = f"access_token={quote(token)}&protocol={PROTOCOL}&sdk=python&version=0.1&client_protocol=0&auto_subscribe=0"
    return urlunsplit((scheme, parts.netloc, parts.path.rstrip("/") + "/rtc", asked, ""))


class Signalling:
    """One connection to the server. `join` is called once."""

    def __init__(self, socket: ClientConnection) -> None:
        self._socket = socket

    @classmethod
    async def open(cls, url: str, token: str, *, is_allowed: IsAllowed) -> Signalling:
        """Connect, to an allowed address alone. A redirect is not followed.

        Raises `RoomUnreachable`, `RoomRefused` if the server does not admit the token, and `RoomUrlRefused`.
        """
        address = address_of(url, token)
        try:
            async with asyncio.timeout(OPEN_WITHIN_S):
                server = parse_uri(address)
                socket = await connect(
                    address,
                    sock=await connect_allowed(server.host, server.port, is_allowed),
                    max_size=MAX_MESSAGE_BYTES,
                    compression=None,
                    ping_interval=None,
                )
        except NotAllowed:
            raise RoomUrlRefused from None
        except InvalidStatus as error:
            status, body = error.response.status_code, bytes(error.response.body or b"")
            said = body[:200].decode(errors="replace").strip()
            if status in (401, 403):
                raise RoomRefused(f"The LiveKit server does not admit the token: {said or status}") from None
            if status == 404:
                raise RoomRefused(f"The LiveKit server has no such room: {said or status}") from None
            raise RoomUnreachable(f"The LiveKit server answered {status}: {said}") from None
        except (OSError, InvalidHandshake, InvalidURI, TimeoutError) as error:
            raise RoomUnreachable(f"The LiveKit server cannot be reached: {error or 'it does not answer'}") from None
        except ValueError:  # of a redirect
            raise RoomUnreachable("The LiveKit server answers with a redirect, which is not followed") from None
        return cls(socket)

    async def join(self) -> rtc.JoinResponse:
        """Return what the server says first. Raises `RoomRefused` if it sends the participant away at once."""
        try:
            async with asyncio.timeout(OPEN_WITHIN_S):
                async for message in self.messages():
                    match message.WhichOneof("message"):
                        case "join":
                            return message.join
                        case "leave":
                            break
        except TimeoutError:
            raise RoomUnreachable("The LiveKit server does not answer") from None
        raise RoomRefused("The LiveKit server has closed the connection: the room may be full or the identity taken")

    async def messages(self) -> AsyncIterator[rtc.SignalResponse]:
        """The messages of the server, until the connection is lost. What is no message is left out."""
        with contextlib.suppress(ConnectionClosed):
            async for raw in self._socket:
                if isinstance(raw, bytes):
                    with contextlib.suppress(DecodeError):
                        yield rtc.SignalResponse.FromString(raw)

    async def send(self, message: rtc.SignalRequest) -> None:
        """Send a message; nothing happens if the connection is lost."""
        with contextlib.suppress(ConnectionClosed):
            await self._socket.send(message.SerializeToString())

    async def keep_alive(self) -> None:
        """Ping the server until cancelled. It closes a connection that is silent."""
        while True:
            await asyncio.sleep(PING_EVERY_S)
            await self.send(rtc.SignalRequest(ping_req=rtc.Ping(timestamp=time.time_ns() // 1_000_000)))

    async def aclose(self) -> None:
        await self._socket.close()
