"""One stage process as the fleet sees it: started, asked, listened to, stopped."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import structlog

from visavis.errors import PerformerLost, error_of
from visavis.rooms.spec import IceServer
from visavis.stage.messages import Done, Failed, Message, Ready, pack, read_message

START_WITHIN_S = 30.0
STOP_WITHIN_S = 3.0

log = structlog.get_logger("visavis.fleet")


@dataclass(frozen=True, slots=True, kw_only=True)
class StageCommand:
    """How a stage process is started."""

    parts: str | None  # None: the built-in ones
    ice_servers: tuple[IceServer, ...] = ()
    pictures_dir: Path | None = None


class StageLink:
    """A stage process and the socket to it. `heard` gets every event, `lost` is called once when the process or its
    link is gone.
    """

    def __init__(
        self, process: asyncio.subprocess.Process, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self.process = process
        self._reader, self._writer = reader, writer
        self._asked: dict[int, asyncio.Future[str]] = {}
        self._numbered = 0
        self.alive = True
        self.sessions: set[str] = set()

    @classmethod
    async def start(cls, command: StageCommand) -> StageLink:
        """Start a process and wait until it is ready. Raises `PerformerLost` when it does not come up."""
        ours, theirs = socket.socketpair()
        with theirs:
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "visavis.stage.process",
                "--link",
                str(theirs.fileno()),
                *(["--parts", command.parts] if command.parts else []),
                *(["--pictures", str(command.pictures_dir)] if command.pictures_dir else []),
                "--ice-servers",
                json.dumps([[s.url, s.username, s.credential] for s in command.ice_servers]),
                pass_fds=(theirs.fileno(),),
                stdin=asyncio.subprocess.DEVNULL,
                # One thread each (a core gets a stage), and glibc's memory in few arenas: both are read before the
                # first import.
                env={**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MALLOC_ARENA_MAX": "2"},
            )
        reader, writer = await asyncio.open_connection(sock=ours)
        link = cls(process, reader, writer)
        try:
            first = await asyncio.wait_for(read_message(reader), START_WITHIN_S)
        except TimeoutError:
            await link.stop()
            raise PerformerLost(f"A stage process did not start within {START_WITHIN_S:.0f} s") from None
        except asyncio.CancelledError:
            await link.stop()
            raise
        if not isinstance(first, Ready):
            await link.stop()
            raise PerformerLost("A stage process did not start")
        log.info("stage_started", pid=process.pid)
        return link

    async def listen(self, heard: Callable[[Message], None]) -> None:
        """Hand on every event until the link ends; then every pending and later call fails."""
        try:
            while (message := await read_message(self._reader)) is not None:
                if isinstance(message, Done | Failed):
                    self._settle(message)
                else:
                    heard(message)
        finally:
            self.alive = False
            for asked in self._asked.values():
                if not asked.done():
                    asked.set_exception(PerformerLost("The stage that performed this session is gone"))
            self._asked.clear()

    def _settle(self, answer: Done | Failed) -> None:
        asked = self._asked.pop(answer.request, None)
        if asked is None or asked.done():
            return
        if isinstance(answer, Done):
            asked.set_result(answer.answer)
        else:
            asked.set_exception(error_of(answer.code, answer.message, suggestion=answer.suggestion))

    async def ask(self, make: Callable[[int], Message]) -> str:
        """Send the request that `make` makes of a number, and return its answer. Raises what the stage raised, or
        `PerformerLost`.
        """
        if not self.alive:
            raise PerformerLost("The stage that performed this session is gone")
        self._numbered += 1
        number = self._numbered
        asked: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._asked[number] = asked
        try:
            self._writer.write(pack(make(number)))
            await self._writer.drain()
            return await asked
        except ConnectionError as error:
            raise PerformerLost("The stage that performed this session is gone") from error
        finally:
            self._asked.pop(number, None)
            if not asked.cancel() and not asked.cancelled():
                asked.exception()  # taken note of, should the write have failed before the answer was awaited

    async def stop(self) -> None:
        """Close the link, upon which the process ends; kill it if it does not."""
        self.alive = False
        self._writer.close()
        try:
            await asyncio.wait_for(self.process.wait(), STOP_WITHIN_S)
        except TimeoutError:
            self.process.kill()
            await self.process.wait()
