"""That clients' addresses are hidden is noticed once, and only where it is so."""

from __future__ import annotations

import pytest

from visavis.connections.addresses import ENOUGH, AddressWatch, gateways_of

GATEWAY, OWN, CLIENT = "10.88.0.1", "10.0.2.100", "203.0.113.7"

# /proc/net/route and /proc/net/ipv6_route of a container, as Linux 6.1 shows them
ROUTES = """\
Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT
eth0\t00000000\t0100580A\t0003\t0\t0\t100\t00000000\t0\t0\t0
eth0\t0000580A\t00000000\t0001\t0\t0\t100\t0000FFFF\t0\t0\t0
wg0\t00000000\t00000000\t0001\t0\t0\t200\t00000080\t0\t0\t0
"""
ROUTES_V6 = """\
fd000000000000000000000000000000 40 00000000000000000000000000000000 00 00000000000000000000000000000000 00000100 \
00000001 00000000 00000001     eth0
00000000000000000000000000000000 00 00000000000000000000000000000000 00 fd000000000000000000000000000001 00000064 \
00000004 00000000 00000003     eth0
00000000000000000000000000000000 00 00000000000000000000000000000000 00 00000000000000000000000000000000 ffffffff \
00000001 00000000 00200200       lo
"""


def seen(*addresses: str) -> list[bool]:
    watch = AddressWatch(frozenset({GATEWAY}))
    return [watch.saw(address, own_address=OWN) for address in addresses]


def test_the_gateways_of_default_routes_are_read() -> None:
    assert gateways_of(ROUTES, ROUTES_V6) == {GATEWAY, "fd00::1"}
    assert gateways_of("", "") == frozenset()


@pytest.mark.parametrize("forwarder", [GATEWAY, OWN, f"::ffff:{GATEWAY}"])
def test_many_connections_from_a_forwarder_alone_are_told_once(forwarder: str) -> None:
    told = seen(*[forwarder] * (3 * ENOUGH))
    assert told.index(True) == ENOUGH - 1 and sum(told) == 1


def test_checks_of_the_machine_itself_change_nothing() -> None:
    assert sum(seen(*["127.0.0.1", "::1", GATEWAY, "unknown"] * ENOUGH)) == 1


@pytest.mark.parametrize(
    "addresses",
    [
        [CLIENT] * ENOUGH,  # one client of the network
        [CLIENT, *[GATEWAY] * ENOUGH],
        [GATEWAY, CLIENT, *[GATEWAY] * ENOUGH],
        [*[GATEWAY, OWN] * ENOUGH],
        ["127.0.0.1"] * ENOUGH,
        [GATEWAY] * (ENOUGH - 1),
    ],
)
def test_nothing_is_told_where_it_is_not_certain(addresses: list[str]) -> None:
    assert not any(seen(*addresses))
