"""The lease of this server among those that share its database (store/leases.py): taken at the start, renewed twice a
second, left at the end. With SQLite there is none, and nothing is written.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio
import structlog

from visavis.errors import StorageUnusable
from visavis.store.database import Database
from visavis.store.leases import RENEW_EVERY_S, Lease, Leases

GONE_AFTER_MS = 20_000  # a server that has not renewed its lease for so long grants no share of limits

log = structlog.get_logger()


class ServerLease:
    """See `held`. `run` renews it until cancelled."""

    def __init__(self, leases: Leases | None, lease: Lease | None) -> None:
        self._leases, self._lease = leases, lease
        self._failed = False  # since the last renewal that succeeded

    @classmethod
    @asynccontextmanager
    async def held(cls, database: Database, *, server_id: str) -> AsyncIterator[ServerLease]:
        """Hold the lease inside this context. Raises `StorageUnusable` if it cannot be taken."""
        if not database.is_shared:
            yield cls(None, None)
            return
        beside = database.beside()
        try:
            leases = Leases.of_servers(beside)
            await leases.forget()
            held = cls(leases, await leases.take(server_id))
            try:
                yield held
            finally:
                await held._leave()
        finally:
            await beside.aclose()

    async def run(self) -> None:
        while self._leases is not None and self._lease is not None:
            await anyio.sleep(RENEW_EVERY_S)
            try:
                if not await self._leases.renew(self._lease):
                    log.warning("server_lease_lost", server=self._lease.id, epoch=self._lease.epoch)
                    self._lease = await self._leases.take(self._lease.id)
            except StorageUnusable as error:  # sessions go on, and nobody can take them
                if not self._failed:
                    log.warning("server_lease_not_renewed", problem=error.message)
                self._failed = True
            else:
                self._failed = False

    async def count_servers(self) -> int:
        """Return how many servers grant the limits together, this one too."""
        if self._leases is None:
            return 1
        return max(1, await self._leases.count(seen_within_ms=GONE_AFTER_MS))

    async def _leave(self) -> None:
        if self._leases is not None and self._lease is not None:
            try:
                await self._leases.leave(self._lease)
            except StorageUnusable as error:  # it lapses by itself
                log.warning("server_lease_not_left", problem=error.message)
