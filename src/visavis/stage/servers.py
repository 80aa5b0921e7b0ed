"""The servers that are connected to a stage: admits them, answers their requests, and keeps their sessions for a while
when a connection is lost.

A server with a wrong token or another version of the port is refused; one that breaks the protocol is dropped. Both log
a typed error. All other servers and all sessions go on.
"""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import time
from collections.abc import Callable
from functools import partial

import structlog

from visavis import __version__
from visavis.errors import (
    LinkBroken,
    NotAHello,
    PerformerLost,
    PortVersionUnknown,
    ServerReplaced,
    StaleOwner,
    VisavisError,
    WrongStageToken,
)
from visavis.stage.fence import now_ns
from visavis.stage.owner import Owner
from visavis.stage.port.connection import Connection
from visavis.stage.port.heartbeat import CHECK_EVERY_S, Silence
from visavis.stage.port.link import Link
from visavis.stage.port.messages import (
    OLDEST_PORT_VERSION,
    PORT_VERSION,
    Acknowledge,
    Answer,
    FolderSource,
    FromServer,
    Held,
    Hello,
    HttpSource,
    Interrupt,
    Leave,
    Open,
    Ping,
    Pong,
    Prepare,
    Ready,
    Refusal,
    Rejected,
    Remember,
    Request,
    SetPace,
    TakeNote,
    TakenOver,
    common_version,
    decode_from_server,
)
from visavis.stage.port.report import StageReport
from visavis.stage.sources import PackSource
from visavis.stage.stage import Stage

HELLO_WITHIN_S = 5.0
DEAD_SERVER_READ_WITHIN_S = 3.0  # what a server has sent before it died; the next one waits longer for an answer
MAX_HELLO_BYTES = 64 * 1024
SILENT_SERVER_S = 10.0
READ_AT_ONCE = 16  # messages; each costs about 50 us

log = structlog.get_logger("visavis.stage")

OpenSource = Callable[[FolderSource | HttpSource], PackSource]
"""Opens the source that a server names. Raises `SourceUnusable`."""


class Servers:
    """The servers of a stage. `serve` handles one connection until its end. `no_servers` is set while no server is
    connected and none owns a session. `heard_ns`: returns since when what is read now may have come (of
    `fence.now_ns`).
    """

    def __init__(
        self,
        *,
        stage: Stage,
        token: str,
        open_source: OpenSource,
        tasks: asyncio.TaskGroup,
        heard_ns: Callable[[], int] = now_ns,
    ) -> None:
        self._stage, self._token, self._open_source, self._tasks = stage, token, open_source, tasks
        self._heard_ns = heard_ns
        self._lanes = stage.lanes
        self._owners: dict[str, Owner] = {}
        self._end_timers: dict[str, asyncio.TimerHandle] = {}  # of servers whose connection is lost
        self.no_servers = asyncio.Event()
        self.no_servers.set()
        self._first_admitted = asyncio.Event()  # set by the first server that is admitted

    async def serve(self, connection: Connection) -> None:
        """Admit a server and answer its requests until its connection is over."""
        link = Link(connection)
        writer = asyncio.create_task(link.run_writer())
        try:
            hello = await self._receive_hello(link)
            await self._serve_requests(hello, link)
        except VisavisError as error:  # the outermost edge of a connection
            log.warning("server_dropped", code=error.code, problem=error.message)
            link.send(Rejected(code=error.code, message=error.message))
            link.finish()
            await asyncio.wait([writer], timeout=1.0)
        finally:
            writer.cancel()
            await link.aclose()

    async def wait_for_first(self, timeout_s: float) -> bool:
        """Wait until the first server is admitted; return False after `timeout_s`."""
        try:
            async with asyncio.timeout(timeout_s):
                await self._first_admitted.wait()
        except TimeoutError:
            return False
        return True

    async def _receive_hello(self, link: Link) -> Hello:
        """Return the server's first message. Raises `NotAHello`, `WrongStageToken` and `PortVersionUnknown`."""
        try:
            async with asyncio.timeout(HELLO_WITHIN_S):
                body = await link.receive()
        except TimeoutError:
            raise NotAHello(f"The server sent no Hello within {HELLO_WITHIN_S:.0f} s") from None
        if body is None:
            raise NotAHello("The server disconnected before its Hello")
        if len(body) > MAX_HELLO_BYTES:
            raise NotAHello(f"The Hello has {len(body)} bytes; at most {MAX_HELLO_BYTES} are allowed")
        try:
            hello = decode_from_server(body)
        except ValueError as error:
            raise NotAHello(str(error)) from None
        if not isinstance(hello, Hello):
            raise NotAHello(f"The first message is a {type(hello).__name__}")
        if not hmac.compare_digest(hello.token.encode(), self._token.encode()):
            raise WrongStageToken("The server has not sent this stage's token")
        if common_version(hello) is None:
            raise PortVersionUnknown(
                f"The server speaks version {_versions(hello.oldest, hello.version)} of the port, "
                f"this stage {_versions(OLDEST_PORT_VERSION, PORT_VERSION)}"
            )
        return hello

    async def _serve_requests(self, hello: Hello, link: Link) -> None:
        await self._read_to_the_end(hello)
        owner = self._admit(hello)
        held = self._stage.held_for(owner)
        link.version = common_version(hello) or PORT_VERSION
        report = self._stage.reporting.report()
        link.send(Ready(version=link.version, report=report, sessions=len(held), program=__version__))
        for session in held:
            link.send(Held(session=session))
        owner.connect(link)
        log.info(
            "server_connected",
            server_id=owner.server_id,
            epoch=owner.epoch,
            sessions=len(held),
            port_version=link.version,
            program=hello.program,
        )
        silence = Silence(now_s=time.monotonic())
        watch = self._tasks.create_task(self._watch(link, silence)) if hello.dropped_when_silent else None
        received = 0
        try:
            while (body := await link.receive()) is not None:
                try:
                    message = decode_from_server(body)
                except ValueError as error:
                    raise LinkBroken(str(error)) from None
                silence.heard()
                owner.heard_ns = self._heard_ns()
                if isinstance(message, Ping):
                    link.send(Pong(epochs=self._stage.sessions_of(owner)))
                    continue
                if not isinstance(message, Request):
                    self._take_note(owner, message)
                    continue
                if isinstance(message.command, Interrupt):  # takes effect and is answered before anything else
                    await self._answer(owner, link, message)
                    continue
                self._lanes.submit(message.session_id, message.command, partial(self._answer, owner, link, message))
                received += 1
                # A flood that has arrived is not read without a pause, and what follows an Open finds its session.
                if received % READ_AT_ONCE == 0 or isinstance(message.command, Open):
                    await asyncio.sleep(0)
        finally:
            if watch is not None:
                watch.cancel()
            if owner.link is link or owner.link is None:
                self._keep_for_grace(owner)

    async def _read_to_the_end(self, hello: Hello) -> None:
        """Before another process becomes a server: take what the one before has sent, and open the sessions that it has
        given to this stage. It has died, but this stage may have been stopped, too.
        """
        owner = self._owners.get(hello.server_id)
        if owner is not None and hello.epoch > owner.epoch:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(DEAD_SERVER_READ_WITHIN_S):
                    await owner.disconnected.wait()
                    await self._stage.until_opened(owner)

    def _take_note(self, owner: Owner, message: FromServer) -> None:
        """Take a message that has no answer. Raises `LinkBroken` for a second `Hello`."""
        match message:
            case SetPace(pace=pace):
                self._stage.set_machine_pace(owner, pace)
            case Acknowledge(session_id=session_id, number=number, told=told):
                owner.log.tell(session_id, told)
                owner.log.acknowledge(session_id, number)
            case Remember(session_id=session_id, memo=memo, notes=notes):
                self._stage.remember(owner, session_id, memo, notes)
            case TakeNote(session_id=session_id, note=note, forget_through=forget_through, told=told):
                self._stage.take_note(owner, session_id, note, forget_through=forget_through)
                owner.log.tell(session_id, told)
            case Prepare(spec=spec):
                self._tasks.create_task(self._stage.prepare(owner, spec))
            case Leave():
                owner.leaving = True
            case _:
                raise LinkBroken(f"A second {type(message).__name__}")

    async def _watch(self, link: Link, silence: Silence) -> None:
        """Drop a server that has been silent for SILENT_SERVER_S: its machine or the network is gone."""
        while silence.check(now_s=time.monotonic()) < SILENT_SERVER_S:  # noqa: ASYNC110 (time alone changes it)
            await asyncio.sleep(CHECK_EVERY_S)
        log.warning("server_silent", silent_s=SILENT_SERVER_S)
        link.abort()

    def send_report(self, report: StageReport) -> None:
        """Send a report to every server that is connected."""
        for owner in self._owners.values():
            owner.send_report(report)

    def _admit(self, hello: Hello) -> Owner:
        """Return the owner of this server: the one from before its connection was lost, or a new one.

        If the server still has a connection, that one is dropped: a server connects again only after it has lost its
        connection, or when another process has become the server. Raises `StaleOwner` for a process that was the server
        before another one.
        """
        source = self._open_source(hello.source)
        owner = self._owners.get(hello.server_id)
        if owner is not None and hello.epoch < owner.epoch:
            raise StaleOwner(f"This server has epoch {hello.epoch}; its sessions have an owner of epoch {owner.epoch}")
        self.no_servers.clear()
        self._first_admitted.set()
        if owner is None:
            owner = self._owners[hello.server_id] = Owner(hello, source)
            return owner
        if (timer := self._end_timers.pop(hello.server_id, None)) is not None:
            timer.cancel()
        if owner.link is not None:
            replaced = ServerReplaced("The server has connected again")
            log.warning("server_dropped", server_id=owner.server_id, code=replaced.code, problem=replaced.message)
            owner.link.abort()
            owner.link = None
        if hello.epoch > owner.epoch:
            self._stage.raise_epochs(owner)
        owner.admit(hello, source)
        return owner

    async def _answer(self, owner: Owner, link: Link, request: Request) -> None:
        """Carry out a request and answer it. This is the outermost edge of a request."""
        try:
            answer: Answer | Refusal = Answer(number=request.number, result=await self._stage.execute(owner, request))
        except VisavisError as error:
            answer = _refusal(request, error)
        except Exception as error:
            log.exception("request_failed", command=type(request.command).__name__)
            answer = _refusal(request, PerformerLost(f"The stage failed: {error!r}"))
        try:
            link.send(answer)
            if isinstance(answer, Answer) and isinstance(answer.result, TakenOver) and owner.link is link:
                for event in owner.log.unacknowledged_of(request.session_id):
                    link.send(event)
        except LinkBroken:
            link.abort()
        except Exception:  # an answer that cannot be encoded
            log.exception("answer_not_sent", command=type(request.command).__name__)
            link.send(_refusal(request, PerformerLost("The stage has no answer")))

    def _keep_for_grace(self, owner: Owner) -> None:
        """Keep the sessions of a server whose connection is lost for its grace period, then end them."""
        owner.link = None
        owner.disconnected.set()
        grace_s = 0.0 if owner.leaving else owner.grace_s
        log.info("server_lost", server_id=owner.server_id, grace_s=grace_s)
        loop = asyncio.get_running_loop()
        self._end_timers[owner.server_id] = loop.call_later(
            grace_s, lambda: self._tasks.create_task(self._end_sessions(owner))
        )

    async def _end_sessions(self, owner: Owner) -> None:
        if owner.link is not None:
            return
        owner.gone = True
        self._owners.pop(owner.server_id, None)
        self._end_timers.pop(owner.server_id, None)
        for session_id in self._stage.sessions_of(owner):
            log.warning("session_without_owner", session_id=session_id, server_id=owner.server_id)
            await self._stage.end_lost(session_id, "its server is gone")
        if not self._owners:
            self.no_servers.set()


def _versions(oldest: int, newest: int) -> str:
    return f"{oldest} to {newest}" if 0 < oldest < newest else str(newest)


def _refusal(request: Request, error: VisavisError) -> Refusal:
    return Refusal(number=request.number, code=error.code, message=error.message, suggestion=error.suggestion)
