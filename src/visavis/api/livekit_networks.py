"""To which networks an avatar may connect for the LiveKit room of a caller: docs/howto/livekit.md."""

from __future__ import annotations

from urllib.parse import urlsplit

from starlette.requests import Request

from visavis.api.this_machine import comes_from_this_machine
from visavis.connections.network import is_loopback
from visavis.rooms.spec import ANYWHERE
from visavis.settings import Settings

_DEFAULT_PORTS = {"ws": 80, "http": 80, "wss": 443, "https": 443}


def networks_for(request: Request, settings: Settings, url: str, *, listens_to_loopback: bool) -> tuple[str, ...]:
    """Return the networks that are allowed beside the public internet. `url`: of the LiveKit server. Raises ValueError
    for one that is no address.

    The operator's own LiveKit server may stand anywhere. So may every other one, unless the setting names networks,
    where this server is for programs on this machine alone and such a one asks: it reaches itself what it names.
    """
    if settings.livekit_url is not None and _server_of(url) == _server_of(settings.livekit_url):
        return ANYWHERE
    if settings.livekit_networks is not None:
        return settings.livekit_networks
    is_for_itself = listens_to_loopback and settings.public_url is None and not settings.trusted_proxies
    if is_for_itself and comes_from_this_machine(request) and _names_loopback(request):
        return ANYWHERE
    return ()


def _names_loopback(request: Request) -> bool:
    """Whether the request calls this server by a name of this machine: one that a proxy passes on may not."""
    host = urlsplit(f"//{request.headers.get('host', '')}").hostname or ""
    return host == "localhost" or is_loopback(host)


def _server_of(url: str) -> tuple[bool, str | None, int | None]:
    """Return whether a server is asked by TLS, its host and its port."""
    parts = urlsplit(url)
    return parts.scheme in ("wss", "https"), parts.hostname, parts.port or _DEFAULT_PORTS.get(parts.scheme)
