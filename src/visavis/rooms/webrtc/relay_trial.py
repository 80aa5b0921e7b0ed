"""Tries a STUN or TURN server as a viewer would: a TURN server has to relay a packet."""

from __future__ import annotations

import asyncio
import socket
import ssl
import time
from contextlib import AsyncExitStack
from typing import NamedTuple

import aioice.stun
from aioice.turn import TurnTransport, create_turn_endpoint
from aiortc.rtcicetransport import parse_stun_turn_uri

from visavis.settings import IceServer
from visavis.turn import for_session

_PACKET = b"visavis doctor"
_TEN_YEARS_S = 10 * 365 * 24 * 3600
_TRIES = 10  # the first packets are lost: the other place does not take them before it has sent one itself


class RelayFailed(Exception):
    """`what`: what the server does or does not do. `advice`: what to change."""

    def __init__(self, what: str, advice: str) -> None:
        super().__init__(what)
        self.what, self.advice = what, advice


class _Place(NamedTuple):
    """A relayed address, and the packets that arrive there."""

    transport: TurnTransport
    arrived: _Arrivals

    @property
    def address(self) -> tuple[str, int]:
        address: tuple[str, int] = self.transport.get_extra_info("sockname")
        return address


class _Arrivals(asyncio.DatagramProtocol):
    def __init__(self) -> None:
        self.closed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.packet: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        if not self.packet.done():
            self.packet.set_result(data)

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.closed.done():
            self.closed.set_result(None)

    def error_received(self, exc: Exception) -> None:
        """A packet could not be sent. The next one is tried."""


async def try_server(server: IceServer, *, within_s: float) -> str:
    """Return in words what it does. Raises `RelayFailed`, and OSError where it cannot be reached."""
    uri = parse_stun_turn_uri(server.url)
    if uri["scheme"].startswith("stun"):
        return await _ask_stun(uri["host"], uri["port"], within_s)
    try:
        return await _relay_once(for_session(server, "doctor", now_s=int(time.time())), within_s)
    except aioice.stun.TransactionFailed as refused:
        if refused.response.error_code != 401:
            raise RelayFailed(f"refuses: {refused}", "See its log") from None
    if server.secret is None:
        advice = "Check username and credential in VISAVIS_ICE_SERVERS"
    elif await _is_accepted_later(server, within_s):
        advice = "Its clock is hours ahead of this machine's: set the clocks"
    else:
        advice = "Check the secret in VISAVIS_ICE_SERVERS: coturn's static-auth-secret, with use-auth-secret"
    raise RelayFailed("refuses the credentials", advice)


async def _is_accepted_later(server: IceServer, within_s: float) -> bool:
    try:
        await _relay_once(for_session(server, "doctor", now_s=int(time.time()) + _TEN_YEARS_S), within_s)
    except (OSError, RelayFailed, aioice.stun.TransactionError):
        return False
    return True


async def _relay_once(server: IceServer, within_s: float) -> str:
    async with AsyncExitStack() as stack:
        one, two = [await _allocate(server, stack, within_s) for _ in range(2)]
        for _ in range(_TRIES):
            one.transport.sendto(_PACKET, two.address)
            two.transport.sendto(_PACKET, one.address)
            done, _waiting = await asyncio.wait({one.arrived.packet}, timeout=within_s / _TRIES)
            if done:
                return f"relays, from {one.address[0]}"
    raise RelayFailed(
        f"gives out {one.address[0]}:{one.address[1]} and relays nothing",
        "Open its relay ports (coturn: min-port to max-port, UDP), and check its external-ip and denied-peer-ip",
    )


async def _allocate(server: IceServer, stack: AsyncExitStack, within_s: float) -> _Place:
    uri = parse_stun_turn_uri(server.url)
    secure = uri["scheme"] == "turns"
    where = f"{uri['port']}/{uri['transport']}"
    try:
        async with asyncio.timeout(within_s):
            transport, arrived = await create_turn_endpoint(
                _Arrivals,
                server_addr=(uri["host"], uri["port"]),
                username=server.username,
                password=None if server.credential is None else server.credential.get_secret_value(),
                ssl=ssl.create_default_context() if secure else None,
                transport=uri["transport"],
            )
    except ssl.SSLError as error:
        raise RelayFailed(
            f"fails at TLS: {error.reason or error}", "Check its certificate, and its name in the address"
        ) from None
    except ConnectionResetError:
        if not secure:
            raise
        raise RelayFailed(
            "fails at TLS: it closes the connection", f"Check that it takes TLS on port {where}"
        ) from None
    except (TimeoutError, aioice.stun.TransactionTimeout):
        advice = f"Open port {where} there, and in the firewalls on the way"
        advice += "; check that it takes TLS there" if secure else ""
        raise RelayFailed("does not answer", advice) from None
    place = _Place(transport, arrived)
    stack.push_async_callback(_give_back, place)
    return place


async def _give_back(place: _Place) -> None:
    place.transport.close()
    await asyncio.wait({place.arrived.closed}, timeout=1)


async def _ask_stun(host: str, port: int, within_s: float) -> str:
    loop = asyncio.get_running_loop()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        asking.setblocking(False)
        found = await loop.getaddrinfo(host, port, family=socket.AF_INET, type=socket.SOCK_DGRAM)
        asking.connect(found[0][4])
        request = aioice.stun.Message(
            message_method=aioice.stun.Method.BINDING, message_class=aioice.stun.Class.REQUEST
        )
        try:
            async with asyncio.timeout(within_s):
                await loop.sock_sendall(asking, bytes(request))
                answer = aioice.stun.parse_message(await loop.sock_recv(asking, 1500))
        except TimeoutError:
            raise RelayFailed(
                "does not answer", f"Open port {port}/udp there, and in the firewalls on the way"
            ) from None
    seen = answer.attributes.get("XOR-MAPPED-ADDRESS", ("no address", 0))
    return f"answers, and sees this machine at {seen[0]}"
