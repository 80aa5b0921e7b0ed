"""Whether a request comes from a program on this machine, and not through a proxy on it."""

from __future__ import annotations

from starlette.requests import Request

from visavis.connections.network import is_loopback

_FORWARDED = ("forwarded", "x-forwarded-for", "x-real-ip")


def comes_from_this_machine(request: Request) -> bool:
    """Whether the connection is one of loopback, and no header says that a proxy has passed the request on."""
    if any(name in request.headers for name in _FORWARDED):
        return False
    return request.client is not None and is_loopback(request.client.host)
