"""A server's connection to one stage: its requests and their answers, the stage's events, and its heartbeat."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import time
from collections.abc import Callable, Sequence
from itertools import count

import msgspec
import structlog

from visavis.errors import LinkBroken, PerformerLost, StageRejected, StageUnreachable, VisavisError, error_of
from visavis.stage.port.address import Address
from visavis.stage.port.connection import connect_to
from visavis.stage.port.heartbeat import CHECK_EVERY_S, PING_EVERY_S, QUIET_S, Silence
from visavis.stage.port.held import HeldSession
from visavis.stage.port.link import Link
from visavis.stage.port.messages import (
    OLDEST_PORT_VERSION,
    PORT_VERSION,
    Acknowledge,
    Answer,
    Command,
    Event,
    FromStage,
    Held,
    Hello,
    Leave,
    Ping,
    Pong,
    Prepare,
    Ready,
    Refusal,
    Rejected,
    Remember,
    Reported,
    Request,
    Result,
    SetPace,
    TakeNote,
    decode_from_stage,
)
from visavis.stage.port.report import StageReport

CONNECT_WITHIN_S = 10.0
LET_GO_WITHIN_S = 1.0
FLUSH_WITHIN_S = 10.0  # a stage that reads nothing for so long is given up before (SILENT_S)

Answered = Callable[[Result | VisavisError | None], None]
"""Called once with what the stage answers: the result, or its error. None: the connection is over without an answer."""

log = structlog.get_logger("visavis.fleet")


class StageLink:
    """A connection to a stage that has admitted this server. `listen` runs until its end, `watch` until the stage is
    silent; `aclose` ends it.
    """

    def __init__(
        self,
        address: Address,
        link: Link,
        writer: asyncio.Task[None],
        ready: Ready,
        held: tuple[HeldSession, ...] = (),
        early: Sequence[FromStage] = (),
    ) -> None:
        """`held`: this server's sessions that the stage performs. `early`: the messages that came before these."""
        self.address = address
        self.program = ready.program  # the stage's version of Visavis; empty if it does not tell
        self.alive = True
        self.ping_every_s = PING_EVERY_S
        self.ready_s = time.monotonic()  # when the stage has told `held`
        self.held, self._early = held, early
        self.report = ready.report or _unknown(address)  # the newest
        self.sessions: set[str] = set()
        self._link, self._writer = link, writer
        self._pending: dict[int, Answered] = {}  # by the number of the request
        self._numbers = count(1)
        self._silence = Silence(now_s=time.monotonic())
        self._pings = 0  # that were not answered yet
        self._answered = asyncio.Event()

    @property
    def version(self) -> int:
        """Of the port, that both ends use."""
        return self._link.version

    @property
    def quiet(self) -> bool:
        """Whether the stage has missed two pings. It may be dead, so it gets no more sessions until it answers."""
        return self._silence.silent_s >= QUIET_S

    @classmethod
    async def connect(
        cls,
        address: Address,
        hello: Hello,
        *,
        tls: ssl.SSLContext | None = None,
        within_s: float = CONNECT_WITHIN_S,
        on_message: Callable[[], None] = lambda: None,
    ) -> StageLink:
        """Connect to a stage and wait until it admits this server. `within_s`: for the connection, and for each
        message; `on_message` is called when one has come. Raises `StageUnreachable`, and `StageRejected` with the
        stage's reason.
        """
        link = Link(await connect_to(address, tls=tls, timeout_s=within_s))
        writer = asyncio.create_task(link.run_writer())
        try:
            link.send(hello)
            async with asyncio.timeout(within_s):
                body = await link.receive()
            on_message()
            answer = None if body is None else decode_from_stage(body)
            match answer:
                case Ready(version=version) if OLDEST_PORT_VERSION <= version <= PORT_VERSION:
                    link.version = version
                    held, early = await _receive_held(link, answer.sessions, on_message, within_s=within_s)
                    return cls(address, link, writer, answer, held, early)
                case Ready(version=version):
                    raise StageRejected(f"The stage at {address} speaks version {version} of the port")
                case Rejected(code=code, message=message):
                    raise StageRejected(f"The stage at {address} refuses this server: {message} ({code})")
                case _:
                    raise StageRejected(f"The stage at {address} does not admit this server")
        except BaseException as error:
            writer.cancel()
            await link.aclose()
            if isinstance(error, TimeoutError):
                raise StageUnreachable(f"The stage at {address} has not answered for {within_s:g} s") from error
            if isinstance(error, ValueError | LinkBroken):
                raise StageRejected(f"The stage at {address} does not answer like a stage: {error}") from error
            raise

    async def listen(
        self, on_event: Callable[[Event | Pong], None], on_report: Callable[[], None] = lambda: None
    ) -> None:
        """Call `on_event` with every event and every pong, and `on_report` when `report` is a new one, until the
        connection is over. Then every pending and later request fails.
        """
        try:
            early, self._early = self._early, ()
            for message in early:
                self._take(message, on_event, on_report)
            while (body := await self._link.receive()) is not None:
                self._silence.heard()
                self._take(decode_from_stage(body), on_event, on_report)
        except (LinkBroken, ValueError) as error:
            log.error("stage_broke_the_protocol", stage=str(self.address), problem=str(error))
            self._link.abort()
        finally:
            self.alive = False
            self._answered.set()
            pending, self._pending = self._pending, {}
            for answered in pending.values():
                answered(None)

    async def watch(self, *, silent_s: float) -> None:
        """Ping the stage until it has been silent for `silent_s` or the connection is over."""
        since_ping_s = 0.0
        self._silence = Silence(now_s=time.monotonic())
        while self.alive and self._silence.check(now_s=time.monotonic()) < silent_s:
            if since_ping_s <= 0:
                since_ping_s = self.ping_every_s
                with contextlib.suppress(LinkBroken):  # it does not read: that is silence, too
                    self._ping()
            since_ping_s -= CHECK_EVERY_S
            await asyncio.sleep(CHECK_EVERY_S)

    def _take(
        self, message: FromStage, on_event: Callable[[Event | Pong], None], on_report: Callable[[], None]
    ) -> None:
        match message:
            case Reported(report=report):
                self.report = report
                on_report()
            case Pong():
                self._pings -= 1
                self._answered.set()
                on_event(message)
            case Event():
                on_event(message)
            case Answer(number=number, result=result):
                self._answered.set()
                if (answered := self._pending.pop(number, None)) is not None:
                    answered(result)
            case Refusal(number=number):
                self._answered.set()
                if (answered := self._pending.pop(number, None)) is not None:
                    answered(error_of(message.code, message.message, suggestion=message.suggestion))
            case Rejected():
                raise LinkBroken(f"The stage has dropped this server: {message.message} ({message.code})")
            case Ready() | Held():
                raise LinkBroken(f"A second {type(message).__name__}")

    def remove(self, session_id: str) -> None:
        """Remove a session that is over. The stage's next report has it no more."""
        self.sessions.discard(session_id)
        if session_id in self.report.sessions:
            kept = {one: shape for one, shape in self.report.sessions.items() if one != session_id}
            self.report = msgspec.structs.replace(self.report, sessions=kept)

    def tell_pace(self, pace: int) -> None:
        """Tell the stage the pace of its machine."""
        self.tell(SetPace(pace=pace))

    def tell(self, message: SetPace | Acknowledge | Remember | TakeNote | Prepare | Leave) -> None:
        """Send a message that has no answer. It is lost if the connection is over."""
        if self.alive:
            with contextlib.suppress(LinkBroken):  # the connection ends by itself
                self._link.send(message)

    async def flush(self) -> None:
        """Wait until what was told has left this process, so that it arrives even if this server dies now; takes at
        most 10 s.
        """
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(FLUSH_WITHIN_S if self.alive else 0.0):
                await self._link.flush()

    async def settle(self) -> None:
        """Wait until the stage has taken all that was sent before and has answered all requests, or the connection is
        over. `listen` still runs.
        """
        with contextlib.suppress(LinkBroken):
            self._ping()
        while self.alive and (self._pings or self._pending):  # a ping overtakes speech, and what goes on with it
            self._answered.clear()
            await self._answered.wait()

    async def let_go(self) -> None:
        """Close the connection when the stage has taken all that was sent, and leave its sessions to the next server;
        takes at most 2 s. `listen` still runs.
        """
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LET_GO_WITHIN_S):
                await self.settle()
        await self.aclose()

    def ask(self) -> None:
        """Ask the stage at once what it performs: its next `Pong` tells."""
        if self.alive:
            with contextlib.suppress(LinkBroken):  # it does not read: `watch` finds it silent
                self._ping()

    def _ping(self) -> None:
        self._link.send(Ping())
        self._pings += 1

    @property
    def peer_pid(self) -> int | None:
        """The process id of a stage on this machine, None if the system does not tell."""
        return self._link.peer_pid

    async def request(self, session_id: str, epoch: int, command: Command) -> Result:
        """Send a command; wait for its result and return it. Raises what the stage raised, and `PerformerLost` if the
        connection is over.
        """
        pending: asyncio.Future[Result] = asyncio.get_running_loop().create_future()

        def answered(result: Result | VisavisError | None) -> None:
            if pending.done():
                return
            if result is None or isinstance(result, VisavisError):
                pending.set_exception(result or _stage_lost())
            else:
                pending.set_result(result)

        self.send(session_id, epoch, command, answered)
        return await pending

    def send(self, session_id: str, epoch: int, command: Command, answered: Answered) -> None:
        """Send a command; call `answered` when its answer comes, before any event that follows it."""
        if not self.alive:
            answered(None)
            return
        number = next(self._numbers)
        self._pending[number] = answered
        try:
            self._link.send(Request(number=number, session_id=session_id, epoch=epoch, command=command))
        except LinkBroken:  # the stage does not read: `listen` returns, and answers all that is pending
            self._link.abort()

    def abort(self) -> None:
        """Drop the connection at once: the stage does not answer any more."""
        self._link.abort()

    async def aclose(self) -> None:
        """Close the connection; idempotent, takes at most 1 s."""
        self.alive = False
        self._writer.cancel()
        await self._link.aclose()


async def _receive_held(
    link: Link, sessions: int, on_message: Callable[[], None], *, within_s: float
) -> tuple[tuple[HeldSession, ...], list[FromStage]]:
    """Receive what a stage holds of so many sessions; return it, and the other messages that came between. Each message
    must come within `within_s`: the speech of many sessions takes a while.
    """
    held: list[HeldSession] = []
    early: list[FromStage] = []
    while len(held) < sessions:
        async with asyncio.timeout(within_s):
            body = await link.receive()
        on_message()
        if body is None:
            raise LinkBroken("The connection is closed")
        message = decode_from_stage(body)
        if isinstance(message, Held):
            held.append(message.session)
        else:
            early.append(message)
    return tuple(held), early


def _unknown(address: Address) -> StageReport:
    """A report for a stage that has not made one: one core of a machine of its own."""
    return StageReport(machine_id=str(address), cores=1.0, unused_cores=1.0, own_cores=0.0)


def _stage_lost() -> PerformerLost:
    return PerformerLost("The stage that performed this session is gone")
