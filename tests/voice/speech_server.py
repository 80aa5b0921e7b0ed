"""A speech endpoint on a real socket, which answers as a test wants: well, badly or not at all."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tests.sounds import tone, wav

RATE_HZ = 24_000
SECONDS_PER_CHAR = 0.02


@dataclass(slots=True)
class Reply:
    """What a behaviour writes: a head, then its body in chunks."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    request: dict[str, Any]
    headers: dict[str, str]

    async def head(self, status: int = 200, content_type: str = "audio/wav", **headers: str) -> None:
        lines = [f"HTTP/1.1 {status} X", f"Content-Type: {content_type}", "Connection: close"]
        lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
        if "Content_Length" not in headers:
            lines.append("Transfer-Encoding: chunked")
        self.writer.write(("\r\n".join(lines) + "\r\n\r\n").encode())
        await self.writer.drain()

    async def chunk(self, data: bytes) -> None:
        self.writer.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")
        await self.writer.drain()

    async def end(self) -> None:
        self.writer.write(b"0\r\n\r\n")
        await self.writer.drain()

    async def until_client_leaves(self) -> None:
        await self.reader.read()

    async def whole(self, body: bytes, *, status: int = 200, content_type: str = "audio/wav", **headers: str) -> None:
        await self.head(status, content_type, **headers)
        await self.chunk(body)
        await self.end()


Behaviour = Callable[[Reply], Awaitable[None]]


def spoken(text: str, *, rate_hz: int = RATE_HZ) -> NDArray[np.int16]:
    """Return the sound of a text: a tone that is as long as the text."""
    return pcm16(tone(rate_hz, seconds=SECONDS_PER_CHAR * len(text)))


def pcm16(samples: NDArray[np.float32]) -> NDArray[np.int16]:
    return (samples * 32767).astype(np.int16)


async def speak_well(reply: Reply) -> None:
    await reply.whole(wav(spoken(reply.request["input"]), RATE_HZ))


@dataclass(slots=True)
class SpeechServer:
    """`behaviours`: of the next requests, one after the other; then `otherwise`. `requests`: what was asked."""

    behaviours: list[Behaviour] = field(default_factory=list)
    otherwise: Behaviour = speak_well
    requests: list[dict[str, Any]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    open: int = 0  # requests that are being answered
    most_open: int = 0
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    answering: set[asyncio.Task[None]] = field(default_factory=set)
    url: str = ""

    @property
    def texts(self) -> list[str]:
        return [request["input"] for request in self.requests]

    async def requested(self, count: int) -> None:
        """Wait until so many requests have come."""
        while len(self.requests) < count:
            self.changed.clear()
            await self.changed.wait()

    async def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.ensure_future(self._answer(reader, writer))
        self.answering.add(task)
        task.add_done_callback(self.answering.discard)

    async def aclose(self) -> None:
        for task in self.answering:
            task.cancel()
        await asyncio.gather(*self.answering, return_exceptions=True)

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await self._read_and_answer(reader, writer)
        finally:
            writer.close()
            with suppress(ConnectionError):
                await writer.wait_closed()

    async def _read_and_answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
            headers = dict(line.lower().split(": ", 1) for line in head[1:] if ": " in line)
            body = json.loads(await reader.readexactly(int(headers["content-length"])))
            assert head[0].startswith("POST /v1/audio/speech "), head[0]
            self.requests.append(body)
            self.headers.append(headers)
            self.open += 1
            self.most_open = max(self.most_open, self.open)
            self.changed.set()
            behaviour = self.behaviours.pop(0) if self.behaviours else self.otherwise
            try:
                await behaviour(Reply(reader, writer, body, headers))
            finally:
                self.open -= 1


@asynccontextmanager
async def speech_server(listener: socket.socket | None = None) -> AsyncIterator[SpeechServer]:
    """Serve on a free port, or on the port of a listener."""
    speech = SpeechServer()
    own = socket.create_server(("127.0.0.1", 0)) if listener is None else listener.dup()
    server = await asyncio.start_server(speech.accept, sock=own)
    speech.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
    try:
        yield speech
    finally:
        server.close()
        await speech.aclose()
