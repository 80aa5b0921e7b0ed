"""Whether a request comes from a program on this machine, and not through a proxy on it."""

from __future__ import annotations

from ipaddress import IPv6Address, ip_address

from starlette.requests import Request

_FORWARDED = ("forwarded", "x-forwarded-for", "x-real-ip")


def comes_from_this_machine(request: Request) -> bool:
    """Whether the connection is one of loopback, and no header says that a proxy has passed the request on."""
    if any(name in request.headers for name in _FORWARDED):
        return False
    return request.client is not None and is_loopback(request.client.host)


def is_loopback(text: str) -> bool:
    """Whether a text is an address of loopback."""
    try:
        address = ip_address(text)
    except ValueError:
        return False
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return (mapped or address).is_loopback
