"""A client that costs little: it sends requests that are bytes already over connections that stay open. So the figures
of a benchmark are the server's, not the client's.
"""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

from visavis.errors import ContractBroken

_LENGTH = re.compile(rb"\r\ncontent-length: *([0-9]+)", re.IGNORECASE)
_END_OF_HEAD = b"\r\n\r\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """A request, and the status that its answer must have."""

    request: bytes
    status: int

    @classmethod
    def of(cls, method: str, path: str, *, key: str | None = None, body: object = None, status: int = 200) -> Call:
        """`key`: the API key. `body`: sent as JSON, unless None."""
        head = [f"{method} {path} HTTP/1.1", "Host: bench"]
        sent = b"" if body is None else json.dumps(body).encode()
        head += [] if key is None else [f"X-Api-Key: {key}"]
        head += [] if body is None else ["Content-Type: application/json", f"Content-Length: {len(sent)}"]
        return cls(request="\r\n".join(head).encode() + _END_OF_HEAD + sent, status=status)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """When a call was due, and when it was answered; by `time.monotonic`."""

    due_s: float
    answered_s: float

    @property
    def late_s(self) -> float:
        return self.answered_s - self.due_s


class _Connection(asyncio.Protocol):
    """Sends one request at a time."""

    def __init__(self) -> None:
        self._received = bytearray()
        self._answered: asyncio.Future[None] | None = None  # while an answer is awaited
        self._transport: asyncio.Transport | None = None
        self._body_at = self._ends_at = 0  # of the answer, once its head has come; 0 before
        self._status = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._received += data
        if not self._ends_at:
            end = self._received.find(_END_OF_HEAD)
            if end < 0:
                return
            head = bytes(self._received[:end])
            length = _LENGTH.search(head)
            self._status = int(head[9:12])
            self._body_at = end + len(_END_OF_HEAD)
            self._ends_at = self._body_at + (int(length[1]) if length else 0)
        if len(self._received) >= self._ends_at and self._answered is not None and not self._answered.done():
            self._answered.set_result(None)

    def connection_lost(self, error: Exception | None) -> None:
        if self._answered is not None and not self._answered.done():
            self._answered.set_exception(error or ConnectionResetError("The server has closed the connection"))

    async def answer_to(self, call: Call) -> bytes:
        """Send a request; return the body of its answer. Raises `ContractBroken` for another status."""
        assert self._transport is not None
        self._answered = asyncio.get_running_loop().create_future()
        self._transport.write(call.request)
        await self._answered
        body = bytes(self._received[self._body_at : self._ends_at])
        self._received.clear()
        self._body_at = self._ends_at = 0
        if self._status != call.status:
            raise ContractBroken(f"The server answered {self._status}: {body[:200]!r}")
        return body

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()


class Calls:
    """So many open connections to a server."""

    def __init__(self, connections: Sequence[_Connection]) -> None:
        self._connections = connections

    @classmethod
    @asynccontextmanager
    async def open(cls, *, port: int, connections: int) -> AsyncIterator[Calls]:
        """Connect to 127.0.0.1; the connections close with the context."""
        loop = asyncio.get_running_loop()
        opened = [(await loop.create_connection(_Connection, "127.0.0.1", port))[1] for _ in range(connections)]
        try:
            yield cls(opened)
        finally:
            for connection in opened:
                connection.close()

    async def one(self, call: Call) -> bytes:
        """Return the body of the answer to one call. No other call may be under way."""
        return await self._connections[0].answer_to(call)

    async def rate(self, call: Call, *, seconds: float) -> float:
        """Send a request again on each connection as soon as it is answered; return the answers in a second."""
        began_s = time.monotonic()

        async def repeat(connection: _Connection) -> int:
            count = 0
            while time.monotonic() - began_s < seconds:
                await connection.answer_to(call)
                count += 1
            return count

        counts = await asyncio.gather(*(repeat(connection) for connection in self._connections))
        return sum(counts) / (time.monotonic() - began_s)

    async def paced(self, call: Call, *, per_s: float, seconds: float) -> list[Answered]:
        """Send so many requests in a second, evenly, whether the ones before are answered or not; return when each was
        due, and when it was answered. A request for which no connection is free waits, and its time counts from when it
        was due: a server that stops for a moment delays all that are due in it.
        """
        free: asyncio.Queue[_Connection] = asyncio.Queue()
        for connection in self._connections:
            free.put_nowait(connection)
        answered: list[Answered] = []

        async def send(connection: _Connection, due_s: float) -> None:
            await connection.answer_to(call)
            answered.append(Answered(due_s=due_s, answered_s=time.monotonic()))
            free.put_nowait(connection)

        began_s = time.monotonic()
        async with asyncio.TaskGroup() as tasks:
            for number in range(max(1, round(per_s * seconds))):
                due_s = began_s + number / per_s
                await asyncio.sleep(due_s - time.monotonic())
                tasks.create_task(send(await free.get(), due_s))
        return answered

    async def times_s(self, call_of: Callable[[int], Call], *, count: int) -> list[float]:
        """Send so many requests one after the other; return how long each took."""
        times_s = []
        for number in range(count):
            began_s = time.monotonic()
            await self.one(call_of(number))
            times_s.append(time.monotonic() - began_s)
        return times_s
