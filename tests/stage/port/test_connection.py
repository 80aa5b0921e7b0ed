"""Connections over real Unix sockets whose other end dies."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import pytest

from visavis.stage.port.address import Address
from visavis.stage.port.connection import Connection, connect_to, listening

pytestmark = pytest.mark.anyio
Side = Callable[[Path], AbstractAsyncContextManager[tuple[Connection, socket.socket]]]
FRAMES = [b"note %d" % number for number in range(3)]
LARGE = [bytes(20_000)] * 2  # the system takes both, and they are more than is read at once


def framed(frames: list[bytes]) -> bytes:
    return b"".join(len(frame).to_bytes(4, "big") + frame for frame in frames)


@asynccontextmanager
async def accepted(path: Path) -> AsyncIterator[tuple[Connection, socket.socket]]:
    """The listener's side of a connection, and the socket of a process that has connected."""
    connections: asyncio.Queue[Connection] = asyncio.Queue()
    over = asyncio.Event()

    async def serve_one(connection: Connection) -> None:
        connections.put_nowait(connection)
        await over.wait()

    async with listening(Address(path=path), serve_one, tls=None):
        with socket.socket(socket.AF_UNIX) as theirs:
            theirs.connect(str(path))
            yield await connections.get(), theirs
        over.set()


@asynccontextmanager
async def connected(path: Path) -> AsyncIterator[tuple[Connection, socket.socket]]:
    """The other side of a connection, and the socket of a process that has accepted it."""
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()
        connection = await connect_to(Address(path=path), tls=None, timeout_s=5)
        theirs, _ = listener.accept()
        with theirs:
            yield connection, theirs
        await connection.aclose()


@pytest.mark.parametrize("side", [accepted, connected])
@pytest.mark.parametrize("frames", [FRAMES, LARGE], ids=["small", "large"])
async def test_what_a_process_sent_before_it_died_is_read_though_we_write_to_it_first(
    tmp_path: Path, side: Side, frames: list[bytes]
) -> None:
    """A stage sends events all the time. The notes of a killed server, which its client knows of, must not be lost."""
    async with side(tmp_path / "s") as (connection, theirs):
        theirs.sendall(framed(frames))
        theirs.close()
        connection.send_now(b"an event")  # before the event loop has looked at the socket
        assert [await connection.receive() for _ in frames] == frames
        assert await connection.receive() is None


async def test_what_a_process_sent_is_read_though_it_died_with_unread_frames(tmp_path: Path) -> None:
    """Then the system tells that the connection was reset, after what was sent."""
    async with accepted(tmp_path / "s") as (connection, theirs):
        assert connection.send_now(b"an event that nobody reads")
        theirs.sendall(framed(FRAMES))
        theirs.close()
        for _ in range(20):  # turns of the event loop: it has found the end
            await asyncio.sleep(0)
        assert [await connection.receive() for _ in FRAMES] == FRAMES
        assert await connection.receive() is None


async def test_what_a_process_sent_is_read_though_we_write_after_its_end(tmp_path: Path) -> None:
    async with accepted(tmp_path / "s") as (connection, theirs):
        theirs.sendall(framed(FRAMES))
        theirs.close()
        for _ in range(20):  # turns of the event loop: it has found the end
            await asyncio.sleep(0)
        connection.send_now(b"an event")
        for _ in range(20):
            await asyncio.sleep(0)
        assert [await connection.receive() for _ in FRAMES] == FRAMES
        assert await connection.receive() is None


async def test_an_aborted_connection_ends_at_once(tmp_path: Path) -> None:
    async with accepted(tmp_path / "s") as (connection, theirs):
        theirs.sendall(framed(FRAMES))
        connection.abort()
        assert await connection.receive() is None
