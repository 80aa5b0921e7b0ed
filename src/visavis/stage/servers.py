"""The servers that are connected to a stage: admits them, carries out what they ask, and outlives their connections.

A server that presents a wrong token, speaks another version of the port, is connected already or breaks the protocol is
refused or dropped, with a typed error in the log; every other server and every session goes on.
"""

from __future__ import annotations

import asyncio
import hmac
from collections.abc import Callable

import structlog

from visavis.errors import (
    LinkBroken,
    NotAHello,
    PerformerLost,
    PortVersionUnknown,
    ServerReplaced,
    VisavisError,
    WrongStageToken,
)
from visavis.stage.owner import Owner
from visavis.stage.port.connection import Connection
from visavis.stage.port.link import Link
from visavis.stage.port.messages import (
    PORT_VERSION,
    Answer,
    FolderSource,
    Hello,
    HttpSource,
    Ready,
    Refusal,
    Rejected,
    Request,
    decode_from_server,
)
from visavis.stage.sources import PackSource
from visavis.stage.stage import Stage

HELLO_WITHIN_S = 5.0
MAX_HELLO_BYTES = 64 * 1024

log = structlog.get_logger("visavis.stage")

OpenSource = Callable[[FolderSource | HttpSource], PackSource]
"""Opens the source that a server names. Raises `SourceUnusable`."""


class Servers:
    """`serve` has one connection until it ends. `alone` is set while no server is connected and none owns a session."""

    def __init__(self, *, stage: Stage, token: str, open_source: OpenSource, tasks: asyncio.TaskGroup) -> None:
        self._stage, self._token, self._open_source, self._tasks = stage, token, open_source, tasks
        self._owners: dict[str, Owner] = {}
        self._ending: dict[str, asyncio.TimerHandle] = {}  # of servers whose connection is lost
        self.alone = asyncio.Event()
        self.alone.set()
        self._met = asyncio.Event()  # set by the first server that is admitted

    async def serve(self, connection: Connection) -> None:
        """Admit a server and carry out its requests; return when its connection is over."""
        link = Link(connection)
        writer = asyncio.create_task(link.run_writer())
        try:
            hello = await self._greet(link)
            await self._attend(hello, link)
        except VisavisError as error:  # the outermost edge of a connection
            log.warning("server_dropped", code=error.code, problem=error.message)
            link.send(Rejected(code=error.code, message=error.message))
            link.finish()
            await asyncio.wait([writer], timeout=1.0)
        finally:
            writer.cancel()
            await link.aclose()

    async def met_within(self, timeout_s: float) -> bool:
        """Wait for the first server; return whether one came."""
        try:
            async with asyncio.timeout(timeout_s):
                await self._met.wait()
        except TimeoutError:
            return False
        return True

    async def _greet(self, link: Link) -> Hello:
        """Return the server's first message. Raises `NotAHello`, `WrongStageToken` and `PortVersionUnknown`."""
        try:
            async with asyncio.timeout(HELLO_WITHIN_S):
                body = await link.receive()
        except TimeoutError:
            raise NotAHello(f"The server said nothing within {HELLO_WITHIN_S:.0f} s") from None
        if body is None or len(body) > MAX_HELLO_BYTES:
            raise NotAHello("The server left before it said who it is, or said too much")
        try:
            hello = decode_from_server(body)
        except ValueError as error:
            raise NotAHello(str(error)) from None
        if not isinstance(hello, Hello):
            raise NotAHello(f"The first message is a {type(hello).__name__}")
        if not hmac.compare_digest(hello.token.encode(), self._token.encode()):
            raise WrongStageToken("The server's token is not this stage's")
        if hello.version != PORT_VERSION:
            raise PortVersionUnknown(
                f"The server speaks version {hello.version} of the port, this stage {PORT_VERSION}"
            )
        return hello

    async def _attend(self, hello: Hello, link: Link) -> None:
        owner = self._admitted(hello)
        link.send(Ready(version=PORT_VERSION))
        owner.connected(link)
        log.info("server_connected", server_id=owner.server_id)
        try:
            while (body := await link.receive()) is not None:
                try:
                    message = decode_from_server(body)
                except ValueError as error:
                    raise LinkBroken(str(error)) from None
                if not isinstance(message, Request):
                    raise LinkBroken(f"A second {type(message).__name__}")
                self._tasks.create_task(self._answer(owner, link, message))
        finally:
            if owner.link is link:
                self._lost(owner)

    def _admitted(self, hello: Hello) -> Owner:
        """Return the owner that the server is: known from before its connection was lost, or new.

        A server that connects a second time has lost its first connection, whether this end knows it or not: the first
        one is dropped.
        """
        source = self._open_source(hello.source)
        self.alone.clear()
        self._met.set()
        owner = self._owners.get(hello.server_id)
        if owner is None:
            owner = self._owners[hello.server_id] = Owner(hello, source)
            return owner
        if (ending := self._ending.pop(hello.server_id, None)) is not None:
            ending.cancel()
        if owner.link is not None:
            replaced = ServerReplaced("The server has connected again")
            log.warning("server_dropped", server_id=owner.server_id, code=replaced.code, problem=replaced.message)
            owner.link.abort()
            owner.link = None
        return owner

    async def _answer(self, owner: Owner, link: Link, request: Request) -> None:
        """Carry out a request and answer it: the outermost edge of a request."""
        try:
            answer: Answer | Refusal = Answer(number=request.number, result=await self._stage.do(owner, request))
        except VisavisError as error:
            answer = _refusal(request, error)
        except Exception as error:
            log.exception("request_failed", command=type(request.command).__name__)
            answer = _refusal(request, PerformerLost(f"The stage failed: {error!r}"))
        try:
            link.send(answer)
        except LinkBroken:
            link.abort()

    def _lost(self, owner: Owner) -> None:
        """The connection is over: keep the server's sessions for its grace, then end them."""
        owner.link = None
        log.info("server_lost", server_id=owner.server_id, grace_s=owner.grace_s)
        loop = asyncio.get_running_loop()
        self._ending[owner.server_id] = loop.call_later(
            owner.grace_s, lambda: self._tasks.create_task(self._end_sessions(owner))
        )

    async def _end_sessions(self, owner: Owner) -> None:
        if owner.link is not None:
            return
        self._owners.pop(owner.server_id, None)
        self._ending.pop(owner.server_id, None)
        for session_id in self._stage.owned_by(owner):
            log.warning("session_without_owner", session_id=session_id, server_id=owner.server_id)
            await self._stage.end(session_id)
        if not self._owners:
            self.alone.set()


def _refusal(request: Request, error: VisavisError) -> Refusal:
    return Refusal(number=request.number, code=error.code, message=error.message, suggestion=error.suggestion)
