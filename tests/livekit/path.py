"""The only way between an avatar and a real LiveKit server: a proxy for its signalling, and a relay for its media.

Both candidates and messages are rewritten, so that neither side knows an address of the other. What happens to real
networks can happen to it: it breaks for a while, its address changes, connections are reset.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from http import HTTPStatus
from urllib.parse import parse_qs, urlsplit

import httpx
from livekit.protocol import rtc
from websockets.asyncio.client import ClientConnection, connect
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.http11 import Request, Response

from tools.livekit.server import LiveKitServer

HOST = "127.0.0.1"
_CANDIDATE = re.compile(r"a=candidate:.*\r\n")
Address = tuple[str, int]


class Path:
    """`url`: where the avatar finds the server. `tokens`: those with which it has asked to join. `only_from`: whose
    datagrams reach the server, by port; default: all. `relayed`: how many of them have come.
    """

    def __init__(self, server: LiveKitServer, *, only_from: Callable[[int], bool] = lambda port: True) -> None:
        self.url = ""
        self.tokens: list[str] = []
        self.relayed = self._accepted = 0
        self._server, self._only_from = server, only_from
        self._whole = asyncio.Event()
        self._whole.set()
        self._joins = asyncio.Condition()
        self._sides: list[ServerConnection] = []
        self._silent: set[object] = set()
        self._upstream: dict[ServerConnection, ClientConnection] = {}
        self._avatar_side: asyncio.DatagramTransport | None = None
        self._server_sides: dict[Address, asyncio.DatagramTransport] = {}  # by the address of the avatar

    # --- what happens to it
    def break_(self) -> None:
        """Nothing passes from now on, and no connection is reset."""
        self._whole.clear()

    def mend(self) -> None:
        self._whole.set()

    def reset(self) -> None:
        """Reset the connections of the signalling."""
        for one in self._sides:
            one.transport.abort()

    def change_address(self) -> None:
        """The avatar's datagrams come from another port from now on, as behind a NAT that has forgotten it."""
        for one in self._server_sides.values():
            one.close()
        self._server_sides.clear()

    def silence(self) -> None:
        """The connections of the signalling stay, and nothing passes over them any more."""
        self._silent |= set(self._sides)

    async def tell(self, message: rtc.SignalResponse) -> None:
        """Tell the avatar something in the server's name."""
        for one in self._sides:
            await one.send(message.SerializeToString())

    async def wait_joins(self, count: int) -> None:
        """Wait until the avatar has joined or resumed so many times."""
        async with self._joins:
            await self._joins.wait_for(lambda: self._accepted >= count)

    async def admits(self, token: str) -> bool:
        """Whether the server lets somebody join with a token now."""
        async with httpx.AsyncClient(timeout=60) as client:
            answer = await client.get(f"{self._server.http_url}/rtc/validate", params={"access_token": token})
        return answer.status_code == HTTPStatus.OK

    # --- signalling
    @asynccontextmanager
    async def opened(self, *, tls: ssl.SSLContext | None = None, host: str = HOST) -> AsyncIterator[Path]:
        loop = asyncio.get_running_loop()
        self._avatar_side, _ = await loop.create_datagram_endpoint(
            lambda: _Side(self._from_avatar), local_addr=(HOST, 0)
        )
        serving = serve(self._pass_on, HOST, 0, process_request=self._connect, compression=None, ssl=tls)
        try:
            async with serving as server:
                port = next(iter(server.sockets)).getsockname()[1]
                self.url = f"{'ws' if tls is None else 'wss'}://{host}:{port}"
                yield self
                self.mend()
                self.reset()
        finally:
            self.change_address()
            self._avatar_side.close()

    async def _connect(self, side: ServerConnection, request: Request) -> Response | None:
        await self._whole.wait()
        self.tokens += parse_qs(urlsplit(request.path).query)["access_token"]
        try:
            self._upstream[side] = await connect(self._server.url + request.path, compression=None, ping_interval=None)
        except InvalidStatus as error:
            return side.respond(HTTPStatus(error.response.status_code), bytes(error.response.body or b"").decode())
        except OSError:
            return side.respond(HTTPStatus.BAD_GATEWAY, "the server is away")
        return None

    async def _pass_on(self, side: ServerConnection) -> None:
        upstream = self._upstream.pop(side)
        self._sides.append(side)
        async with self._joins:
            self._accepted += 1
            self._joins.notify_all()
        async with upstream, asyncio.TaskGroup() as group:
            group.create_task(self._copy(side, upstream, self._to_server))
            group.create_task(self._copy(upstream, side, self._to_avatar))
        self._sides.remove(side)

    async def _copy(
        self,
        source: ServerConnection | ClientConnection,
        target: ServerConnection | ClientConnection,
        rewrite: Callable[[bytes], bytes],
    ) -> None:
        with contextlib.suppress(ConnectionClosed):
            async for message in source:
                assert isinstance(message, bytes)
                await self._whole.wait()
                if not self._silent & {source, target}:
                    await target.send(rewrite(message))
        await self._whole.wait()
        await target.close()

    def _to_server(self, data: bytes) -> bytes:
        message = rtc.SignalRequest.FromString(data)
        for description in (message.offer, message.answer):
            if description.sdp:
                description.sdp = _CANDIDATE.sub("", description.sdp).replace("a=end-of-candidates\r\n", "")
        return message.SerializeToString()

    def _to_avatar(self, data: bytes) -> bytes:
        assert self._avatar_side is not None
        message = rtc.SignalResponse.FromString(data)
        kind = message.WhichOneof("message")
        old, new = f" {self._server.udp_port} ", f" {self._avatar_side.get_extra_info('sockname')[1]} "
        if kind == "trickle":
            message.trickle.candidateInit = message.trickle.candidateInit.replace(old, new)
        elif kind in ("offer", "answer"):
            description = getattr(message, kind)
            description.sdp = _CANDIDATE.sub(lambda line: line[0].replace(old, new), description.sdp)
        return message.SerializeToString()

    # --- media
    def _from_avatar(self, data: bytes, address: Address) -> None:
        if not self._whole.is_set() or not self._only_from(address[1]):
            return
        self.relayed += 1
        if address in self._server_sides:
            self._server_sides[address].sendto(data)
        else:
            asyncio.get_running_loop().create_task(self._open_side(data, address))

    async def _open_side(self, data: bytes, address: Address) -> None:
        opened, _ = await asyncio.get_running_loop().create_datagram_endpoint(
            lambda: _Side(lambda back, _: self._from_server(back, address)), remote_addr=(HOST, self._server.udp_port)
        )
        if address in self._server_sides:
            opened.close()
        else:
            self._server_sides[address] = opened
        self._server_sides[address].sendto(data)

    def _from_server(self, data: bytes, address: Address) -> None:
        if self._whole.is_set() and self._avatar_side is not None and not self._avatar_side.is_closing():
            self._avatar_side.sendto(data, address)


class _Side(asyncio.DatagramProtocol):
    def __init__(self, received: Callable[[bytes, Address], None]) -> None:
        self._received = received

    def datagram_received(self, data: bytes, address: tuple[str | int, ...]) -> None:
        self._received(data, (str(address[0]), int(address[1])))
