"""`python -m tests.e2e.port_relay ADDRESS TARGET PORT...`: relays UDP and TCP of ADDRESS to the same ports of TARGET.

Each sender gets a port of its own towards the target, as behind a NAT that changes addresses.
"""

from __future__ import annotations

import asyncio
import sys
from typing import Any


class _Back(asyncio.DatagramProtocol):
    """Brings what the target answers back to one sender."""

    def __init__(self, front: asyncio.DatagramTransport, sender: Any) -> None:
        self._front, self._sender = front, sender

    def datagram_received(self, data: bytes, addr: Any) -> None:
        self._front.sendto(data, self._sender)


class _Front(asyncio.DatagramProtocol):
    def __init__(self, target: tuple[str, int]) -> None:
        self._target = target
        self._ways: dict[Any, asyncio.Task[asyncio.DatagramTransport]] = {}

    def connection_made(self, transport: Any) -> None:
        self._transport = transport

    def datagram_received(self, data: bytes, addr: Any) -> None:
        loop = asyncio.get_running_loop()
        if addr not in self._ways:
            self._ways[addr] = loop.create_task(self._open(addr))
        self._ways[addr].add_done_callback(lambda way: way.result().sendto(data))

    async def _open(self, sender: Any) -> asyncio.DatagramTransport:
        loop = asyncio.get_running_loop()
        way, _ = await loop.create_datagram_endpoint(lambda: _Back(self._transport, sender), remote_addr=self._target)
        return way


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(65_536):
        writer.write(data)
        await writer.drain()
    writer.close()


async def main(address: str, target: str, ports: list[int]) -> None:
    loop = asyncio.get_running_loop()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, port: int) -> None:
        to_reader, to_writer = await asyncio.open_connection(target, port)
        await asyncio.gather(_copy(reader, to_writer), _copy(to_reader, writer), return_exceptions=True)

    for port in ports:
        await loop.create_datagram_endpoint(lambda port=port: _Front((target, port)), local_addr=(address, port))  # type: ignore[misc]
    await asyncio.start_server(lambda r, w: connected(r, w, ports[0]), address, ports[0])
    print("ready", flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], [int(port) for port in sys.argv[3:]]))
