"""The lease of this server among those that share its database (store/leases.py): taken at the start, renewed twice a
second, left at the end. With SQLite there is none, and nothing is written.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import count

import anyio
import structlog

from visavis.errors import DataFolderInUse, StorageUnusable
from visavis.stage.fence import CUT_OFF_AFTER_NS, now_ns
from visavis.store.clock import CLOCKS_DIFFER_AT_MOST_S
from visavis.store.database import Database
from visavis.store.leases import LEASE_MS, LOOK_EVERY_S, RENEW_EVERY_S, Lease, Leases

# A process that did not run for so long has slept; others may have taken its sessions meanwhile.
PULSE_EVERY_S, SLEPT_NS = 0.1, 500_000_000
CHECK_EVERY_S = 0.02
GONE_AFTER_MS = 20_000  # a server that has not renewed its lease for so long grants no share of limits
NAME_FREE_WITHIN_S = LEASE_MS / 1000 + 1.0  # that of a server which has just died
CLOCK_EVERY = 120  # renewals

log = structlog.get_logger()


class ServerLease:
    """See `held`. `run` renews it until cancelled."""

    def __init__(self, leases: Leases | None, lease: Lease | None, address: str | None = None) -> None:
        self._leases, self._lease, self._address = leases, lease, address
        self._failed = False  # since the last renewal that the database has answered
        self._lost = False  # this server does not hold the lease now
        self._renewed_ns = 0  # when the renewal was asked for that has succeeded last
        self._checked_epoch = None if lease is None else lease.epoch  # see `checked`
        self._kept = self._left = False  # set by `keep` and `leave`
        self._pulse_ns = now_ns()  # when this process was last seen to run
        self._woke_ns: int | None = None  # set when it has slept, until the database has answered, or is away
        self._clock_told = False  # that this machine's clock is wrong

    @classmethod
    @asynccontextmanager
    async def held(
        cls, database: Database, *, server_id: str, address: str | None = None
    ) -> AsyncIterator[ServerLease]:
        """Hold the lease inside this context. `address`: where the other servers of a fleet reach this one. Raises
        `StorageUnusable` if it cannot be taken, and `DataFolderInUse` if a server at another address holds it: that
        one's data folder was copied.
        """
        if not database.is_shared:
            yield cls(None, None)
            return
        beside = database.beside()
        try:
            leases = Leases.of_servers(beside)
            await leases.forget()
            await _check_name(leases, server_id, address)
            asked_ns = now_ns()
            held = cls(leases, await leases.take(server_id, address=address), address)
            held._renewed_ns = asked_ns
            try:
                yield held
            finally:
                await held.leave()
        finally:
            await beside.aclose()

    @property
    def lease(self) -> Lease:
        """What this server holds. Only where servers share a database."""
        assert self._lease is not None
        return self._lease

    @property
    def owns_sessions(self) -> bool:
        """Whether no other server can have taken this one's sessions over, for what the database is not asked about:
        nobody can have ended the lease yet, because it was renewed within less than the time after which it lapses.
        """
        if self._leases is None:
            return True
        return not self.to_be_checked and now_ns() - self._renewed_ns < CUT_OFF_AFTER_NS

    async def until_certain(self) -> None:
        """Wait while others may have taken sessions of this server without its knowledge: it slept, and has not asked
        the database since, or has not looked whose its sessions are. While the database is away nobody takes any.
        """
        while self._is_uncertain():  # noqa: ASYNC110 (the renewal tells nobody)
            await anyio.sleep(CHECK_EVERY_S)

    def _is_uncertain(self) -> bool:
        if self._leases is None:
            return False
        self._note_pulse()
        slept = self._woke_ns is not None and now_ns() - self._renewed_ns >= CUT_OFF_AFTER_NS
        return slept or self.to_be_checked

    def _note_pulse(self) -> None:
        at_ns = now_ns()
        if at_ns - self._pulse_ns > SLEPT_NS:
            self._woke_ns = at_ns
        self._pulse_ns = at_ns

    async def _pulse(self) -> None:
        while True:
            self._note_pulse()
            await anyio.sleep(PULSE_EVERY_S)

    @property
    def to_be_checked(self) -> bool:
        """Whether the lease is another one than before: others may have taken sessions over since."""
        return self._leases is not None and self.lease.epoch != self._checked_epoch

    def checked(self, lease: Lease) -> None:
        """With this lease it is known which sessions are still this server's."""
        self._checked_epoch = lease.epoch

    async def end_lapsed(self) -> list[str]:
        """End the leases of servers that have not renewed them; return whose. Raises `StorageUnusable`."""
        return [] if self._leases is None else await self._leases.end_lapsed(self.lease)

    def keep(self) -> None:
        """Do not leave the lease at the end: the next server on this data folder takes it, or it lapses."""
        self._kept = True

    async def has_others(self) -> bool:
        """Whether other servers of a fleet live, which would take this one's sessions over. A database that is away
        tells of none.
        """
        if self._leases is None or self._address is None:
            return False
        try:
            return await self._leases.count(reached=True) > 1
        except StorageUnusable:
            return False

    async def run(self) -> None:
        """Renew it. If others have ended it while this server slept, take it again; but not from another server of this
        name, to which this one is being handed over.
        """
        if self._leases is None:
            return
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._pulse)
            await self._renew(self._leases)
            tasks.cancel_scope.cancel()

    async def _renew(self, leases: Leases) -> None:
        for number in count():
            if self._left:
                return
            await anyio.sleep(RENEW_EVERY_S)
            self._note_pulse()
            asked_ns = now_ns()
            try:
                self._lease = await self._renewed(leases, self.lease)
                if number % CLOCK_EVERY == 0:
                    self._note_clock(await leases.clock_ahead_s())
            except StorageUnusable as error:  # sessions go on, and nobody can take them
                if not self._failed:
                    log.warning("server_lease_not_renewed", problem=error.message)
                self._failed = True
            else:
                self._failed = False
            self._note_pulse()
            if self._woke_ns is not None and asked_ns >= self._woke_ns:
                self._woke_ns = None

    def _note_clock(self, ahead_s: float) -> None:
        is_wrong = abs(ahead_s) > CLOCKS_DIFFER_AT_MOST_S
        if is_wrong and not self._clock_told:
            log.error("server_clock_wrong", ahead_of_database_s=round(ahead_s, 1), allowed_s=CLOCKS_DIFFER_AT_MOST_S)
        self._clock_told = is_wrong

    async def _renewed(self, leases: Leases, lease: Lease) -> Lease:
        """Return what this server holds now. Raises `StorageUnusable`."""
        asked_ns = now_ns()
        if not self._lost and await leases.renew(lease):
            self._renewed_ns = asked_ns
            return lease
        if self._left:
            return lease
        if not self._lost:
            log.warning("server_lease_lost", server=lease.id, epoch=lease.epoch)
        self._lost = True
        again = await leases.take_again(lease, address=self._address)
        if again is None:  # a successor has it
            return lease
        self._lost, self._renewed_ns = False, asked_ns
        log.info("server_lease_taken_again", server=lease.id, epoch=again.epoch)
        return again

    async def count_servers(self) -> int:
        """Return how many servers grant the limits together, this one too."""
        if self._leases is None:
            return 1
        return max(1, await self._leases.count(seen_within_ms=GONE_AFTER_MS))

    async def leave(self) -> None:
        """End the lease, unless it is kept: others may take this server's sessions over. Idempotent."""
        if self._leases is not None and self._lease is not None and not self._kept:
            self._left = True
            try:
                await self._leases.leave(self._lease)
            except StorageUnusable as error:  # it lapses by itself
                log.warning("server_lease_not_left", problem=error.message)


async def _check_name(leases: Leases, server_id: str, address: str | None) -> None:
    """Raises `DataFolderInUse` if a server at another address has this name, and goes on."""
    until_s = anyio.current_time() + NAME_FREE_WITHIN_S
    while address is not None and (other := await leases.address_of_another(server_id, address=address)) is not None:
        if anyio.current_time() >= until_s:
            raise DataFolderInUse(
                f"The server at {other} has the same name: the data folder of one is a copy of the other's",
                suggestion="Remove server.json from the copy, or give this server a data folder of its own",
            )
        await anyio.sleep(LOOK_EVERY_S)
