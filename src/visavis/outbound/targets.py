"""Connections to addresses that a stranger chose. The stranger must not reach our own network, or this server.

The host name is resolved first, and all its addresses are checked. The connection goes to a checked address, so a
second resolution cannot change the result.
"""

from __future__ import annotations

import socket
import ssl
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial

import anyio
import certifi
from anyio.abc import ByteStream
from anyio.to_thread import run_sync
from pydantic_core import Url, ValidationError

from visavis.outbound.public_addresses import Address
from visavis.outbound.reach import addresses_among

Resolve = Callable[[str, int], Awaitable[list[str]]]

MAX_URL_CHARS = 8192  # signed addresses have about 2,000
CONNECT_TIMEOUT_S = 4.0  # for each address of a host that has several


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """What one request asks for. `host` is a name or an address without brackets."""

    host: str
    port: int
    is_https: bool
    host_header: str
    path_and_query: str


def read_target(url: str) -> Target:
    """Return the parts of an http(s) address. Raises ValueError, whose text continues "The address …"."""
    if len(url) > MAX_URL_CHARS:
        raise ValueError(f"is longer than {MAX_URL_CHARS} characters")
    try:
        parts = Url(url)
    except (ValidationError, UnicodeError):
        raise ValueError("is not an address") from None
    if parts.scheme not in ("http", "https") or not parts.host or parts.port is None:
        raise ValueError("must start with http:// or https://")
    usual_port = 443 if parts.scheme == "https" else 80
    return Target(
        host=parts.host.strip("[]"),
        port=parts.port,
        is_https=parts.scheme == "https",
        host_header=parts.host if parts.port == usual_port else f"{parts.host}:{parts.port}",
        path_and_query=(parts.path or "/") + (f"?{parts.query}" if parts.query is not None else ""),
    )


_RESOLVING = anyio.CapacityLimiter(16)  # threads of their own: a name server may let each wait for half a minute


async def resolve(host: str, port: int) -> list[str]:
    """Return all addresses of a name, from the resolver of the system. Raises OSError."""
    look_up = partial(socket.getaddrinfo, host, port, type=socket.SOCK_STREAM)
    found = await run_sync(look_up, abandon_on_cancel=True, limiter=_RESOLVING)
    return [str(sockaddr[0]) for *_, sockaddr in found]


async def addresses_of(host: str, port: int, resolve: Resolve = resolve) -> list[Address]:
    """Return the addresses of a host; none if they cannot be found."""
    try:
        return addresses_among(await resolve(host, port))
    except (OSError, UnicodeError, ValueError):
        return []


class Connector:
    """Connects to addresses that were checked. `certificates`: a file of the authorities that are trusted; default:
    those of certifi.
    """

    def __init__(self, certificates: str | None = None) -> None:
        self._certificates = certificates or certifi.where()
        self._tls: ssl.SSLContext | None = None  # made for the first https address

    async def connect(self, target: Target, addresses: list[Address]) -> ByteStream:
        """Connect to the first address that answers. Raises OSError."""
        tls = await self._tls_context() if target.is_https else None
        for address in dict.fromkeys(addresses):
            with anyio.move_on_after(CONNECT_TIMEOUT_S):
                try:
                    if tls is None:
                        return await anyio.connect_tcp(str(address), target.port)
                    return await anyio.connect_tcp(
                        str(address),
                        target.port,
                        ssl_context=tls,
                        tls_hostname=target.host,
                        tls_standard_compatible=False,
                    )
                except OSError:
                    continue
        raise OSError("no address answers")

    async def _tls_context(self) -> ssl.SSLContext:
        if self._tls is None:
            self._tls = await run_sync(lambda: ssl.create_default_context(cafile=self._certificates))
        return self._tls
