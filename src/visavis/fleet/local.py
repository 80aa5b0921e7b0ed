"""Stages as child processes of this one, connected over Unix sockets."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import shutil
import sys
import tempfile
from itertools import count
from pathlib import Path
from weakref import WeakSet

import structlog

from visavis.engine.child_process import kept_environment
from visavis.errors import PerformerLost, StageRejected, StageUnreachable
from visavis.fleet.link import StageLink
from visavis.machine.cores import cores as given_cores
from visavis.machine.cores import processes_for
from visavis.machine.network import MediaNetwork, write_network
from visavis.rooms.spec import IceServer
from visavis.stage.port.address import Address
from visavis.stage.port.messages import PORT_VERSION, FolderSource, Hello

START_WITHIN_S = 30.0
STOP_WITHIN_S = 3.0
SILENT_S = 5.0

log = structlog.get_logger("visavis.fleet")


class LocalStage:
    """A stage process and the connection to it."""

    def __init__(self, process: asyncio.subprocess.Process, link: StageLink, *, silent_s: float) -> None:
        self.process, self.link, self.silent_s = process, link, silent_s

    @property
    def name(self) -> str:
        return f"process {self.process.pid}"

    def kill(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            self.process.kill()
        self.link.abort()

    async def aclose(self) -> None:
        """Close the connection, so that the process ends; kill it if it does not."""
        await self.link.aclose()
        await _stop(self.process)


class LocalStages:
    """Implements `fleet.supply.StageSupply`. `data_dir`: the service's data folder, which contains packs and pictures.
    `max_stages`: None for one stage per core. `cores`: None for those that this process may use. `silent_s`: a stage
    that is silent for so long is killed. `network`: that of the stages' media.
    """

    def __init__(
        self,
        *,
        data_dir: Path,
        max_stages: int | None = None,
        cores: float | None = None,
        ice_servers: tuple[IceServer, ...] = (),
        parts: str | None = None,
        silent_s: float = SILENT_S,
        network: MediaNetwork | None = None,
        log_level: str = "info",
        log_json: bool = False,
    ) -> None:
        self._max_stages = max_stages or processes_for(cores or given_cores())
        self._data_dir, self._ice_servers, self._parts, self._silent_s = data_dir, ice_servers, parts, silent_s
        self._network = write_network(network or MediaNetwork())
        self._log_options = ["--log-level", log_level, *(["--log-json"] if log_json else [])]
        self._server_id = secrets.token_hex(8)
        self._socket_folder: Path | None = None  # only this user can enter it; made with the first stage
        self._numbers = count(1)
        self._running: WeakSet[LocalStage] = WeakSet()

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
        try:
            if self._socket_folder is None:
                self._socket_folder = Path(tempfile.mkdtemp(prefix="visavis-"))
            address = Address(path=self._socket_folder / f"{next(self._numbers)}.sock")
            process = await self._start(address)
        except OSError as error:  # no folder for temporary files, no descriptors or no memory is left
            raise PerformerLost(f"A stage process cannot be started now: {error.strerror or error}") from error
        token = secrets.token_urlsafe(32)
        try:
            await self._wait_until_listening(process, token)
            hello = Hello(
                version=PORT_VERSION,
                token=token,
                server_id=self._server_id,
                source=FolderSource(),
                ice_servers=self._ice_servers,
            )
            link = await StageLink.connect(address, hello)
        except BaseException as error:
            await _stop(process, at_once=True)
            if isinstance(error, StageUnreachable | StageRejected):
                raise PerformerLost(error.message) from error
            raise
        log.info("stage_started", pid=process.pid)
        stage = LocalStage(process, link, silent_s=self._silent_s)
        self._running.add(stage)
        return stage

    async def _start(self, address: Address) -> asyncio.subprocess.Process:
        return await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "visavis.stage",
            "--listen",
            str(address),
            "--data",
            str(self._data_dir),
            "--network",
            self._network,
            *(["--parts", self._parts] if self._parts else []),
            *self._log_options,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            # One thread for each library (a stage uses one core) and few memory arenas of glibc. Both are environment
            # variables, because the libraries read them when they are loaded.
            env=kept_environment() | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MALLOC_ARENA_MAX": "2"},
        )

    async def _wait_until_listening(self, process: asyncio.subprocess.Process, token: str) -> None:
        """Send the stage its token and wait for its line of output. Raises `PerformerLost` if it does not start."""
        assert process.stdin is not None and process.stdout is not None
        try:
            async with asyncio.timeout(START_WITHIN_S):
                process.stdin.write(f"{token}\n".encode())
                await process.stdin.drain()
                process.stdin.close()
                line = await process.stdout.readline()
        except TimeoutError:
            raise PerformerLost(f"A stage process did not start within {START_WITHIN_S:.0f} s") from None
        except ConnectionError:
            line = b""
        if not line:
            raise PerformerLost("A stage process did not start")

    async def aclose(self) -> None:
        if self._socket_folder is not None:
            shutil.rmtree(self._socket_folder, ignore_errors=True)
            self._socket_folder = None


async def _stop(process: asyncio.subprocess.Process, *, at_once: bool = False) -> None:
    """Wait until the process ends, or kill it: `at_once`, after STOP_WITHIN_S, or when this is cancelled."""
    try:
        if not at_once:
            await asyncio.wait_for(process.wait(), STOP_WITHIN_S)
    except TimeoutError:
        pass
    finally:
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await _reap(process)


async def _reap(process: asyncio.subprocess.Process) -> None:
    """Wait for a killed process, also when this is cancelled: it ends at once, and nobody else waits for it."""
    ended = asyncio.ensure_future(process.wait())
    cancelled: asyncio.CancelledError | None = None
    while not ended.done():
        try:
            await asyncio.shield(ended)
        except asyncio.CancelledError as error:
            cancelled = error
    if cancelled is not None:
        raise cancelled
