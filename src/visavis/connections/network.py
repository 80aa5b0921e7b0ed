"""Whom an address stands for, where clients are counted by their addresses."""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import IPv4Network, IPv6Address, ip_address, ip_network


def network_of(address: str) -> str:
    """Return an IPv4 address as it is, and of an IPv6 address its /64: whoever has one address of it has all of them.

    A socket that takes both shows IPv4 clients as ::ffff:192.0.2.1; these stand for themselves.
    """
    try:
        ip = ip_address(address)
    except ValueError:  # no address is known
        return address
    if not isinstance(ip, IPv6Address):
        return str(ip)
    if ip.ipv4_mapped is not None:
        return str(ip.ipv4_mapped)
    return str(IPv6Address(int(ip) >> 64 << 64))


def with_mapped(networks: Iterable[str]) -> list[str]:
    """Return addresses and networks, and those of IPv4 also as a socket that takes both families shows them."""
    found = list(networks)
    for text in list(found):
        network = ip_network(text, strict=False)
        if isinstance(network, IPv4Network):
            found.append(f"::ffff:{network.network_address}/{96 + network.prefixlen}")
    return found


def is_loopback(text: str) -> bool:
    """Whether a text is an address of loopback."""
    try:
        address = ip_address(text)
    except ValueError:
        return False
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return (mapped or address).is_loopback
