"""The signalling of a LiveKit server: a WebSocket with protobuf messages (livekit-protocol, path `/rtc`)."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
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
# As whom we introduce ourselves. After a connection that has failed early, a LiveKit server has the participant come by
# ICE over TCP alone, unless it knows that the client cannot do so: it knows this of the one in Go alone.
SDK, VERSION = "go", "2.4.0"
OPEN_WITHIN_S = 10.0
PING_EVERY_S = 5.0
SILENT_WITHIN_S = 15.0  # what a LiveKit server allows, too
MAX_MESSAGE_BYTES = 1 << 20
MAX_EARLY_BYTES = 4 << 20  # of news that overtake the answer


def address_of(url: str, token: str, *, resumes: str | None = None) -> str:
    """Return the address of the signalling of a server. `url`: ws, wss, http or https. `resumes`: the id of the
    participant that goes on (its `sid`), None to join.
    """
    parts = urlsplit(url)
    scheme = {"http": "ws", "https": "wss"}.get(parts.scheme, parts.scheme)
    asked = f"access_token={quote(token)}&protocol={PROTOCOL}&client_protocol=0&auto_subscribe=0"
    asked += f"&sdk={SDK}&version={VERSION}"
    if resumes is not None:
        asked += f"&reconnect=1&sid={quote(resumes)}"
    return urlunsplit((scheme, parts.netloc, parts.path.rstrip("/") + "/rtc", asked, ""))


def is_address(url: str) -> bool:
    """Whether this may be the address of a server."""
    try:
        parts = urlsplit(url)
        return parts.scheme in ("ws", "wss", "http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:  # no port, no address
        return False


class Signalling:
    """One connection to the server. `join` or `resume` is called once."""

    def __init__(self, socket: ClientConnection) -> None:
        self._socket = socket
        self._heard_s = time.monotonic()  # when the server said something last
        self._early: list[rtc.SignalResponse] = []  # what it said before it answered `resume`

    @classmethod
    async def open(cls, url: str, token: str, *, is_allowed: IsAllowed, resumes: str | None = None) -> Signalling:
        """Connect, to an allowed address alone. A redirect is not followed. `resumes`: see `address_of`.

        Raises `RoomUnreachable`, `RoomRefused` if the server does not admit the token, and `RoomUrlRefused`.
        """
        address = address_of(url, token, resumes=resumes)
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
            said = body.decode(errors="replace").replace(token, "…").strip()[:200]
            if status in (401, 403):
                raise RoomRefused(f"The LiveKit server does not admit the token: {said or status}") from None
            if status == 404:
                raise RoomRefused(f"The LiveKit server has no such room: {said or status}") from None
            raise RoomUnreachable(f"The LiveKit server answered {status}: {said}") from None
        except ssl.SSLCertVerificationError as error:
            raise RoomUnreachable(
                f"The LiveKit server's certificate is not accepted: {error.verify_message}",
                suggestion="Name the file of the authority that has signed it in SSL_CERT_FILE, where the stage runs",
            ) from None
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

    async def resume(self) -> bool:
        """Return whether the server lets the participant go on over this connection. It does not if it tells more than
        MAX_EARLY_BYTES before it says so: whoever joins anew is told all of it again.
        """
        kept_bytes = 0
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(OPEN_WITHIN_S):
                async for message in self.messages():
                    match message.WhichOneof("message"):
                        case "reconnect":
                            return True
                        case "leave":
                            return False
                        case _:  # news that overtook the answer
                            kept_bytes += message.ByteSize()
                            if kept_bytes > MAX_EARLY_BYTES:
                                return False
                            self._early.append(message)
        return False

    async def messages(self) -> AsyncIterator[rtc.SignalResponse]:
        """The messages of the server, until the connection is lost. What is no message is left out."""
        early, self._early = self._early, []
        for message in early:
            yield message
        with contextlib.suppress(ConnectionClosed):
            async for raw in self._socket:
                self._heard_s = time.monotonic()
                if isinstance(raw, bytes):
                    with contextlib.suppress(DecodeError):
                        yield rtc.SignalResponse.FromString(raw)

    async def send(self, message: rtc.SignalRequest) -> None:
        """Send a message; nothing happens if the connection is lost."""
        with contextlib.suppress(ConnectionClosed):
            await self._socket.send(message.SerializeToString())

    async def keep_alive(self) -> None:
        """Ping the server, which closes a connection that is silent. Return once the server is silent itself: it
        answers each ping.
        """
        while time.monotonic() < self._heard_s + SILENT_WITHIN_S:
            await asyncio.sleep(PING_EVERY_S)
            await self.send(rtc.SignalRequest(ping_req=rtc.Ping(timestamp=time.time_ns() // 1_000_000)))

    def abort(self) -> None:
        """End the connection without a word."""
        self._socket.transport.abort()

    async def aclose(self) -> None:
        await self._socket.close()
