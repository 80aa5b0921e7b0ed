"""Notices that something in front of the server hides the addresses of its clients, as forwarders of containers without
root do. Then limits for one address count all clients together, and the operator should know.
"""

from __future__ import annotations

import socket
from ipaddress import IPv4Address, IPv6Address, ip_address
from pathlib import Path

ENOUGH = 64  # connections, of which all came from one address
_ROUTES, _ROUTES_V6 = Path("/proc/net/route"), Path("/proc/net/ipv6_route")


class AddressWatch:
    """Sees the address of every connection. `gateways`: the addresses of this machine's default routes.

    A forwarder has an address of this machine or of its gateway; clients of the network have others. Loopback says
    nothing: checks of the machine itself come from there, and so do proxies, which are a setting.
    """

    def __init__(self, gateways: frozenset[str]) -> None:
        self._gateways = gateways
        self._forwarder: str | None = None  # the only address so far
        self._count = 0
        self._over = False

    def saw(self, address: str, *, own_address: str) -> bool:
        """Note a connection to `own_address`. Return True once: when it is certain enough that addresses are hidden."""
        address = _plain(address)
        if self._over or _is_loopback(address):
            return False
        if address not in self._gateways | {_plain(own_address)} or self._forwarder not in (None, address):
            self._over = True  # clients have addresses of their own
            return False
        self._forwarder = address
        self._count += 1
        self._over = self._count >= ENOUGH
        return self._over


def default_gateways() -> frozenset[str]:
    """Return the addresses of this machine's default routes; none where the system does not tell."""
    tables = [path.read_text() if path.exists() else "" for path in (_ROUTES, _ROUTES_V6)]
    return gateways_of(*tables)


def gateways_of(routes: str, routes_v6: str) -> frozenset[str]:
    """Return the gateways of the default routes. The arguments: Linux's /proc/net/route and /proc/net/ipv6_route."""
    found: set[str] = set()
    for line in routes.splitlines()[1:]:
        columns = line.split()
        if len(columns) > 7 and columns[1] == columns[7] == "00000000" and columns[2] != "00000000":
            found.add(socket.inet_ntoa(bytes.fromhex(columns[2])[::-1]))
    for line in routes_v6.splitlines():
        columns = line.split()
        if len(columns) > 4 and columns[0] == "0" * 32 and columns[1] == "00" and columns[4] != "0" * 32:
            found.add(str(IPv6Address(bytes.fromhex(columns[4]))))
    return frozenset(found)


def _plain(address: str) -> str:
    """Return an IPv4 address that is mapped to IPv6 as IPv4, and no zone; any other text as it is."""
    address = address.partition("%")[0]
    try:
        ip: IPv4Address | IPv6Address = ip_address(address)
    except ValueError:
        return address
    mapped = ip.ipv4_mapped if isinstance(ip, IPv6Address) else None
    return str(ip if mapped is None else mapped)


def _is_loopback(address: str) -> bool:
    try:
        return ip_address(address).is_loopback
    except ValueError:
        return True  # no address at all
