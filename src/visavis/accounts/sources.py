"""Source addresses: from where an API key may be used. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import IPv6Address, ip_address, ip_network


def parse_source(text: str) -> str:
    """Return an address or a network (203.0.113.7, 203.0.113.0/24, 2001:db8::/32) as it is stored: as a network. Raises
    ValueError.
    """
    return str(ip_network(text.strip(), strict=False))


def is_allowed(address: str, sources: Iterable[str]) -> bool:
    """Return whether the address lies in one of these networks. An address that is unknown lies in none.

    A socket that takes both shows IPv4 clients as ::ffff:192.0.2.1.
    """
    try:
        ip = ip_address(address)
    except ValueError:
        return False
    if isinstance(ip, IPv6Address) and ip.ipv4_mapped is not None:
        ip = ip.ipv4_mapped
    return any(ip in ip_network(source) for source in sources)
