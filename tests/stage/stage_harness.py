"""A stage in the event loop of the test, and servers that connect to it over a real socket and may send anything."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import ClassVar

from tests.packs import place_pack
from tests.stage.flashing_parts import parts
from visavis.stage.port.address import Address
from visavis.stage.port.connection import StreamConnection, connect_to
from visavis.stage.port.held import HeldSession
from visavis.stage.port.link import Link
from visavis.stage.port.messages import (
    PORT_VERSION,
    Answer,
    Command,
    Event,
    FromStage,
    Held,
    Hello,
    Open,
    Ready,
    Refusal,
    Reported,
    Request,
    decode_from_stage,
)
from visavis.stage.port.values import PerformanceSpec
from visavis.stage.process import StageOptions, serve_stage

TOKEN = "the stage's token"


@asynccontextmanager
async def running_stage(
    folder: Path, *, exit_without_servers: bool = False, fence: int | None = None
) -> AsyncIterator[Address]:
    """Run a stage on a Unix socket in `folder`, which is also its data folder. `fence`: see `StageOptions`."""
    address = Address(path=folder / "stage.sock")
    listening = asyncio.Event()
    options = StageOptions(
        address=address, token=TOKEN, data=folder, exit_without_servers=exit_without_servers, fence=fence
    )
    stage = asyncio.create_task(serve_stage(options, parts(), lambda _: listening.set()))
    try:
        await listening.wait()
        yield address
    finally:
        while RawServer.open:
            await RawServer.open.pop().vanish()
        stage.cancel()
        await asyncio.wait([stage])


def hello(
    *,
    token: str = TOKEN,
    version: int = PORT_VERSION,
    server_id: str = "server",
    owner_grace_s: float = 0.0,
    epoch: int = 1,
    dropped_when_silent: bool = False,
) -> Hello:
    return Hello(
        version=version,
        token=token,
        server_id=server_id,
        owner_grace_s=owner_grace_s,
        epoch=epoch,
        dropped_when_silent=dropped_when_silent,
    )


class RawServer:
    """One connection to a stage. `running_stage` closes all open ones."""

    open: ClassVar[list[RawServer]] = []

    def __init__(self, link: Link) -> None:
        self.link = link
        self.events: list[Event] = []  # received by `request` before its answer
        self._writer = asyncio.create_task(link.run_writer())
        self._number = 0
        self.held: tuple[HeldSession, ...] = ()  # what the stage performed when it admitted this server
        self.sessions = 0  # how many these are
        self.early: deque[FromStage | None] = deque()  # messages that came before the last of them
        RawServer.open.append(self)

    @classmethod
    async def connect(cls, address: Address) -> RawServer:
        return cls(Link(await connect_to(address, tls=None, timeout_s=5.0)))

    @classmethod
    async def connect_and_admit(cls, address: Address, hello: Hello) -> RawServer:
        server = cls(Link(await connect_to(address, tls=None, timeout_s=5.0)))
        server.link.send(hello)
        answer = await server.receive()
        assert isinstance(answer, Ready), answer
        server.sessions = answer.sessions
        while len(server.held) < answer.sessions:
            message = await server.receive()
            if isinstance(message, Held):
                server.held += (message.session,)
            else:
                server.early.append(message)
        return server

    async def receive(self) -> FromStage | None:
        """Return the next message that is no report, None at the end of the connection."""
        if self.early and len(self.held) == self.sessions:
            return self.early.popleft()
        async with asyncio.timeout(20):
            while (body := await self.link.receive()) is not None:
                message = decode_from_stage(body)
                if not isinstance(message, Reported):
                    return message
        return None

    async def request(self, session_id: str, command: Command, *, epoch: int = 1) -> Answer | Refusal:
        """Send a command and return its answer. Events that come before it are added to `events`."""
        self._number += 1
        self.link.send(Request(number=self._number, session_id=session_id, epoch=epoch, command=command))
        while True:
            message = await self.receive()
            if isinstance(message, Event):
                self.events.append(message)
                continue
            assert isinstance(message, Answer | Refusal) and message.number == self._number, message
            return message

    async def open_session(self, session_id: str, folder: Path, *, epoch: int = 1) -> Answer | Refusal:
        spec = PerformanceSpec(session_id=session_id, pack=place_pack(folder), epoch=epoch, width_px=160, height_px=120)
        return await self.request(session_id, Open(spec=spec), epoch=epoch)

    async def flush(self) -> None:
        """Wait until the system has all that was sent."""
        async with asyncio.timeout(20):
            while self.link._outbox.unsent_bytes:  # noqa: ASYNC110 (the outbox tells nobody)
                await asyncio.sleep(0)
            await self.link.flush()

    async def vanish(self) -> None:
        """Drop the connection, like a server that is killed."""
        self._writer.cancel()
        self.link.abort()
        await self.link.aclose()

    async def send_raw(self, data: bytes) -> None:
        connection = self.link._connection
        assert isinstance(connection, StreamConnection)
        connection._writer.write(data)
        await connection._writer.drain()
