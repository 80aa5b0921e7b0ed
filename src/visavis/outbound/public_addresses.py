"""Tells the addresses of the public internet from all others.

The networks are those of IANA's registries of special-purpose addresses (as of July 2026). Python's own `is_global` is
not asked: that of 3.11 takes parts of 192.0.0.0/24, 64:ff9b:1::/48 and fec0::/10 for public.
"""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

Address = IPv4Address | IPv6Address

_SPECIAL_V4 = tuple(
    IPv4Network(network)
    for network in (
        "0.0.0.0/8",  # this network
        "10.0.0.0/8",  # private
        "100.64.0.0/10",  # shared: carriers, and the metadata of one cloud
        "127.0.0.0/8",  # loopback
        "168.63.129.16/32",  # in no registry: the metadata of Azure, from inside it
        "169.254.0.0/16",  # link-local, and the metadata of most clouds
        "172.16.0.0/12",  # private
        "192.0.0.0/24",  # protocol assignments
        "192.0.2.0/24",  # documentation
        "192.88.99.0/24",  # relays of 6to4, deprecated
        "192.168.0.0/16",  # private
        "198.18.0.0/15",  # benchmarking
        "198.51.100.0/24",  # documentation
        "203.0.113.0/24",  # documentation
        "224.0.0.0/4",  # multicast
        "240.0.0.0/4",  # reserved, and broadcast
    )
)
_GLOBAL_V6 = IPv6Network("2000::/3")  # all that is given out as global unicast (RFC 4291, section 2.4)
_SPECIAL_V6 = tuple(
    IPv6Network(network)
    for network in (
        "2001::/23",  # protocol assignments, and Teredo
        "2001:db8::/32",  # documentation
        "2002::/16",  # 6to4, deprecated: another form of any IPv4 address
        "3fff::/20",  # documentation
    )
)
_NAT64 = IPv6Network("64:ff9b::/96")  # how an IPv6-only network reaches IPv4 (RFC 6052)


def is_public(address: Address) -> bool:
    """Whether the address belongs to the public internet. An IPv4 address behind NAT64 counts as itself."""
    if isinstance(address, IPv4Address):
        return not any(address in network for network in _SPECIAL_V4)
    if address in _NAT64:
        return is_public(IPv4Address(int(address) & 0xFFFFFFFF))
    return address in _GLOBAL_V6 and not any(address in network for network in _SPECIAL_V6)
