"""Stages on other machines. They listen; this server connects to them over WebSockets with TLS and a token."""

from __future__ import annotations

import secrets
import ssl
from pathlib import Path

import structlog

from visavis.errors import PerformerLost, StageRejected, StageUnreachable
from visavis.fleet.link import StageLink
from visavis.rooms.spec import IceServer
from visavis.stage.port.address import Address
from visavis.stage.port.messages import PORT_VERSION, Hello, HttpSource

SILENT_S = 10.0  # twice that of a stage on this machine: packets may be lost on the way
OWNER_GRACE_S = 15.0  # how long a stage keeps this server's sessions after the connection is lost

log = structlog.get_logger("visavis.fleet")


class RemoteStage:
    """A stage on another machine. `aclose` closes the connection; the stage keeps running."""

    def __init__(self, link: StageLink, *, silent_s: float) -> None:
        self.link, self.silent_s = link, silent_s

    @property
    def name(self) -> str:
        return str(self.link.address)

    def kill(self) -> None:
        self.link.abort()

    async def aclose(self) -> None:
        await self.link.aclose()


class RemoteStages:
    """Implements `fleet.supply.StageSupply`: each address is one stage.

    `source`: where the stages get packs and pictures; its URL must be reachable from their machines. `ca_file`: the
    authority that has signed the stages' certificates; None for this machine's authorities. `silent_s`: the connection
    to a stage that is silent for so long is given up.
    """

    def __init__(
        self,
        *,
        addresses: tuple[Address, ...],
        token: str,
        source: HttpSource,
        ca_file: Path | None = None,
        ice_servers: tuple[IceServer, ...] = (),
        silent_s: float = SILENT_S,
    ) -> None:
        self._addresses = addresses
        self._tls = ssl.create_default_context(cafile=ca_file)
        self._hello = Hello(
            version=PORT_VERSION,
            token=token,
            server_id=secrets.token_hex(8),
            source=source,
            ice_servers=ice_servers,
            owner_grace_s=OWNER_GRACE_S,
        )
        self._silent_s = silent_s
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
            log.info("stage_connected", stage=str(address))
            return RemoteStage(link, silent_s=self._silent_s)
        raise PerformerLost("; ".join(problems) or "All stages are already connected")

    async def aclose(self) -> None:
        self._open.clear()
