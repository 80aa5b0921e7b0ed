"""Whom an address stands for, where clients are counted by their addresses."""

from __future__ import annotations

from ipaddress import IPv6Address, ip_address


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
