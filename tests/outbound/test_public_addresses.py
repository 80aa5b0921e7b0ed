"""Which addresses are public: every entry of IANA's registries, and what hides in others."""

from __future__ import annotations

from ipaddress import ip_address, ip_network

import pytest

from visavis.outbound.public_addresses import is_public

# IANA's registries of special-purpose addresses, July 2026: iana-ipv4-special-registry-1.csv and
# iana-ipv6-special-registry-1.csv, columns "Address Block" and "Globally Reachable" ("" for deprecated blocks).
REGISTRY = """
0.0.0.0/8 False
0.0.0.0/32 False
10.0.0.0/8 False
100.64.0.0/10 False
127.0.0.0/8 False
169.254.0.0/16 False
172.16.0.0/12 False
192.0.0.0/24 False
192.0.0.0/29 False
192.0.0.8/32 False
192.0.0.9/32 True
192.0.0.10/32 True
192.0.0.170/32 False
192.0.0.171/32 False
192.0.2.0/24 False
192.31.196.0/24 True
192.52.193.0/24 True
192.88.99.0/24
192.88.99.2/32 False
192.168.0.0/16 False
192.175.48.0/24 True
198.18.0.0/15 False
198.51.100.0/24 False
203.0.113.0/24 False
240.0.0.0/4 False
255.255.255.255/32 False
::1/128 False
::/128 False
::ffff:0:0/96 False
64:ff9b::/96 True
64:ff9b:1::/48 False
100::/64 False
100:0:0:1::/64 False
2001::/23 False
2001::/32 N/A
2001:1::1/128 True
2001:1::2/128 True
2001:1::3/128 True
2001:2::/48 False
2001:3::/32 True
2001:4:112::/48 True
2001:10::/28
2001:20::/28 True
2001:30::/28 True
2001:db8::/32 False
2002::/16 N/A
2620:4f:8000::/48 True
3fff::/20 False
5f00::/16 False
fc00::/7 False
fe80::/10 False
"""
ENTRIES = [tuple((line + " ").split(" ")[:2]) for line in REGISTRY.split("\n") if line]
# Reachable by the registry, and refused by us: services of the network itself live here, and no images.
PROTOCOL_ASSIGNMENTS = ("192.0.0.0/24", "2001::/23")


def addresses(block: str) -> list[str]:
    """Return the first address of a block, the last, and one in the middle."""
    network = ip_network(block)
    return [str(network[place]) for place in {0, network.num_addresses // 2, network.num_addresses - 1}]


@pytest.mark.parametrize(("block", "reachable"), ENTRIES, ids=[block for block, _ in ENTRIES])
def test_every_entry_of_the_registries_is_judged_as_they_say(block: str, reachable: str) -> None:
    network = ip_network(block)
    assigned = any(
        network.version == ip_network(b).version and network[0] in ip_network(b) for b in PROTOCOL_ASSIGNMENTS
    )
    if block == "64:ff9b::/96":
        return  # judged by the IPv4 address inside, see below
    for address in addresses(block):
        assert is_public(ip_address(address)) is (reachable == "True" and not assigned), address


@pytest.mark.parametrize(
    "address",
    [
        "168.63.129.16", "100.100.100.200",  # the metadata of clouds
        "224.0.0.1", "239.255.255.255", "ff02::1", "ff0e::1",  # multicast
        "fec0::1", "feff::1",  # site-local, deprecated
        "::127.0.0.1", "::ffff:127.0.0.1", "::ffff:8.8.8.8", "2002:7f00:1::", "64:ff9b::7f00:1", "64:ff9b::a00:1",
        "64:ff9b::a83f:8110", "64:ff9b:1::808:808",  # IPv4 addresses in another form
        "1::1", "4000::1", "a000::1", "e000::1",  # space that nobody was given
    ],
)  # fmt: skip
def test_other_addresses_that_are_not_public(address: str) -> None:
    assert not is_public(ip_address(address))


@pytest.mark.parametrize(
    "address",
    ["8.8.8.8", "1.1.1.1", "100.63.255.255", "100.128.0.0", "168.63.129.17", "192.0.1.0", "198.20.0.0",
     "2606:4700:4700::1111", "2001:200::1", "2620:fe::fe", "64:ff9b::808:808"],
)  # fmt: skip
def test_the_internets_addresses_are(address: str) -> None:
    assert is_public(ip_address(address))
