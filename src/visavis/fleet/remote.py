"""Stages on other machines. They listen; this server connects to them over WebSockets with TLS and a token."""

from __future__ import annotations

import asyncio
import ssl
from pathlib import Path

import structlog

from visavis import __version__
from visavis.errors import PerformerLost, StageRejected, StageUnreachable
from visavis.fleet.identity import ServerIdentity
from visavis.fleet.link import StageLink
from visavis.fleet.suspects import LastWork
from visavis.rooms.spec import IceServer
from visavis.stage.port.address import Address
from visavis.stage.port.heartbeat import PING_EVERY_S
from visavis.stage.port.messages import OLDEST_PORT_VERSION, PORT_VERSION, Hello, HttpSource

SILENT_S = 10.0  # twice that of a stage on this machine: packets may be lost on the way
GRACE_S = 15.0
ADOPT_WITHIN_S = 5.0  # a stage that is alive answers at once, unless its machine is very busy

log = structlog.get_logger("visavis.fleet")


class RemoteStage:
    """A stage on another machine. `aclose` closes the connection; the stage keeps running."""

    def __init__(self, link: StageLink, *, silent_s: float) -> None:
        self.link, self.silent_s = link, silent_s
        self.lost = asyncio.Event()

    @property
    def name(self) -> str:
        return str(self.link.address)

    def kill(self) -> None:
        self.link.abort()

    async def last_work(self) -> LastWork:
        return LastWork()

    async def aclose(self) -> None:
        await self.link.aclose()


class RemoteStages:
    """Implements `fleet.supply.StageSupply`: each address is one stage.

    `source`: where the stages get packs and pictures; its URL must be reachable from their machines. `ca_file`: the
    authority that has signed the stages' certificates; None for this machine's authorities. `authority_pem`: the
    same as text. `identity`: who this server is to its stages. `silent_s`: the connection to a stage that is silent for
    so long is given up. `grace_s`: how long a stage keeps this server's sessions after the connection is lost.
    `ping_every_s`: how often a stage is asked whether it is alive, and hears this server.
    """

    def __init__(
        self,
        *,
        addresses: tuple[Address, ...],
        token: str,
        source: HttpSource,
        identity: ServerIdentity | None = None,
        ca_file: Path | None = None,
        authority_pem: str | None = None,
        ice_servers: tuple[IceServer, ...] = (),
        silent_s: float = SILENT_S,
        grace_s: float = GRACE_S,
        ping_every_s: float = PING_EVERY_S,
    ) -> None:
        identity = identity or ServerIdentity()
        self._addresses = addresses
        self._tls = ssl.create_default_context(cafile=ca_file, cadata=authority_pem)
        self._hello = Hello(
            version=PORT_VERSION,
            oldest=OLDEST_PORT_VERSION,
            program=__version__,
            token=token,
            server_id=identity.server_id,
            epoch=identity.epoch,
            source=source,
            ice_servers=ice_servers,
            owner_grace_s=grace_s,
            dropped_when_silent=True,
        )
        self._silent_s, self._ping_every_s = silent_s, ping_every_s
        self._open: dict[Address, StageLink] = {}

    @property
    def max_stages(self) -> int:
        return len(self._addresses)

    @property
    def max_local_stages(self) -> int:
        return 0

    async def open(self) -> RemoteStage:
        problems = []
        for address in self._addresses:
            known = self._open.get(address)
            if known is not None and known.alive:
                continue
            try:
                link = self._open[address] = await StageLink.connect(address, self._hello, tls=self._tls)
            except (StageUnreachable, StageRejected) as error:
                log.warning("stage_not_connected", stage=str(address), problem=error.message)
                problems.append(error.message)
                continue
            log.info("stage_connected", stage=str(address), port_version=link.version, program=link.program)
            return self._stage(link)
        raise PerformerLost("; ".join(problems) or "All stages are already connected")

    async def adopt(self) -> list[RemoteStage]:
        """See `StageSupply.adopt`. All stages that answer are connected, whether they hold sessions or not."""
        stages = await asyncio.gather(*(self._adopt(address) for address in self._addresses))
        return [stage for stage in stages if stage is not None]

    async def _adopt(self, address: Address) -> RemoteStage | None:
        try:
            link = await StageLink.connect(address, self._hello, tls=self._tls, within_s=ADOPT_WITHIN_S)
        except (StageUnreachable, StageRejected) as error:
            log.warning("stage_not_connected", stage=str(address), problem=error.message)
            return None
        log.info(
            "stage_connected",
            stage=str(address),
            sessions=len(link.held),
            port_version=link.version,
            program=link.program,
        )
        self._open[address] = link
        return self._stage(link)

    def _stage(self, link: StageLink) -> RemoteStage:
        link.ping_every_s = self._ping_every_s
        return RemoteStage(link, silent_s=self._silent_s)

    async def aclose(self) -> None:
        self._open.clear()
