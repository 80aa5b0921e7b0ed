"""Runs a server in one process: settings, logs, the application in uvicorn, and an orderly shutdown.

`visavis serve` calls `serve`. `RunningServer` runs the same server in a thread of another program, such as a test.
"""

from __future__ import annotations

import asyncio
import os
import resource
import signal
import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from types import FrameType, TracebackType

import structlog
import uvicorn
from uvicorn.config import LOGGING_CONFIG

from visavis import signals
from visavis.api.app import create_app
from visavis.api.lifespan import AppLifespan
from visavis.api.services import Services
from visavis.avatars.preparation import Prepare, prepare_with_engine
from visavis.channel.websocket import WS_MAX_SIZE_BYTES
from visavis.connections.addresses import AddressWatch, default_gateways
from visavis.connections.guard import ConnectionGuard, GuardedConfig
from visavis.connections.http_protocol import GuardedHttp
from visavis.connections.network import is_loopback, with_mapped
from visavis.connections.table import Limits
from visavis.connections.tls_door import TlsDoor
from visavis.connections.turns import Turns
from visavis.connections.websocket_protocol import GuardedWebSocket
from visavis.engine.errors import NetworkFileBroken
from visavis.engine.portrait.networks.files import check_files
from visavis.engine.speech.weights_file import check_weights
from visavis.errors import (
    AddressUnavailable,
    InstallationDamaged,
    KeyNotFound,
    ServerBroken,
    ServerNotStarted,
    VisavisError,
)
from visavis.fleet.port import Fleet
from visavis.fleet.roster import FOLDER as STAGES_FOLDER
from visavis.fleet.roster import check_stages_can_be_taken_over
from visavis.logs import configure_logs
from visavis.machine import file_modes
from visavis.machine.cores import cores, processes_for
from visavis.machine.garbage import PAUSES, keep_what_is_there
from visavis.machine.network import taken_ports
from visavis.machine.process_memory import refuse_huge_pages, share_one_arena
from visavis.orphans import Orphans
from visavis.sessions.drain import drain
from visavis.sessions.handover import hand_over
from visavis.settings import Settings, load_secret, read_settings
from visavis.store.database import sqlite_path
from visavis.store.file_system import check_place
from visavis.store.ownership import Succession, owned
from visavis.tls.pair import name_to_show
from visavis.tls.renewal import RenewedPair

log = structlog.get_logger()

CLOSE_WITHIN_S = 2  # for connections, after the sessions have ended
TAKE_OVER_WITHIN_S = 30.0  # from a server that runs on the data folder
STOP_WITHIN_S = 30  # after the drain: the longest wait for a locked database, for stages and for photos
RESERVED_DESCRIPTORS = 128  # for the database, files, stages and starting stages
MIN_CONNECTIONS = 32
# asyncio accepts this many connections before the guard counts the first of them: fewer than the reserved descriptors.
ACCEPTED_AT_ONCE = 32
WAITING_CONNECTIONS = 1024  # in the kernel's queue
TICKS_PER_LOOK = 2  # ten ticks a second: how often a server looks for one that wants to take over
MAX_HEADER_SECTION_BYTES = 64 * 1024  # of all headers of a request; an unfinished section beyond it is refused


def serve(
    *,
    host: str,
    port: int,
    take_over: bool = False,
    tls_cert: Path | None = None,
    tls_key: Path | None = None,
    fleet: bool | None = None,
) -> None:
    """Run until SIGTERM or SIGINT, or until another server takes over. Prints the address; the first start in a
    terminal also creates and prints a key. `take_over`: from a server that runs on the data folder. `tls_cert` and
    `tls_key`, `fleet`: instead of the settings of that name.
    """
    refuse_huge_pages()
    share_one_arena()
    settings = read_settings(tls_cert=tls_cert, tls_key=tls_key, fleet=fleet)
    file_modes.apply(settings.data_mode)
    certificate = certificate_of(settings)
    signal.signal(signals.HAND_OVER, signal.SIG_IGN)  # until there is something to hand over
    _check_installation()
    if take_over:
        check_stages_can_be_taken_over(settings.data_dir)
    with _owned_storage(settings, take_over_within_s=TAKE_OVER_WITHIN_S if take_over else None):
        load_secret(settings)
        configure_logs(level=settings.log_level, as_json=settings.log_json)
        raise_descriptor_limit()
        os.umask(file_modes.umask())
        file_modes.share(settings.data_dir, but=frozenset({STAGES_FOLDER}))
        for number in signals.ENDING_SERVICE:  # until uvicorn handles them, which ends in order
            signal.signal(number, signals.end_service_at_once)
        listener = _listen(host, port)
        name_taken_ports(settings)
        if take_over:  # clients wait until this server has started, instead of being refused
            listener.listen(WAITING_CONNECTIONS)
        server = Server(settings, listener, certificate=certificate, owns_process=True)
        keep_what_is_there()  # modules and routes
        PAUSES.watch()
        with listener:
            server.run(sockets=[listener])
    if server.broken:
        raise ServerBroken(f"The server cannot go on without its task {server.broken!r}; its log says why it failed")


def certificate_of(settings: Settings) -> RenewedPair | None:
    """Return what the server speaks HTTPS with; None: it speaks HTTP. Raises `SettingInvalid`."""
    if settings.tls_cert is None or settings.tls_key is None:
        return None
    return RenewedPair(settings.tls_cert, settings.tls_key)


def _check_installation() -> None:
    """Raises `InstallationDamaged`, instead of refusing photos and losing stages later."""
    try:
        check_files()
        check_weights()
    except NetworkFileBroken as error:
        raise InstallationDamaged(
            f"This installation is damaged: {error.message}",
            suggestion="Install it again (in a checkout: `make setup`)",
        ) from error


@contextmanager
def _owned_storage(settings: Settings, *, take_over_within_s: float | None = None) -> Iterator[None]:
    """Be the one server of the data folder and the database. Raises `DataFolderInUse`, `DataFolderUnusable`,
    `DatabaseUnusable`.
    """
    database = sqlite_path(settings.resolved_database_url)
    if database is not None:
        check_place(database)
    with owned(settings.data_dir, database=database, take_over_within_s=take_over_within_s):
        yield


def raise_descriptor_limit() -> None:
    """Raise the limit of file descriptors to the system's maximum: connections and stages need them."""
    _, maximum = resource.getrlimit(resource.RLIMIT_NOFILE)
    with suppress(OSError, ValueError):  # macOS reports a maximum that it does not grant
        resource.setrlimit(resource.RLIMIT_NOFILE, (maximum, maximum))


def connection_limits(settings: Settings) -> Limits:
    """Return the limits of the settings, lowered to the file descriptors that this process has for connections."""
    descriptors, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = max(MIN_CONNECTIONS, min(settings.max_connections, descriptors - RESERVED_DESCRIPTORS))
    return Limits(
        most=most,
        most_per_address=min(most, settings.max_connections_per_address),
        most_sockets=settings.max_unattached_channels,
        idle_s=settings.keep_alive_s,
    )


def _listen(host: str, port: int) -> socket.socket:
    """Raises `AddressUnavailable` for an address that cannot be used."""
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        # asyncio turns Nagle's algorithm off only if the socket's protocol is given. With Nagle's algorithm an answer
        # waits 40 ms for an acknowledgement.
        listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:  # `::` takes clients of IPv4 too, whatever the system's default is
            with suppress(OSError):
                listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        listener.bind((host, port))
    except OSError as error:
        shown = f"[{host}]" if ":" in host else host
        raise AddressUnavailable(f"Cannot listen on {shown}:{port}: {error.strerror or error}") from error
    listener.set_inheritable(False)
    return listener


def name_taken_ports(settings: Settings) -> None:
    """Log which UDP ports of media are taken by others, if too few are left for the stages or the operator chose the
    ports. A stage that finds none does not start.
    """
    if settings.stage_addresses or settings.fleet:
        return
    wanted = settings.stages or processes_for(settings.cores or cores())
    taken, free = taken_ports(settings.media_network.ports, wanted=wanted)
    if taken and (free < wanted or "media_ports" in settings.model_fields_set):
        log.warning("media_ports_taken", ports=taken, free=free, wanted=wanted)


def url_of(listener: socket.socket, certificate: RenewedPair | None = None) -> str:
    """Return the URL to open in a browser: on this machine; with a `certificate`, by a name of it."""
    host, port = listener.getsockname()[:2]
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
    if certificate is not None:
        host = name_to_show(certificate.pair.names, host)
    scheme = "http" if certificate is None else "https"
    return f"{scheme}://[{host}]:{port}" if ":" in host else f"{scheme}://{host}:{port}"


class Server(uvicorn.Server):
    """Uvicorn with our application. Prints its address when it has started, and ends all sessions before it closes
    connections.
    """

    def __init__(
        self,
        settings: Settings,
        listener: socket.socket,
        fleet: Fleet | None = None,
        prepare: Prepare = prepare_with_engine,
        *,
        certificate: RenewedPair | None = None,
        owns_process: bool = False,
    ) -> None:
        """`certificate`: with which the server speaks HTTPS; None: it speaks HTTP. `owns_process`: whether what the
        process has when the server is ready stays as long as the process.
        """
        listens_to_loopback = is_loopback(listener.getsockname()[0])
        self.app = create_app(settings, fleet, prepare, listens_to_loopback=listens_to_loopback)
        self._url = url_of(listener, certificate)
        self._certificate = certificate
        watch = None if settings.trusted_proxies else AddressWatch(default_gateways())
        self._guard = ConnectionGuard(connection_limits(settings), watch)
        self._drain_s = settings.drain_s
        self._forced = False  # set by a second signal
        self._succession = Succession(settings.data_dir)
        self._settles = owns_process  # until the server was ready for the first time
        self._hands_over = False  # set once, when another server shall go on with the sessions
        self._sweeping: asyncio.Task[None] | None = None  # from startup to shutdown
        self._reaping: asyncio.Task[None] | None = None  # likewise, as process 1
        self._renewing: asyncio.Task[None] | None = None  # likewise, with a certificate
        config = GuardedConfig(
            self.app,
            http=GuardedHttp if certificate is None else TlsDoor,
            backlog=ACCEPTED_AT_ONCE,
            log_level="warning",
            access_log=False,
            log_config=None if settings.log_json else LOGGING_CONFIG,  # None: its records go where logs.py sends them
            ws=GuardedWebSocket,
            ws_max_size=WS_MAX_SIZE_BYTES,
            ws_per_message_deflate=False,
            timeout_graceful_shutdown=CLOSE_WITHIN_S,
            server_header=False,
            proxy_headers=bool(settings.trusted_proxies),
            forwarded_allow_ips=with_mapped(settings.trusted_proxies),
            timeout_keep_alive=settings.keep_alive_s,
            h11_max_incomplete_event_size=MAX_HEADER_SECTION_BYTES,
        )
        config.guard = self._guard
        config.turns = Turns()
        if certificate is not None:
            config.tls = lambda: certificate.pair.context
        config.load()
        config.lifespan_class = AppLifespan
        super().__init__(config)

    @property
    def services(self) -> Services:
        """The application's services, available when it has started."""
        services = self.app.state.services
        assert isinstance(services, Services)
        return services

    @property
    def connections(self) -> ConnectionGuard:
        return self._guard

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Raises `AddressUnavailable` if another server has begun to listen at the address since we took it."""
        try:
            await super().startup(sockets)
        except OSError as error:
            if not self.lifespan.is_open:  # the application could not be opened
                raise
            await self.lifespan.shutdown()
            raise AddressUnavailable(f"Cannot listen at {self._url}: {error.strerror or error}") from error
        for listener in sockets or []:
            listener.listen(WAITING_CONNECTIONS)  # asyncio has set the kernel's queue to ACCEPTED_AT_ONCE
        self._sweeping = asyncio.create_task(self._guard.run())
        if self._certificate is not None:
            self._renewing = asyncio.create_task(self._certificate.run())
        if os.getpid() == 1:
            self._reaping = asyncio.create_task(Orphans().run())
        if not self.should_exit:
            await self.announce()

    async def announce(self) -> None:
        """Print the address. The first start in a terminal creates the first key, and prints an address that signs in
        once. Other output may be kept, as a log is, so it never has one.
        """
        accounts = self.services.accounts
        first = await accounts.create_first() if sys.stdout.isatty() else None
        code = None if first is None else await self.services.sign_ins.issue_code(first[0].id)
        _print(f"Visavis is at {self._url}/" + ("" if code is None else f"#code={code}"))
        if code is not None:
            _print("This address signs in once, within an hour; `visavis keys sign-in` makes another.")
            _print("`visavis keys create --name NAME` makes an API key for a program.")
        elif not await accounts.any_exists():
            _print("There is no API key yet; `visavis keys create --name NAME` makes one.")

    @property
    def broken(self) -> str | None:
        """The vital task that has failed, None if all run. Then the server stops."""
        return self.services.vitals.failed if self.started else None

    async def on_tick(self, counter: int) -> bool:
        """Uvicorn's hook, ten times a second: return whether to stop."""
        for name, task in self._tasks().items():
            if task is not None and task.done():
                log.error("task_failed", task=name, exc_info=None if task.cancelled() else task.exception())
                self.services.vitals.note(name)
        if self._settles and self.services.readiness.is_complete:
            self._settles = False
            keep_what_is_there()  # what the start has imported, opened and read
        if counter % TICKS_PER_LOOK == 0 and not self.should_exit and self._succession.is_awaited():
            self.hand_over()
        return await super().on_tick(counter) or self.broken is not None

    def _tasks(self) -> dict[str, asyncio.Task[None] | None]:
        return {"connections": self._sweeping, "orphans": self._reaping, "certificate": self._renewing}

    def hand_over(self) -> None:
        """Stop, and leave all sessions to the next server. May be called by a signal."""
        if not self.should_exit:
            self._hands_over = self.should_exit = True
            self._start_last_resort()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Uvicorn's hook for SIGTERM and SIGINT. The first signal stops the server; a second one cuts the drain short.
        The rest is bounded, and always done in order. In any case the process is over some time later.
        """
        self._forced = self.should_exit
        if not self._forced:
            super().handle_exit(sig, frame)
            self._start_last_resort()

    def _start_last_resort(self) -> None:
        last_resort = threading.Timer(self._drain_s + STOP_WITHIN_S, _give_up)
        last_resort.daemon = True
        last_resort.start()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        if self._hands_over:
            self.services.server_lease.keep()
            await self._leave_sessions(sockets or [])
        elif await self.services.server_lease.has_others():
            await self._leave_sessions(sockets or [])
            await self.services.server_lease.leave()
        else:
            self.services.fleet.leave()
            await drain(self.services.live, within_s=self._drain_s, is_forced=lambda: self._forced)
        await super().shutdown(sockets)
        for task in self._tasks().values():
            if task is not None:
                task.cancel()

    async def _leave_sessions(self, sockets: list[socket.socket]) -> None:
        """Leave all sessions to the next server, or to the others of a fleet. New connections go there from the
        beginning.
        """
        log.info("server_hands_over", sessions=len(self.services.live.table.running))
        for server in self.servers:
            server.close()
        for listener in sockets:
            listener.close()
        await hand_over(self.services.live, self.services.conversations)
        await self.services.fleet.let_go()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """As uvicorn does, but do not raise the signals again after the shutdown: then the process ends in order."""
        with super().capture_signals():
            if threading.current_thread() is threading.main_thread():
                signal.signal(signals.HAND_OVER, lambda _number, _frame: self.hand_over())
            try:
                yield
            finally:
                self._captured_signals.clear()


def _print(line: str) -> None:
    with suppress(OSError):  # a full disk behind stdout keeps nobody from being served
        print(line, flush=True)


def _give_up() -> None:
    os.write(2, b"visavis: The server did not stop in time, so it ends at once [SERVER_BROKEN]\n")
    os._exit(1)


class RunningServer:
    """A server in a thread, on any free port. Entering the context returns when it accepts connections.

    with RunningServer(Settings(data_dir=folder)) as server:
        httpx.get(server.base_url + "/healthz")
    """

    def __init__(
        self, settings: Settings, *, fleet: Fleet | None = None, prepare: Prepare = prepare_with_engine, port: int = 0
    ) -> None:
        self._settings = settings
        self._storage = ExitStack()  # holds the data folder from entering to leaving
        self._listener = _listen("127.0.0.1", port)
        certificate = certificate_of(settings)
        self._server = _SilentServer(settings, self._listener, fleet, prepare, certificate)
        self._started = self._server.has_started
        self._problem: VisavisError | None = None  # why it did not start
        self._thread = threading.Thread(target=self._run, name="visavis-server")
        self.base_url = url_of(self._listener, certificate)

    def _run(self) -> None:
        try:
            self._server.run(sockets=[self._listener])
        except VisavisError as error:  # it could not start; then __enter__ raises
            self._problem = error
        finally:
            self._started.set()

    def __enter__(self) -> RunningServer:
        try:
            self._storage.enter_context(_owned_storage(self._settings))
        except BaseException:
            self._listener.close()
            raise
        self._thread.start()
        self._started.wait()
        if not self._server.started:
            self.__exit__(None, None, None)
            why = "" if self._problem is None else f": {self._problem.message}"
            raise ServerNotStarted(f"The server did not start{why}") from self._problem
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.should_exit = True
        self._thread.join()
        self._listener.close()
        self._storage.close()

    @property
    def services(self) -> Services:
        return self._server.services

    @property
    def connections(self) -> ConnectionGuard:
        return self._server.connections

    @property
    def api_key(self) -> str:
        """The first key, which this start has created. Raises `KeyNotFound` if an earlier start has created one."""
        key = self._server.first_key
        if key is None:
            raise KeyNotFound(
                "An earlier start has created the first key", suggestion="`visavis keys create` makes another"
            )
        return key


class _SilentServer(Server):
    """A server that sets `has_started` instead of printing its address."""

    def __init__(
        self,
        settings: Settings,
        listener: socket.socket,
        fleet: Fleet | None,
        prepare: Prepare,
        certificate: RenewedPair | None,
    ) -> None:
        super().__init__(settings, listener, fleet, prepare, certificate=certificate)
        self._drain_s = 0.0  # whoever leaves the context waits for nobody
        self.has_started = threading.Event()
        self.first_key: str | None = None  # set before `has_started`, if this is the folder's first start

    async def announce(self) -> None:
        first = await self.services.accounts.create_first()
        self.first_key = None if first is None else first[1]
        self.has_started.set()
