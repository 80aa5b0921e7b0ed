"""The stage process: listens for servers and performs their sessions.

A server starts it on its own machine as `python -m visavis.stage --listen unix:PATH --data DIR`, with the token on its
standard input; the supervisor of a machine that is in a fleet (visavis/supervisor) with a port, a certificate and a
cache instead. An operator starts one alone for servers on other machines by `visavis stage`, with the token in a file.
Everything else comes in a server's first message. A stage knows no accounts, no database and no plans.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import gc
import os
import sys
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

import structlog

from visavis import signals
from visavis.engine.child_process import forbid_core_dumps
from visavis.errors import AddressUnavailable, SourceUnusable
from visavis.logs import configure_logs
from visavis.machine.network import MediaNetwork, read_network
from visavis.machine.process_memory import refuse_huge_pages, share_one_arena
from visavis.rooms.webrtc.media_ports import close_media_ports, open_media_ports
from visavis.stage.fence import Fence, now_ns
from visavis.stage.parts import BUILT_IN, Parts, load_parts
from visavis.stage.port.address import Address
from visavis.stage.port.connection import listening
from visavis.stage.port.messages import FolderSource, HttpSource
from visavis.stage.servers import Servers
from visavis.stage.sources import FolderPackSource, HttpPackSource, PackSource
from visavis.stage.stage import Stage
from visavis.stage.turns import RestSelector
from visavis.stage.work_marks import WorkMarks
from visavis.tls.renewal import RenewedPair

CONNECT_WITHIN_S = 30.0  # a stage ends if the server that started it does not connect within this time
END_WITHIN_S = 2.0

log = structlog.get_logger("visavis.stage")


@dataclass(frozen=True, slots=True, kw_only=True)
class StageOptions:
    """How to run a stage. `data`: the service's data folder, for a stage on the service's machine. `cache`: the folder
    for packs that are fetched over HTTP. `exit_without_servers`: end when no server is connected or owns a session.
    `network`: that of its media; None: each viewer gets sockets of its own. `marks`: the descriptor of the memory for
    `WorkMarks`. `fence`: that of the memory for `Fence`.
    """

    address: Address
    token: str
    data: Path | None = None
    cache: Path | None = None
    tls_cert: Path | None = None
    tls_key: Path | None = None
    parts: str = BUILT_IN
    exit_without_servers: bool = False
    network: MediaNetwork | None = None
    marks: int | None = None
    fence: int | None = None


class _StageOver(Exception):
    """Raised in the task group to cancel all tasks of the stage."""


async def serve_stage(
    options: StageOptions, parts: Parts, announce: Callable[[Address], None], *, rest: RestSelector | None = None
) -> None:
    """Listen and perform until SIGTERM or SIGINT, or with `exit_without_servers` until the last server has left. Calls
    `announce` with the address in use when servers can connect. `rest`: the selector of this event loop.

    Raises OSError for an address that cannot be used, `SettingInvalid` for a certificate that cannot be used, and
    `AddressUnavailable` if no UDP port for media is free.
    """

    def open_source(source: FolderSource | HttpSource) -> PackSource:
        if isinstance(source, HttpSource) and options.cache is not None:
            return HttpPackSource(
                url=source.url, token=source.token, cache=options.cache, authority_pem=source.authority_pem
            )
        if isinstance(source, FolderSource) and options.data is not None:
            return FolderPackSource(options.data)
        raise SourceUnusable("This stage cannot use the pack source that the server names")

    certificate: RenewedPair | None = None
    if options.address.path is None:
        assert options.tls_cert is not None and options.tls_key is not None
        certificate = RenewedPair(options.tls_cert, options.tls_key)
    over = asyncio.Event()
    if not options.exit_without_servers:  # else its server ends it
        for number in signals.ENDING_SERVICE:
            asyncio.get_running_loop().add_signal_handler(number, over.set)

    def heard_ns() -> int:
        return now_ns() if rest is None or not rest.idle_ns else rest.idle_ns

    unavailable: OSError | None = None
    if options.network is not None:
        await open_media_ports(options.network)
    try:
        async with asyncio.TaskGroup() as tasks:
            folder, marks = options.data or options.cache, WorkMarks.at(options.marks)
            fence = None if options.fence is None else Fence.at(options.fence)
            stage = Stage(parts=parts, tasks=tasks, rest=rest, folder=folder, marks=marks, fence=fence)
            servers = Servers(stage=stage, token=options.token, open_source=open_source, tasks=tasks, heard_ns=heard_ns)
            tasks.create_task(stage.run())
            tasks.create_task(stage.reporting.run(servers.send_report))
            if certificate is not None:
                tasks.create_task(certificate.run())
            async with AsyncExitStack() as open_until_over:
                tls = None if certificate is None else certificate.context()
                listener = listening(options.address, servers.serve, tls=tls)
                try:
                    announce(await open_until_over.enter_async_context(listener))
                except OSError as error:
                    unavailable = error
                    raise _StageOver from None
                if options.exit_without_servers:
                    tasks.create_task(_end_without_servers(servers, over))
                await over.wait()
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(END_WITHIN_S):
                        await stage.end_all()
            raise _StageOver
    except* _StageOver:
        pass
    finally:
        await close_media_ports()
    if unavailable is not None:
        raise unavailable


async def _end_without_servers(servers: Servers, over: asyncio.Event) -> None:
    if not await servers.wait_for_first(CONNECT_WITHIN_S):
        log.error("no_server_connected", within_s=CONNECT_WITHIN_S)
    await servers.no_servers.wait()
    over.set()


def run_stage(options: StageOptions, announce: Callable[[Address], None]) -> None:
    """Load the parts and run a stage in this process."""
    forbid_core_dumps()
    refuse_huge_pages()
    share_one_arena()
    parts = load_parts(options.parts)
    gc.collect()
    gc.freeze()  # the loaded modules stay in memory: later collections skip them and take a millisecond
    rest = RestSelector(notes_idle=options.fence is not None)
    with asyncio.Runner(loop_factory=lambda: asyncio.SelectorEventLoop(rest)) as runner:
        runner.run(serve_stage(options, parts, announce, rest=rest))


def main() -> None:
    """Run a stage that a server or a supervisor on this machine starts. The first line of standard input is its
    token.
    """
    forbid_core_dumps()
    arguments = argparse.ArgumentParser(prog="visavis.stage")
    arguments.add_argument("--listen", type=Address.parse, required=True, help="unix:PATH or wss://HOST:PORT")
    folder = arguments.add_mutually_exclusive_group(required=True)
    folder.add_argument("--data", type=Path, help="the service's data folder")
    folder.add_argument("--cache", type=Path, help="the folder for packs that are fetched")
    arguments.add_argument("--tls-cert", type=Path, help="the certificate for wss, PEM")
    arguments.add_argument("--tls-key", type=Path, help="its private key, PEM")
    arguments.add_argument(
        "--parts", default=BUILT_IN, help="module:function that returns the renderer and the speech-to-motion to use"
    )
    arguments.add_argument("--network", type=read_network, help="the network of media, as JSON")
    arguments.add_argument("--marks", type=int, help="the descriptor of the memory for marks of work")
    arguments.add_argument("--fence", type=int, help="the descriptor of the memory that says when the lease held")
    arguments.add_argument("--log-level", default="info")
    arguments.add_argument("--log-json", action="store_true")
    given = arguments.parse_args()
    configure_logs(level=given.log_level, as_json=given.log_json)
    token = sys.stdin.readline().strip()
    to_server = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # the server reads one line from stdout; what a library prints goes to stderr
    options = StageOptions(
        address=given.listen,
        token=token,
        data=given.data,
        cache=given.cache,
        tls_cert=given.tls_cert,
        tls_key=given.tls_key,
        parts=given.parts,
        exit_without_servers=True,
        network=given.network,
        marks=given.marks,
        fence=given.fence,
    )
    try:
        run_stage(options, lambda address: print(address, file=to_server, flush=True))
    except AddressUnavailable as error:
        log.error("stage_not_started", code=error.code, problem=error.message)
        sys.exit(1)
    except BrokenPipeError:  # nobody reads where the stage listens
        log.error("stage_not_started", problem="The server that started this stage is gone")
        os._exit(1)  # the interpreter would try once more to write that line
    except OSError as error:
        log.error("stage_not_started", problem=f"Cannot listen at {given.listen}: {error.strerror or error}")
        sys.exit(1)
