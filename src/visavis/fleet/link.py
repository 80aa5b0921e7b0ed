"""A server's connection to one stage: what it asks, and what it hears."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from itertools import count

import structlog

from visavis.errors import LinkBroken, PerformerLost, StageRejected, error_of
from visavis.stage.port.address import Address
from visavis.stage.port.connection import connect_to
from visavis.stage.port.link import Link
from visavis.stage.port.messages import (
    PORT_VERSION,
    Answer,
    Command,
    Event,
    FromStage,
    Hello,
    Ready,
    Refusal,
    Rejected,
    Request,
    Result,
    decode_from_stage,
)

CONNECT_WITHIN_S = 10.0

log = structlog.get_logger("visavis.fleet")


class StageLink:
    """An admitted connection. `listen` runs as long as it lasts; `aclose` ends it."""

    def __init__(self, address: Address, link: Link, writer: asyncio.Task[None]) -> None:
        self.address = address
        self.alive = True
        self.sessions: set[str] = set()
        self._link, self._writer = link, writer
        self._asked: dict[int, asyncio.Future[Result]] = {}
        self._numbers = count(1)

    @classmethod
    async def connect(cls, address: Address, hello: Hello, *, tls: ssl.SSLContext | None = None) -> StageLink:
        """Connect to a stage and be admitted. Raises `StageUnreachable`, and `StageRejected` with the
        stage's reason.
        """
        link = Link(await connect_to(address, tls=tls, timeout_s=CONNECT_WITHIN_S))
        writer = asyncio.create_task(link.run_writer())
        try:
            link.send(hello)
            async with asyncio.timeout(CONNECT_WITHIN_S):
                body = await link.receive()
            answer = None if body is None else decode_from_stage(body)
            match answer:
                case Ready(version=version) if version == PORT_VERSION:
                    return cls(address, link, writer)
                case Ready(version=version):
                    raise StageRejected(f"The stage at {address} speaks version {version} of the port")
                case Rejected(code=code, message=message):
                    raise StageRejected(f"The stage at {address} refuses this server: {message} ({code})")
                case _:
                    raise StageRejected(f"The stage at {address} does not admit this server")
        except BaseException as error:
            writer.cancel()
            await link.aclose()
            if isinstance(error, TimeoutError | ValueError | LinkBroken):
                raise StageRejected(f"The stage at {address} does not answer as a stage: {error}") from error
            raise

    async def listen(self, heard: Callable[[Event], None]) -> None:
        """Hand on every event until the connection is over; then every pending and later request fails."""
        try:
            while (body := await self._link.receive()) is not None:
                self._take(decode_from_stage(body), heard)
        except (LinkBroken, ValueError) as error:
            log.error("stage_broke_the_protocol", stage=str(self.address), problem=str(error))
            self._link.abort()
        finally:
            self.alive = False
            for asked in self._asked.values():
                if not asked.done():
                    asked.set_exception(_gone())
            self._asked.clear()

    def _take(self, message: FromStage, heard: Callable[[Event], None]) -> None:
        match message:
            case Event():
                heard(message)
            case Answer(number=number, result=result):
                if (asked := self._asked.pop(number, None)) is not None and not asked.done():
                    asked.set_result(result)
            case Refusal(number=number):
                if (asked := self._asked.pop(number, None)) is not None and not asked.done():
                    asked.set_exception(error_of(message.code, message.message, suggestion=message.suggestion))
            case Rejected():
                raise LinkBroken(f"The stage drops this server: {message.message} ({message.code})")
            case Ready():
                raise LinkBroken("A second Ready")

    async def ask(self, session_id: str, epoch: int, command: Command) -> Result:
        """Send a command and return its result. Raises what the stage raised, or `PerformerLost`."""
        if not self.alive:
            raise _gone()
        number = next(self._numbers)
        asked: asyncio.Future[Result] = asyncio.get_running_loop().create_future()
        self._asked[number] = asked
        try:
            self._link.send(Request(number=number, session_id=session_id, epoch=epoch, command=command))
            return await asked
        except LinkBroken as error:
            self._link.abort()
            raise _gone() from error
        finally:
            self._asked.pop(number, None)

    async def aclose(self) -> None:
        """Close the connection; idempotent, bounded to 1 s."""
        self.alive = False
        self._writer.cancel()
        await self._link.aclose()


def _gone() -> PerformerLost:
    return PerformerLost("The stage that performed this session is gone")
