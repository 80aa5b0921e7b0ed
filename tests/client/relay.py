"""A way to a server that can be cut: a TCP relay on a port of its own."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit


class Relay:
    """`base_url`: of the server, through the relay. `connections`: how many there have been."""

    def __init__(self, target: tuple[str, int]) -> None:
        self._target = target
        self._writers: set[asyncio.StreamWriter] = set()
        self._flows: list[asyncio.Event] = []  # of each connection, set unless it is stalled
        self.connections = 0
        self.base_url = ""

    def stall(self) -> None:
        """Let nothing through on the connections of now, which stay open. New ones are not stalled."""
        for flows in self._flows:
            flows.clear()

    def cut(self) -> None:
        """Break all connections, without a word."""
        for flows in self._flows:
            flows.set()
        self._flows.clear()
        for writer in self._writers:
            writer.transport.abort()
        self._writers.clear()

    async def carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        to_reader, to_writer = await asyncio.open_connection(*self._target)
        self._writers |= {writer, to_writer}
        flows = asyncio.Event()
        flows.set()
        self._flows.append(flows)
        await asyncio.gather(_copy(reader, to_writer, flows), _copy(to_reader, writer, flows))


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, flows: asyncio.Event) -> None:
    with contextlib.suppress(OSError):
        while data := await reader.read(65_536):
            await flows.wait()
            writer.write(data)
            await writer.drain()
    writer.close()


@asynccontextmanager
async def relay_to(base_url: str) -> AsyncIterator[Relay]:
    parts = urlsplit(base_url)
    relay = Relay((parts.hostname or "", parts.port or 0))
    server = await asyncio.start_server(relay.carry, "127.0.0.1", 0)
    relay.base_url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    async with server:
        yield relay
        relay.cut()
