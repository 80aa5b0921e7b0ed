"""Whom an address stands for, and that every limit by address asks so."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest

from tests.conftest import open_service
from visavis.connections.guard import ConnectionGuard
from visavis.connections.network import network_of, with_mapped
from visavis.connections.table import Limits, Phase
from visavis.errors import TooManyOffers
from visavis.sessions.joining import MAX_WAITING_PER_ADDRESS, Joining


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("2001:db8:1:2::1", "2001:db8:1:2::"),
        ("2001:db8:1:2:ffff:ffff:ffff:ffff", "2001:db8:1:2::"),
        ("fe80::1%eth0", "fe80::"),
        ("unknown", "unknown"),
    ],
)
def test_a_network(address: str, network: str) -> None:
    assert network_of(address) == network


class Connection:
    is_dropped = False

    def drop(self, phase: Phase) -> None:
        self.is_dropped = True


@pytest.mark.parametrize(
    ("pattern", "is_one"), [("2001:db8::{}", True), ("::ffff:192.0.2.{}", False), ("192.0.2.{}", False)]
)
def test_limits_of_connections_and_of_offers_count_networks(pattern: str, is_one: bool) -> None:
    guard = ConnectionGuard(Limits(most=100, most_per_address=8, most_sockets=8))
    connections = [Connection() for _ in range(MAX_WAITING_PER_ADDRESS + 1)]
    joining, refused = Joining(), False
    for number, connection in enumerate(connections, 1):
        guard.opened(connection, pattern.format(number))
        try:
            joining.begin(f"viewer {number}", pattern.format(number), now_s=0.0)
        except TooManyOffers:
            refused = True
    assert connections[0].is_dropped is is_one and refused is is_one


@pytest.mark.anyio
async def test_wrong_keys_are_counted_by_network(tmp_path: Path) -> None:
    async with open_service(tmp_path, rate_limit_per_minute=5) as service:

        async def ask(address: str) -> int:
            transport = httpx.ASGITransport(service.app, client=(address, 1234))
            async with httpx.AsyncClient(transport=transport, base_url="http://visavis.test") as http:
                return (await http.get("/v1/sessions", headers={"x-api-key": "wrong"})).status_code

        assert [await ask(f"2001:db8::{number}") for number in range(7)] == [401] * 5 + [429] * 2
        assert await ask("2001:db8:0:1::1") == 401
        assert [await ask(f"::ffff:192.0.2.{number}") for number in range(7)] == [401] * 7


def test_proxies_of_ipv4_are_also_known_as_a_socket_of_both_families_shows_them() -> None:
    assert with_mapped(["127.0.0.1", "10.1.2.0/24", "fd00::/8"]) == [
        "127.0.0.1",
        "10.1.2.0/24",
        "fd00::/8",
        "::ffff:127.0.0.1/128",
        "::ffff:10.1.2.0/120",
    ]
