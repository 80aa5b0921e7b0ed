"""Stages as child processes of this one, connected over Unix sockets."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import signal
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from weakref import WeakSet

import structlog

from visavis import __version__
from visavis.errors import PerformerLost, StageRejected, StageUnreachable, VisavisError
from visavis.fleet.adopted_process import AdoptedProcess
from visavis.fleet.identity import ServerIdentity
from visavis.fleet.link import StageLink
from visavis.fleet.roster import Entry, Roster
from visavis.fleet.stage_process import StageProcess, start_process, stop_process, wait_until_listening
from visavis.fleet.suspects import LastWork
from visavis.machine.cores import cores as given_cores
from visavis.machine.cores import processes_for
from visavis.machine.network import MediaNetwork, write_network
from visavis.rooms.spec import IceServer
from visavis.stage.port.address import Address
from visavis.stage.port.heartbeat import CHECK_EVERY_S, Silence
from visavis.stage.port.messages import OLDEST_PORT_VERSION, PORT_VERSION, FolderSource, Hello, Leave
from visavis.stage.work_marks import SharedMarks

SILENT_S = 5.0
GRACE_S = 15.0
ADOPT_WITHIN_S = 5.0  # a stage that is alive answers at once, unless its machine is very busy
NEVER_S = 3600.0
ENTER_AGAIN_S = 0.5  # after the disk was full
END_IS_KNOWN_WITHIN_S = 0.2  # after the connection of a process that dies is over
# How a process ends that somebody else has killed. That of an adopted process is not known, and told as 0.
ENDED_BY_OTHERS = (None, 0, -signal.SIGKILL, -signal.SIGTERM, -signal.SIGINT, -signal.SIGHUP)

log = structlog.get_logger("visavis.fleet")


class LocalStage:
    """A stage process and the connection to it. `on_closed` is called when the process has ended. `marks`: those of its
    work; closed with the stage.
    """

    def __init__(
        self,
        process: StageProcess,
        link: StageLink,
        *,
        silent_s: float,
        on_closed: Callable[[], None],
        marks: SharedMarks | None = None,
    ) -> None:
        self.process, self.link, self.silent_s = process, link, silent_s
        self.lost = asyncio.Event()
        self._on_closed, self._marks = on_closed, marks
        self._last_work: LastWork | None = None  # set by the first `last_work`
        self._hung = False  # set when it is killed because it does not answer, though it runs

    @property
    def name(self) -> str:
        return f"process {self.process.pid}"

    def kill(self) -> None:
        self._hung = not _is_stopped(self.process.pid)
        with contextlib.suppress(ProcessLookupError):
            self.process.kill()
        self.link.abort()

    async def last_work(self) -> LastWork:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self.process.wait(), END_IS_KNOWN_WITHIN_S)
        if self._last_work is None:
            sessions = frozenset[str]() if self._marks is None else self._marks.sessions()
            broke = self._hung or self.process.returncode not in ENDED_BY_OTHERS
            self._last_work = LastWork(sessions=sessions, broke=broke)
        return self._last_work

    async def aclose(self) -> None:
        """Close the connection, so that the process ends; kill it if it does not. A process whose connection is over
        already would wait for the next server: it is killed at once. The process has ended also if this is cancelled.
        """
        at_once = not self.link.alive
        self.link.tell(Leave())  # it may be a single stage that ends, and not the server
        try:
            await self.link.aclose()
        finally:
            try:
                await stop_process(self.process, at_once=at_once)
            finally:
                if self._marks is not None:
                    self._marks.close()
                self._on_closed()


class LocalStages:
    """Implements `fleet.supply.StageSupply`. `data_dir`: the service's data folder, which contains packs and pictures.
    `identity`: who this server is to its stages. `max_stages`: None for one stage per core. `cores`: None for those
    that this process may use. `silent_s`: a stage that is silent for so long is killed. `grace_s`: how long a stage
    waits for the next server after this one has died. `network`: that of the stages' media.
    """

    def __init__(
        self,
        *,
        data_dir: Path,
        identity: ServerIdentity | None = None,
        max_stages: int | None = None,
        cores: float | None = None,
        ice_servers: tuple[IceServer, ...] = (),
        parts: str | None = None,
        silent_s: float = SILENT_S,
        grace_s: float = GRACE_S,
        network: MediaNetwork | None = None,
        log_level: str = "info",
        log_json: bool = False,
    ) -> None:
        self._max_stages = max_stages or processes_for(cores or given_cores())
        self._data_dir, self._ice_servers, self._parts, self._silent_s = data_dir, ice_servers, parts, silent_s
        self._network = write_network(network or MediaNetwork())
        self._log_options = ["--log-level", log_level, *(["--log-json"] if log_json else [])]
        self._identity, self._grace_s = identity or ServerIdentity(), grace_s
        self._roster = Roster(data_dir)
        self._running: WeakSet[LocalStage] = WeakSet()
        self._entering: dict[str, asyncio.Task[None]] = {}  # by the name of a stage whose entry is not written yet

    @property
    def max_stages(self) -> int:
        return self._max_stages

    @property
    def max_local_stages(self) -> int:
        return self._max_stages

    @property
    def pids(self) -> list[int]:
        """The process ids of the running stages."""
        return sorted(stage.process.pid for stage in self._running if stage.process.returncode is None)

    async def open(self) -> LocalStage:
        name, token, marks = self._roster.new_name(), secrets.token_urlsafe(32), SharedMarks.make()
        try:
            address = self._roster.address_of(name)
            process = await self._start(address, marks)
        except OSError as error:  # no folder for sockets, no descriptors or no memory is left
            if marks is not None:
                marks.close()
            raise PerformerLost(f"A stage process cannot be started now: {error.strerror or error}") from error
        try:
            await wait_until_listening(process, token)
            link = await StageLink.connect(address, self._hello(token))
        except BaseException as error:
            await stop_process(process, at_once=True)
            self._roster.remove(name, address)
            if marks is not None:
                marks.close()
            if isinstance(error, StageUnreachable | StageRejected):
                raise PerformerLost(error.message) from error
            raise
        descriptor = None if marks is None else marks.descriptor
        self._enter(name, partial(self._roster.add, pid=process.pid, address=address, token=token, marks=descriptor))
        log.info("stage_started", pid=process.pid)
        return self._stage(name, process, link, marks)

    async def adopt(self) -> list[LocalStage]:
        """See `StageSupply.adopt`."""
        entries = self._roster.entries()
        stages = await asyncio.gather(*(self._adopt(entry) for entry in entries))
        return [stage for stage in stages if stage is not None]

    async def _adopt(self, entry: Entry) -> LocalStage | None:
        """Connect to a stage that an earlier server has started; None if it has ended or does not answer."""
        try:
            link = await self._connect_again(entry)
            process = AdoptedProcess(link.peer_pid or entry.pid)
        except (StageUnreachable, StageRejected, OSError) as error:
            problem = error.message if isinstance(error, VisavisError) else str(error)
            log.info("stage_not_adopted", pid=entry.pid, problem=problem)
            if isinstance(error, StageUnreachable):
                await _end_hung(entry)
            self._roster.remove(entry.name, entry.address)
            return None
        log.info("stage_adopted", pid=process.pid, sessions=len(link.held), version=entry.version)
        return self._stage(entry.name, process, link, SharedMarks.of_process(process.pid, entry.marks))

    async def _connect_again(self, entry: Entry) -> StageLink:
        """Connect to a stage of an earlier server. Raises `StageUnreachable` and `StageRejected`, also if the stage has
        not answered for ADOPT_WITHIN_S while this process ran.
        """
        hello, silence = self._hello(entry.token), Silence(now_s=time.monotonic())
        connecting = asyncio.create_task(
            StageLink.connect(entry.address, hello, within_s=NEVER_S, on_message=silence.heard)
        )
        try:
            while not connecting.done():
                if silence.check(now_s=time.monotonic()) >= ADOPT_WITHIN_S:
                    raise StageUnreachable(f"The stage at {entry.address} does not answer")
                await asyncio.wait((connecting,), timeout=CHECK_EVERY_S)
            return connecting.result()
        finally:
            connecting.cancel()

    def _stage(self, name: str, process: StageProcess, link: StageLink, marks: SharedMarks | None) -> LocalStage:
        on_closed = partial(self._leave, name, link.address)
        stage = LocalStage(process, link, silent_s=self._silent_s, on_closed=on_closed, marks=marks)
        self._running.add(stage)
        return stage

    def _enter(self, name: str, add: Callable[[str], None]) -> None:
        """Write the entry of a stage: now, or when the disk takes it again."""
        try:
            add(name)
        except OSError as error:
            log.warning("stage_not_entered", stage=name, problem=error.strerror or str(error))
            self._entering[name] = asyncio.create_task(self._enter_later(name, add), name=f"enter stage {name}")

    async def _enter_later(self, name: str, add: Callable[[str], None]) -> None:
        while name in self._entering:
            await asyncio.sleep(ENTER_AGAIN_S)
            with contextlib.suppress(OSError):
                add(name)
                log.info("stage_entered", stage=name)
                del self._entering[name]

    def _leave(self, name: str, address: Address) -> None:
        if (entering := self._entering.pop(name, None)) is not None:
            entering.cancel()
        self._roster.remove(name, address)

    def _hello(self, token: str) -> Hello:
        return Hello(
            version=PORT_VERSION,
            oldest=OLDEST_PORT_VERSION,
            program=__version__,
            token=token,
            server_id=self._identity.server_id,
            epoch=self._identity.epoch,
            source=FolderSource(),
            ice_servers=self._ice_servers,
            owner_grace_s=self._grace_s,
        )

    async def _start(self, address: Address, marks: SharedMarks | None) -> asyncio.subprocess.Process:
        arguments = [
            *("--listen", str(address), "--data", str(self._data_dir), "--network", self._network),
            *(["--parts", self._parts] if self._parts else []),
            *([] if marks is None else ["--marks", str(marks.descriptor)]),
            *self._log_options,
        ]
        return await start_process(arguments, pass_fds=() if marks is None else (marks.descriptor,))

    async def aclose(self) -> None:
        for entering in self._entering.values():
            entering.cancel()
        await asyncio.gather(*self._entering.values(), return_exceptions=True)
        self._entering.clear()
        self._roster.close()


async def _end_hung(entry: Entry) -> None:
    """Kill a stage of an earlier server that runs, or is stopped, and does not answer: nobody else watches it."""
    with contextlib.suppress(OSError):
        process = AdoptedProcess(entry.pid)
        if str(entry.address) in _arguments_of(entry.pid):  # the id may be another process's by now
            process.kill()
            log.warning("hung_stage_killed", pid=entry.pid)
            await process.wait()


def _arguments_of(pid: int) -> list[str]:
    """The command line of a process. Raises OSError, also where the system does not tell."""
    return Path(f"/proc/{pid}/cmdline").read_text(errors="replace").split("\0")


def _is_stopped(pid: int) -> bool:
    """Whether somebody has stopped a process, as far as the system tells."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] in "Tt"
    except (OSError, IndexError):
        return False
