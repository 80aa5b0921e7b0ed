"""Answers to ordinary requests over a real connection: those that are written at once, and those that h11 writes."""

from __future__ import annotations

import asyncio
import re
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import uvicorn

from visavis.connections.guard import ConnectionGuard, GuardedConfig
from visavis.connections.http_protocol import GuardedHttp
from visavis.connections.table import Limits
from visavis.connections.turns import Turns

pytestmark = pytest.mark.anyio

LENGTH = re.compile(rb"content-length: (\d+)\r\n")


async def application(scope: Any, receive: Any, send: Any) -> None:
    """Answers as its path says."""
    path = scope["path"]
    body = (await receive())["body"] if scope["method"] == "POST" else path.encode()

    async def start(status: int, *headers: tuple[bytes, bytes]) -> None:
        await send({"type": "http.response.start", "status": status, "headers": headers})

    async def tell(data: bytes, more: bool = False) -> None:
        await send({"type": "http.response.body", "body": data, "more_body": more})

    length = (b"content-length", b"%d" % len(body))
    if path == "/pieces":
        await start(200, length)
        for at in range(len(body)):
            await tell(body[at : at + 1], more=True)
        await tell(b"")
    elif path == "/chunks":
        await start(200)
        await tell(body)
    elif path == "/nothing":
        await start(204)
        await tell(b"")
    elif path == "/last":
        await start(200, length, (b"connection", b"close"))
        await tell(body)
    elif path == "/split":
        await start(200, length, (b"x-name", b"a\r\nx-evil: b"))
        await tell(body)
    elif path == "/short":
        await start(200, length)
        await tell(body[1:])
    else:
        await start(200, length)
        await tell(body)


@asynccontextmanager
async def served() -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    config = GuardedConfig(application, http=GuardedHttp, lifespan="off", log_level="critical", server_header=False)
    config.guard = ConnectionGuard(Limits(most=100, most_per_address=100, most_sockets=100))
    config.turns = Turns()
    server = uvicorn.Server(config)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        serving = asyncio.create_task(server.serve([listener]))
        reader, writer = await asyncio.open_connection(*listener.getsockname())
        try:
            async with asyncio.timeout(20):
                yield reader, writer
        finally:
            writer.close()
            server.should_exit = True
            await serving


def get(path: str) -> bytes:
    return f"GET {path} HTTP/1.1\r\nHost: h\r\n\r\n".encode()


async def read_answer(reader: asyncio.StreamReader) -> tuple[bytes, bytes]:
    """Return the head and the body of an answer whose length is told."""
    head = await reader.readuntil(b"\r\n\r\n")
    found = LENGTH.search(head)
    return head, b"" if found is None else await reader.readexactly(int(found[1]))


async def test_answers_come_in_the_order_of_requests_whoever_writes_them() -> None:
    post = b"POST /post HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\n\r\nbody"
    async with served() as (reader, writer):
        writer.write(
            get("/a") + post + get("/pieces") + get("/nothing") + post + get("/chunks") + get("/b") + get("/last")
        )
        bodies = []
        for _ in range(5):
            head, body = await read_answer(reader)
            bodies.append(body)
        assert bodies == [b"/a", b"body", b"/pieces", b"", b"body"]
        chunked = await reader.readuntil(b"0\r\n\r\n")
        assert b"transfer-encoding: chunked" in chunked.lower() and b"7\r\n/chunks\r\n" in chunked
        assert (await read_answer(reader))[1] == b"/b"
        head, body = await read_answer(reader)
        assert body == b"/last" and b"connection: close" in head.lower()
        assert await reader.read() == b"", "the connection is closed"


async def test_requests_that_come_in_pieces_are_answered_between_ordinary_ones() -> None:
    async with served() as (reader, writer):
        for _ in range(2):
            writer.write(get("/a"))
            assert (await read_answer(reader))[1] == b"/a"
            request = get("/pieces")
            for at in range(len(request)):
                writer.write(request[at : at + 1])
                await writer.drain()
                await asyncio.sleep(0)
            assert (await read_answer(reader))[1] == b"/pieces"


@pytest.mark.parametrize("path", ["/split", "/short"])
async def test_a_broken_answer_is_not_sent(path: str) -> None:
    async with served() as (reader, writer):
        writer.write(get(path))
        answer = await reader.read()
        assert b"evil" not in answer and not answer.startswith(b"HTTP/1.1 200")


async def test_bytes_that_are_no_request_are_refused_behind_an_ordinary_one() -> None:
    async with served() as (reader, writer):
        writer.write(get("/a") + b"hello\r\n\r\n")
        assert (await read_answer(reader))[1] == b"/a"
        assert (await reader.read()).startswith(b"HTTP/1.1 400 ")
