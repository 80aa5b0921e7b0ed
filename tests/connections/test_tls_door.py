"""The door of a port that speaks HTTPS: how handshakes share the event loop, and what is read before they are over."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from uvicorn.server import ServerState

from tests.tls.handshakes import first_flight, trusting
from visavis.connections.guard import ConnectionGuard, GuardedConfig
from visavis.connections.http_protocol import GuardedHttp
from visavis.connections.table import Limits, Phase
from visavis.connections.tls_door import TlsDoor
from visavis.connections.turns import TURN_S, Turns
from visavis.tls import command
from visavis.tls.pair import read_pair

pytestmark = pytest.mark.anyio

CROWD = 20
HELLO = first_flight(server_name="box.lan")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    found = tmp_path_factory.mktemp("tls")
    command.run(["box.lan"], found)
    return found


async def application(scope: Any, receive: Any, send: Any) -> None:
    """Answers with the number of bytes that came."""
    size_bytes, more = 0, True
    while more:
        message = await receive()
        size_bytes, more = size_bytes + len(message["body"]), message["more_body"]
    body = b"%d bytes" % size_bytes
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(body))]})
    await send({"type": "http.response.body", "body": body})


class Served:
    def __init__(self, folder: Path, turns: Turns) -> None:
        self.config = GuardedConfig(application, http=GuardedHttp, lifespan="off", log_config=None)
        self.config.guard = ConnectionGuard(Limits(most=100, most_per_address=100, most_sockets=100))
        self.config.turns = turns
        context = read_pair(folder / "server.pem", folder / "server.key").context
        self.config.tls = lambda: context
        self.config.load()
        self.state = ServerState()
        self.port = 0  # from `served` on

    def door(self) -> TlsDoor:
        return TlsDoor(config=self.config, server_state=self.state, app_state={})

    @asynccontextmanager
    async def open(self) -> AsyncIterator[socket.socket]:
        with socket.create_connection(("127.0.0.1", self.port)) as raw:
            raw.setblocking(False)
            yield raw


@asynccontextmanager
async def served(folder: Path, turns: Turns | None = None) -> AsyncIterator[Served]:
    one = Served(folder, turns or Turns())
    server = await asyncio.get_running_loop().create_server(one.door, "127.0.0.1", 0)
    one.port = server.sockets[0].getsockname()[1]
    async with asyncio.timeout(30):
        yield one
    server.close()
    for connection in list(one.state.connections):
        connection.shutdown()
    async with asyncio.timeout(10):
        while one.state.connections:  # noqa: ASYNC110 (uvicorn waits for them like this)
            await asyncio.sleep(0.01)
    assert len(one.config.guard) == 0


class SlowClock:
    """Whatever is measured took two thirds of a turn."""

    now_s = 0.0

    def __call__(self) -> float:
        self.now_s += TURN_S * 2 / 3
        return self.now_s


def answered(sockets: list[socket.socket]) -> int:
    found = 0
    for raw in sockets:
        with suppress(BlockingIOError):
            found += bool(raw.recv(1, socket.MSG_PEEK))
    return found


@pytest.mark.parametrize("whole", [True, False], ids=["whole", "after their first byte"])
async def test_handshakes_that_come_at_once_take_turns(folder: Path, whole: bool) -> None:
    async with served(folder, Turns(SlowClock())) as server:
        with ExitStack() as closing:
            crowd = [closing.enter_context(socket.create_connection(("127.0.0.1", server.port))) for _ in range(CROWD)]
            while len(server.config.guard) < CROWD:  # noqa: ASYNC110 (the loop accepts them)
                await asyncio.sleep(0)
            for raw in crowd:
                raw.setblocking(False)
            if not whole:
                for raw in crowd:
                    raw.sendall(HELLO[:1])
                for _ in range(2 * CROWD):
                    await asyncio.sleep(0)
            for raw in crowd:
                raw.sendall(HELLO if whole else HELLO[1:])
            before, most = 0, 0
            while before < CROWD:
                await asyncio.sleep(0)
                now = answered(crowd)
                before, most = now, max(most, now - before)
            assert most <= 2, "more than two handshakes in one iteration of the loop"


async def test_what_comes_behind_a_handshake_is_read_after_it(folder: Path) -> None:
    """In whichever pieces it comes, and while the server has no time."""
    body = bytes(100_000)
    request = b"POST / HTTP/1.1\r\nHost: box.lan\r\nContent-Length: %d\r\n\r\n" % len(body) + body
    client = trusting((folder / "authority.pem").read_text())
    loop = asyncio.get_running_loop()
    async with served(folder, Turns(SlowClock())) as server, server.open() as raw:
        to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
        tls = client.wrap_bio(to_client, to_server, server_hostname="box.lan")
        while True:
            try:
                tls.do_handshake()
                break
            except ssl.SSLWantReadError:
                while piece := to_server.read(50):
                    await loop.sock_sendall(raw, piece)
                to_client.write(await loop.sock_recv(raw, 65536))
        tls.write(request)
        await loop.sock_sendall(raw, to_server.read())  # the last message of the handshake is the first of it
        answer = b""
        while not answer.endswith(b"100000 bytes"):
            to_client.write(await loop.sock_recv(raw, 65536))
            with suppress(ssl.SSLWantReadError):
                while True:  # each read gives one record
                    answer += tls.read(65536)
        assert answer.startswith(b"HTTP/1.1 200 ")


async def test_a_plain_request_in_many_turns_is_read_whole(folder: Path) -> None:
    body = bytes(100_000)
    request = b"POST / HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: %d\r\n\r\n" % len(body) + body
    loop = asyncio.get_running_loop()
    async with served(folder, Turns(SlowClock())) as server, server.open() as raw:
        await loop.sock_sendall(raw, request + request)
        answer = b""
        while answer.count(b"100000 bytes") < 2:
            more = await loop.sock_recv(raw, 65536)
            assert more, answer
            answer += more


@pytest.mark.parametrize("how", ["dropped", "shut down"])
async def test_a_connection_that_must_end_is_closed_at_once(folder: Path, how: str) -> None:
    """Its place is another's already, or the next server waits: it must not wait for an end that does not confirm."""
    client = trusting((folder / "authority.pem").read_text())
    async with served(folder) as server:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port, ssl=client, server_hostname="box.lan")
        while not isinstance(http := next(iter(server.state.connections)), GuardedHttp):  # noqa: ASYNC110
            await asyncio.sleep(0)  # the server has not read the last message of the handshake
        below = http.transport.get_extra_info("socket")
        if how == "dropped":
            http.drop(Phase.HEADER)
            server.config.guard.closed(http.key)
        else:
            http.shutdown()
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert below.fileno() == -1, "it is open"
        assert (await reader.read()).startswith(b"HTTP/1.1 408 " if how == "dropped" else b"")
        writer.close()
