"""A viewer of a session of a fleet, and a STUN server for the machine that performs it."""

from __future__ import annotations

import asyncio
import re
import socket
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from visavis.rooms.watch import WhepViewer

MAPPED, MAPPED_PORT = "198.51.100.9", 40_000  # where the STUN server says that it sees whoever asks
_BINDING, _BOUND, _COOKIE, _XOR_MAPPED_ADDRESS = 0x0001, 0x0101, 0x2112A442, 0x0020  # RFC 8489


class NotingViewer(WhepViewer):
    """`candidates`: of the answer to its offer, as (address, port, type)."""

    candidates: tuple[tuple[str, int, str], ...] = ()

    async def _post(self, sdp: str) -> str:
        answer = await super()._post(sdp)
        found = re.findall(r"^a=candidate:\S+ 1 udp \d+ (\S+) (\d+) typ (\w+)", answer, re.MULTILINE | re.IGNORECASE)
        self.candidates = tuple((address, int(port), kind) for address, port, kind in found)
        return answer

    async def see(self, pictures: int, *, within_s: float) -> None:
        """Wait until so many pictures have come."""
        async with asyncio.timeout(within_s):
            seen = 0
            async for _ in self.pictures():
                seen += 1
                if seen == pictures:
                    return
        raise AssertionError("the room has closed")


class _Stun(asyncio.DatagramProtocol):
    def connection_made(self, transport: asyncio.DatagramTransport) -> None:  # type: ignore[override]
        self._transport = transport

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        kind, _, cookie = struct.unpack("!HHI", data[:8])
        if (kind, cookie) == (_BINDING, _COOKIE):
            (mapped,) = struct.unpack("!I", socket.inet_aton(MAPPED))
            seen = struct.pack("!BBHI", 0, 1, MAPPED_PORT ^ (_COOKIE >> 16), mapped ^ _COOKIE)
            attribute = struct.pack("!HH", _XOR_MAPPED_ADDRESS, len(seen)) + seen
            head = struct.pack("!HHI", _BOUND, len(attribute), _COOKIE) + data[8:20]
            self._transport.sendto(head + attribute, addr)


@asynccontextmanager
async def stun_server() -> AsyncIterator[str]:
    """Yield the address of a server that sees everybody at MAPPED."""
    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_datagram_endpoint(_Stun, local_addr=("127.0.0.1", 0))
    try:
        yield f"stun:127.0.0.1:{transport.get_extra_info('sockname')[1]}"
    finally:
        transport.close()
