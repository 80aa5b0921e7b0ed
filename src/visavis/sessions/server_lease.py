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
        self._failed = False  # since the last renewal that the database has answered
        self._lost = False  # this server does not hold the lease now

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

    @property
    def lease(self) -> Lease:
        """What this server holds. Only where servers share a database."""
        assert self._lease is not None
        return self._lease

    async def run(self) -> None:
        """Renew it. If others have ended it while this server slept, take it again; but not from another server of this
        name, to which this one is being handed over.
        """
        while self._leases is not None and self._lease is not None:
            await anyio.sleep(RENEW_EVERY_S)
            try:
                self._lease = await self._renewed(self._leases, self._lease)
            except StorageUnusable as error:  # sessions go on, and nobody can take them
                if not self._failed:
                    log.warning("server_lease_not_renewed", problem=error.message)
                self._failed = True
            else:
                self._failed = False

    async def _renewed(self, leases: Leases, lease: Lease) -> Lease:
        """Return what this server holds now. Raises `StorageUnusable`."""
        if not self._lost and await leases.renew(lease):
            return lease
        if not self._lost:
            log.warning("server_lease_lost", server=lease.id, epoch=lease.epoch)
        self._lost = True
        again = await leases.take_again(lease)
        if again is None:  # a successor has it
            return lease
        self._lost = False
        log.info("server_lease_taken_again", server=lease.id, epoch=again.epoch)
        return again

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
