"""The connection between a server and a stage: whole frames, in order, in both directions.

Stages listen and servers connect. On one machine they use a Unix socket, between machines a WebSocket with TLS.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import ssl
import struct
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Protocol

from websockets.asyncio.client import ClientConnection, connect
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidURI

from visavis.errors import LinkBroken, StageUnreachable
from visavis.stage.port.address import PATH, Address
from visavis.stage.port.byte_streams import open_stream, start_stream_server
from visavis.stage.port.frames import MAX_FRAME_BYTES

# An interrupt cannot overtake sound that is in the kernel's buffer: at most half a second of it at 48 kHz.
UNSENT_IN_KERNEL_BYTES = 48 * 1024
# Pings are messages of the port (heartbeat.py): those of a WebSocket take a process that was stopped for dead.
WEBSOCKET_PING_EVERY_S = None
WEBSOCKET_WRITE_LIMIT_BYTES = 1  # what waits, waits where it can be overtaken; with 0, asyncio's TLS waits for ever
CLOSE_WITHIN_S = 1.0


class Connection(Protocol):
    """One task receives and one sends. After `receive` has returned None or raised, the connection is over.

    `peer_pid`: the process at the other end of a Unix socket, None if the system does not tell.
    """

    @property
    def peer_pid(self) -> int | None: ...

    async def send(self, frame: bytes) -> None:
        """Send a frame; wait while the other end does not read. Raises `LinkBroken` if the connection is over."""
        ...

    def send_now(self, frame: bytes) -> bool:
        """Send a frame unless an earlier one waits; return whether it was sent. Not called while `send` waits."""
        ...

    async def flush(self) -> None:
        """Wait until the system has every frame that was sent. Returns also when the connection is over."""
        ...

    async def receive(self) -> bytes | None:
        """Return the next frame, None at the end. On one machine every frame that the other end has sent comes before
        the end, also if that is dead. Raises `LinkBroken` for a frame of more than MAX_FRAME_BYTES.
        """
        ...

    async def aclose(self) -> None:
        """Close; idempotent, takes at most 1 s. Frames that were sent before still arrive."""
        ...

    def abort(self) -> None:
        """Drop the connection at once."""
        ...


class StreamConnection:
    """Frames over a byte stream (a Unix socket). Before each frame its length: four bytes, big-endian."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer
        writer.transport.set_write_buffer_limits(high=0)  # what waits, waits where it can be overtaken
        raw = writer.transport.get_extra_info("socket")
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, UNSENT_IN_KERNEL_BYTES)
        self.peer_pid = _peer_pid(raw)

    def send_now(self, frame: bytes) -> bool:
        transport = self._writer.transport
        if transport.is_closing() or transport.get_write_buffer_size():
            return False
        self._writer.write(len(frame).to_bytes(4, "big") + frame)
        return True

    async def flush(self) -> None:
        with contextlib.suppress(ConnectionError):
            await self._writer.drain()

    async def send(self, frame: bytes) -> None:
        try:
            self._writer.write(len(frame).to_bytes(4, "big") + frame)
            await self._writer.drain()
        except (ConnectionError, RuntimeError) as error:  # RuntimeError: the transport is closed
            raise LinkBroken("The connection is closed") from error

    async def receive(self) -> bytes | None:
        try:
            size_bytes = int.from_bytes(await self._reader.readexactly(4), "big")
            if size_bytes > MAX_FRAME_BYTES:
                raise LinkBroken(f"A frame of {size_bytes} bytes")
            return await self._reader.readexactly(size_bytes)
        except (asyncio.IncompleteReadError, ConnectionError):
            return None

    async def aclose(self) -> None:
        self._writer.close()
        with contextlib.suppress(ConnectionError, TimeoutError):
            await asyncio.wait_for(self._writer.wait_closed(), CLOSE_WITHIN_S)

    def abort(self) -> None:
        self._writer.transport.abort()


class WebSocketConnection:
    """Frames as binary messages of a WebSocket."""

    peer_pid: int | None = None

    def __init__(self, websocket: ClientConnection | ServerConnection) -> None:
        self._websocket = websocket
        raw = websocket.transport.get_extra_info("socket")
        if raw is not None and hasattr(socket, "TCP_NOTSENT_LOWAT"):
            raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, UNSENT_IN_KERNEL_BYTES)

    def send_now(self, frame: bytes) -> bool:
        return False

    async def flush(self) -> None:
        """`send` has waited already (`write_limit`)."""

    async def send(self, frame: bytes) -> None:
        try:
            await self._websocket.send(frame)
        except ConnectionClosed as error:
            raise LinkBroken("The connection is closed") from error

    async def receive(self) -> bytes | None:
        try:
            frame = await self._websocket.recv()
        except ConnectionClosed:
            return None
        if isinstance(frame, str):
            raise LinkBroken("A text frame")
        return frame

    async def aclose(self) -> None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._websocket.close(), CLOSE_WITHIN_S)

    def abort(self) -> None:
        self._websocket.transport.abort()


def _peer_pid(connected: socket.socket) -> int | None:
    if not hasattr(socket, "SO_PEERCRED"):
        return None
    with contextlib.suppress(OSError):  # the other end has closed already
        pid, _, _ = struct.unpack("3i", connected.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
        return int(pid) or None
    return None


async def connect_to(address: Address, *, tls: ssl.SSLContext | None, timeout_s: float) -> Connection:
    """Connect to a stage. `tls` is required for a WebSocket. Raises `StageUnreachable`."""
    try:
        async with asyncio.timeout(timeout_s):
            if address.path is not None:
                return StreamConnection(*await open_stream(address.path))
            return WebSocketConnection(
                await connect(
                    f"{address}{PATH}",
                    ssl=tls,
                    compression=None,
                    max_size=MAX_FRAME_BYTES,
                    write_limit=WEBSOCKET_WRITE_LIMIT_BYTES,
                    ping_interval=WEBSOCKET_PING_EVERY_S,
                    close_timeout=CLOSE_WITHIN_S,
                    proxy=None,
                )
            )
    except (OSError, TimeoutError, InvalidHandshake, InvalidURI) as error:
        raise StageUnreachable(f"The stage at {address} cannot be reached: {error or 'it does not answer'}") from error


@asynccontextmanager
async def listening(
    address: Address, serve_one: Callable[[Connection], Coroutine[None, None, None]], *, tls: ssl.SSLContext | None
) -> AsyncIterator[Address]:
    """Listen while the context is open, and call `serve_one` with each connection. Yields the address in use.

    Port 0 means any free port. Only this user can connect to the Unix socket. Raises OSError for an address that cannot
    be used.
    """
    if address.path is not None:
        serving: set[asyncio.Task[None]] = set()
        is_open = True

        def serve_stream(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            if not is_open:  # it was accepted just before the listener closed
                writer.transport.abort()
                return
            connection = StreamConnection(reader, writer)
            task = asyncio.create_task(serve_one(connection))
            serving.add(task)
            task.add_done_callback(serving.discard)
            task.add_done_callback(lambda _: connection.abort())  # a task that is cancelled at once closes nothing

        before = os.umask(0o177)
        try:
            server = await start_stream_server(serve_stream, address.path)
        finally:
            os.umask(before)
        try:
            async with server:
                yield address
        finally:
            is_open = False
            for task in serving:
                task.cancel()
            await asyncio.gather(*serving, return_exceptions=True)
        return

    async def serve_websocket(websocket: ServerConnection) -> None:
        await serve_one(WebSocketConnection(websocket))

    async with serve(
        serve_websocket,
        address.host,
        address.port,
        ssl=tls,
        compression=None,
        max_size=MAX_FRAME_BYTES,
        write_limit=WEBSOCKET_WRITE_LIMIT_BYTES,
        ping_interval=WEBSOCKET_PING_EVERY_S,
        close_timeout=CLOSE_WITHIN_S,
        open_timeout=CLOSE_WITHIN_S * 5,
        server_header=None,
    ) as websockets:
        port = next(iter(websockets.sockets)).getsockname()[1]
        yield Address(host=address.host, port=port)
