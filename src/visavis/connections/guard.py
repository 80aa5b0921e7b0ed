"""Keeps the connections of a server within their limits: every protocol reports here, and a sweep drops the overdue."""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import Callable
from itertools import count
from typing import Protocol

import structlog
import uvicorn

from visavis.connections.addresses import AddressWatch
from visavis.connections.network import network_of
from visavis.connections.table import ConnectionTable, Key, Limits, Phase
from visavis.connections.turns import Turns

SWEEP_EVERY_S = 1.0
REPORT_EVERY_S = 60.0  # dropped connections are counted, and told once in so long

log = structlog.get_logger()


class Guarded(Protocol):
    """A connection's protocol, as the guard sees it."""

    def drop(self, phase: Phase) -> None:
        """Close the connection for the guard's reasons: at once, without waiting for the other end."""
        ...


class ConnectionGuard:
    """One for each server. `run` sweeps until it is cancelled."""

    def __init__(self, limits: Limits, addresses: AddressWatch | None = None) -> None:
        """`addresses`: None where a proxy tells the addresses of clients."""
        self._table = ConnectionTable(limits)
        self._addresses = addresses
        self._open: dict[Key, Guarded] = {}
        self._keys = count(1)
        self._dropped = 0  # since the last report
        self._reported_s = 0.0

    def __len__(self) -> int:
        return len(self._table)

    def opened(self, connection: Guarded, address: str) -> Key:
        """Take in a new connection, which may be dropped at once; return what it calls itself in all that follows.

        A key that is over or was never given changes nothing.
        """
        key = next(self._keys)
        self._open[key] = connection
        self._drop(self._table.open(key, network_of(address), now_s=time.monotonic()), Phase.HEADER)
        return key

    def pass_on(self, key: Key, connection: Guarded) -> None:
        """The connection is in the hands of another protocol from now on."""
        if key in self._open:
            self._open[key] = connection

    def came(self, address: str, own_address: str) -> None:
        """A connection came from `address` to `own_address`."""
        if self._addresses is not None and self._addresses.saw(address, own_address=own_address):
            log.warning(
                "client_addresses_hidden",
                address=address,
                hint="All clients seem to come from this address, so limits for one address count them together. "
                "If it is a proxy, set VISAVIS_TRUSTED_PROXIES",
            )

    def enter(self, key: Key, phase: Phase) -> None:
        """The connection does this from now on."""
        self._drop(self._table.enter(key, phase, now_s=time.monotonic()), phase)

    def received(self, key: Key, size_bytes: int) -> None:
        """So many bytes of a request came."""
        self._table.received(key, size_bytes)

    def prove(self, key: Key) -> None:
        """The connection has shown a valid key or token: it is not dropped for others any more."""
        self._table.prove(key)

    def unread(self, key: Key, is_unread: bool) -> None:
        """The other end has stopped, or begun again, to take what we send."""
        self._table.unread(key, now_s=time.monotonic() if is_unread else None)

    def closed(self, key: Key) -> None:
        self._open.pop(key, None)
        self._table.closed(key)

    def _drop(self, keys: list[Key], phase: Phase) -> None:
        for key in keys:
            connection = self._open.pop(key, None)
            if connection is not None:
                self._dropped += 1
                connection.drop(phase)

    async def run(self) -> None:
        while True:
            await asyncio.sleep(SWEEP_EVERY_S)
            now_s = time.monotonic()
            for key, phase in self._table.overdue(now_s=now_s):
                self._table.closed(key)
                self._drop([key], phase)
            if self._dropped and now_s - self._reported_s > REPORT_EVERY_S:
                log.warning("connections_dropped", dropped=self._dropped, open=len(self._table))
                self._dropped, self._reported_s = 0, now_s


class GuardedConfig(uvicorn.Config):
    """Uvicorn's settings, with the guard that its protocols report to, and the turns in which they parse."""

    guard: ConnectionGuard
    turns: Turns
    tls: Callable[[], ssl.SSLContext] | None = None  # gives what the next handshake is made with; None: plain HTTP
