"""The stage processes of this machine: each listens at a port of its own, and another one takes the place of one that
dies or hangs. Servers connect to them directly; the supervisor is one more client of theirs, which hears what they
report and opens no sessions.
"""

from __future__ import annotations

import asyncio
import secrets
import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import structlog
from msgspec import structs

from visavis import __version__
from visavis.errors import PerformerLost, StageRejected, StageUnreachable
from visavis.fleet.admission import Limits, MachineState
from visavis.fleet.link import StageLink
from visavis.fleet.local import LocalStage
from visavis.fleet.machines import Machines
from visavis.fleet.stage_process import start_process, stop_process, wait_until_listening
from visavis.machine.network import MediaNetwork, write_network
from visavis.stage.fence import SharedFence
from visavis.stage.port.address import Address
from visavis.stage.port.messages import OLDEST_PORT_VERSION, PORT_VERSION, Hello, HttpSource
from visavis.stage.port.report import SessionShape
from visavis.supervisor.certificate import MachineCertificate

SILENT_S = 5.0  # a process that is silent for so long is killed
START_AGAIN_AFTER_S = 1.0  # if a lost one cannot be replaced

log = structlog.get_logger("visavis.supervisor")


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessOptions:
    """`listen`: where the first process listens; each further one takes the next port. Port 0: free ones. `parts`: see
    stage/parts.py.
    """

    listen: Address
    count: int
    cache: Path
    network: MediaNetwork
    limits: Limits = Limits()  # noqa: RUF009 (it is frozen)
    log_json: bool = False
    parts: str | None = None


class StageProcesses:
    """`open` starts all, `run` keeps them alive until it is cancelled, `aclose` ends them. `token`: what servers must
    say to them.
    """

    def __init__(self, options: ProcessOptions, certificate: MachineCertificate, *, token: str) -> None:
        self._options, self._certificate, self._token = options, certificate, token
        self._machines = Machines(options.limits, shapes={})
        self._fence = SharedFence.make()
        self._stages: dict[int, LocalStage] = {}  # by port
        self._hello = Hello(
            version=PORT_VERSION,
            oldest=OLDEST_PORT_VERSION,
            program=__version__,
            token=token,
            server_id=f"supervisor-{secrets.token_hex(8)}",
            source=HttpSource(url="", token=""),  # it opens no sessions
            owner_grace_s=0.0,
        )
        self._tls = ssl.create_default_context(cadata=certificate.authority_pem)
        # It is this machine's own certificate, for the name by which servers reach it.
        self._tls.check_hostname = False

    @property
    def ports(self) -> list[int]:
        """Where the processes listen: the same ports from `open` to `aclose`."""
        return sorted(self._stages)

    @property
    def ids(self) -> list[int]:
        """The process ids of those that run."""
        return [stage.process.pid for stage in self._stages.values() if stage.process.returncode is None]

    @property
    def sessions(self) -> int:
        """How many sessions the processes perform together, as of their newest reports."""
        return sum(len(link.report.sessions) for link in self._links())

    @property
    def opened(self) -> list[SessionShape]:
        """The sessions of all processes as they were opened, as of their newest reports: what their places take."""
        reports = [link.report for link in self._links()]
        return [
            structs.replace(report.opened.get(session_id, shape), viewers=0)
            for report in reports
            for session_id, shape in report.sessions.items()
        ]

    def state(self) -> MachineState | None:
        """The machine as the newest reports show it, None while no process answers."""
        links = [link for link in self._links() if not link.quiet]
        return self._machines.state(links) if links else None

    def lease_held(self, at_ns: int) -> None:
        """Tell the processes that the machine's lease held at this time of `fence.now_ns`."""
        if self._fence is not None:
            self._fence.heard(at_ns)

    async def open(self) -> None:
        """Raises `PerformerLost` if a process does not start: then none runs."""
        first, count = self._options.listen.port, self._options.count
        ports = range(first, first + count) if first else [0] * count
        started = await asyncio.gather(*(self._start(port) for port in ports), return_exceptions=True)
        problems = [one for one in started if isinstance(one, BaseException)]
        if problems:
            await self.aclose()
            raise problems[0]

    async def run(self) -> None:
        async with asyncio.TaskGroup() as tasks:
            for port in self._stages:
                tasks.create_task(self._keep(port))

    async def aclose(self, *, at_once: bool = False) -> None:
        """End the processes; takes at most 5 s. `at_once`: kill them, with what they perform."""
        stages, self._stages = list(self._stages.values()), {}
        if at_once:
            for stage in stages:
                stage.kill()
                log.info("stage_killed", stage=stage.name, pid=stage.process.pid)
        await asyncio.gather(*(stage.aclose() for stage in stages))
        if self._fence is not None:
            self._fence.close()
            self._fence = None

    def _links(self) -> Sequence[StageLink]:
        return [stage.link for stage in self._stages.values() if stage.link.alive]

    async def _keep(self, port: int) -> None:
        """Hear the process of a port until it dies or hangs; then start another one."""
        while True:
            stage = self._stages[port]
            detail = await self._watch(stage)
            sessions = len(stage.link.report.sessions)
            log.error("stage_lost", stage=stage.name, pid=stage.process.pid, sessions=sessions, detail=detail)
            await stage.aclose()
            while not await self._starts_again(port):  # noqa: ASYNC110 (nobody tells when one can start)
                await asyncio.sleep(START_AGAIN_AFTER_S)

    async def _watch(self, stage: LocalStage) -> str:
        """Return what happened to the process."""
        heard = asyncio.create_task(stage.link.listen(lambda _: None, lambda: self._take_report(stage.link)))
        watched = asyncio.create_task(stage.link.watch(silent_s=stage.silent_s))
        try:
            await asyncio.wait((heard, watched), return_when=asyncio.FIRST_COMPLETED)
            if heard.done():
                await heard
                return "it is gone"
            stage.kill()
            await heard
            return f"it has not answered for {stage.silent_s:g} s"
        finally:
            heard.cancel()
            watched.cancel()

    def _take_report(self, link: StageLink) -> None:
        self._machines.take_report(link, self._links())

    async def _starts_again(self, port: int) -> bool:
        try:
            await self._start(port)
        except PerformerLost as error:
            log.error("stage_not_replaced", problem=error.message)
            return False
        return True

    async def _start(self, port: int) -> None:
        """Start a process and connect to it. Raises `PerformerLost`."""
        self._machines.stage_starts()
        address = Address(host=self._options.listen.host, port=port)
        try:
            passed = () if self._fence is None else (self._fence.descriptor,)
            process = await start_process(self._arguments(address), pass_fds=passed)
        except OSError as error:
            raise PerformerLost(f"A stage process cannot be started now: {error.strerror or error}") from error
        try:
            bound = Address.parse(await wait_until_listening(process, self._token))
            link = await StageLink.connect(_from_here(bound), self._hello, tls=self._tls)
        except BaseException as error:
            await stop_process(process, at_once=True)
            if isinstance(error, StageUnreachable | StageRejected):
                raise PerformerLost(error.message) from error
            raise
        log.info("stage_started", pid=process.pid, port=bound.port)
        self._stages[bound.port] = LocalStage(process, link, silent_s=SILENT_S, on_closed=lambda: None)

    def _arguments(self, address: Address) -> list[str]:
        options, certificate = self._options, self._certificate
        return [
            *("--listen", str(address), "--cache", str(options.cache), "--network", write_network(options.network)),
            *("--tls-cert", str(certificate.file), "--tls-key", str(certificate.key_file)),
            *(["--parts", options.parts] if options.parts else []),
            *([] if self._fence is None else ["--fence", str(self._fence.descriptor)]),
            *(["--log-json"] if options.log_json else []),
        ]


def _from_here(address: Address) -> Address:
    """The address by which this machine reaches its own process."""
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(address.host, address.host)
    return Address(host=host, port=address.port)
