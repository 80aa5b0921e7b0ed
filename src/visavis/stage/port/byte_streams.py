"""Byte streams over Unix sockets that are read to their end.

asyncio drops what has come and was not read yet when it finds that the other end is gone: when something is written to
it, and when reading fails. What a process has sent before it died is in this system's buffer, and is read here all the
same: a killed server's last notes, and what a dead stage has played.
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

MOST_LEFT_BYTES = 1024 * 1024  # that are read of an other end that is gone; the system keeps less for a Unix socket
READ_BYTES = 64 * 1024

Connected = Callable[[asyncio.StreamReader, asyncio.StreamWriter], None]


async def open_stream(path: Path) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Connect to a Unix socket. Raises OSError."""
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader()
    transport, protocol = await loop.create_unix_connection(lambda: _ReadToTheEnd(reader), str(path))
    return reader, asyncio.StreamWriter(transport, protocol, reader, loop)


async def start_stream_server(connected: Connected, path: Path) -> asyncio.Server:
    """Listen at a Unix socket, and call `connected` with each connection. Raises OSError."""
    loop = asyncio.get_running_loop()
    return await loop.create_unix_server(lambda: _ReadToTheEnd(asyncio.StreamReader(), connected), path)


class _ReadToTheEnd(asyncio.StreamReaderProtocol):
    """Ends the stream after what the other end has sent, also if the connection has failed."""

    def __init__(self, reader: asyncio.StreamReader, connected: Connected | None = None) -> None:
        super().__init__(reader, connected)
        self._to: asyncio.StreamReader | None = reader  # None when the stream has ended
        self._all_read = False  # set at the end of the stream
        self._socket_fd = -1  # set when connected

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._socket_fd = transport.get_extra_info("socket").fileno()
        super().connection_made(transport)

    def eof_received(self) -> bool | None:
        self._all_read = True
        return super().eof_received()

    def connection_lost(self, exc: Exception | None) -> None:
        """Called before asyncio closes the socket. `exc` is None at the end of the stream and after `abort`."""
        reader, self._to = self._to, None
        if reader is not None and isinstance(exc, ConnectionError):
            if not self._all_read:
                reader.feed_data(_read_rest(self._socket_fd))
            exc = None  # then what the reader has comes before the end
        super().connection_lost(exc)


def _read_rest(socket_fd: int) -> bytes:
    """Return what has come and was not read yet."""
    rest = bytearray()
    with suppress(OSError), socket.socket(fileno=os.dup(socket_fd)) as same:
        same.setblocking(False)
        while len(rest) < MOST_LEFT_BYTES and (data := same.recv(READ_BYTES)):
            rest += data
    return bytes(rest)
