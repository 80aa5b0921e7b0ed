"""Fetches an image from an address that a stranger chose. The stranger must not reach our own network, or this server.

The host name is resolved first, and all its addresses are checked. The connection goes to a checked address, so a
second resolution cannot change the result. Redirects are followed here and checked in the same way. Time and size are
bounded, and the event loop is never held (http_answer.py).
"""

from __future__ import annotations

import socket
import ssl
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from dataclasses import dataclass
from functools import partial
from ipaddress import IPv6Address, ip_address
from urllib.parse import urljoin

import anyio
import certifi
from anyio.abc import ByteStream
from anyio.to_thread import run_sync
from pydantic_core import Url, ValidationError

from visavis.avatars.http_answer import AnswerReader, HttpAnswer, refused
from visavis.avatars.public_addresses import Address, is_public

FetchImage = Callable[[str], Awaitable[bytes]]
"""Returns the content at an address. Raises `ImageUrlRefused` and `ImageTooLarge`."""
Resolve = Callable[[str, int], Awaitable[list[str]]]

MAX_REDIRECTS = 3
MAX_URL_CHARS = 8192  # signed addresses have about 2,000
TIMEOUT_S = 10.0
CONNECT_TIMEOUT_S = 4.0  # for each address of a host that has several
READ_BYTES = 4096  # at a time. The smallest pieces in that many bytes hold the event loop for less than 20 ms
PORTS = frozenset((80, 443))
DISCARD_PORT = 9  # any port would do: nothing is sent to it


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """What one request asks for. `host` is a name or an address without brackets."""

    host: str
    port: int
    is_https: bool
    host_header: str
    path_and_query: str


def read_target(url: str) -> Target:
    """Return the parts of an http(s) address. Raises `ImageUrlRefused`."""
    if len(url) > MAX_URL_CHARS:
        raise refused(f"The image's address is longer than {MAX_URL_CHARS} characters")
    try:
        parts = Url(url)
    except (ValidationError, UnicodeError):
        raise refused("The image's address is not an address") from None
    if parts.scheme not in ("http", "https") or not parts.host or parts.port is None:
        raise refused("The image's address must start with http:// or https://")
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


def is_own(address: Address) -> bool:
    """Whether the address is one of this machine's. The kernel's table of routes knows: what this machine sends to an
    address of its own has the same address as its source. Nothing is sent.
    """
    family = socket.AF_INET6 if isinstance(address, IPv6Address) else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.connect((str(address), DISCARD_PORT))
            return ip_address(probe.getsockname()[0]) == address
    except OSError:  # no route to it
        return False


def is_foreign(address: Address) -> bool:
    """Whether the address belongs to the public internet and not to this machine."""
    return is_public(address) and not is_own(address)


class ImageFetcher:
    """Fetches images. `own_url`: this server's public address; nothing is fetched from its host."""

    def __init__(
        self,
        *,
        max_bytes: int,
        ports: frozenset[int] = PORTS,
        own_url: str | None = None,
        timeout_s: float = TIMEOUT_S,
        resolve: Resolve = resolve,
        is_allowed: Callable[[Address], bool] = is_foreign,
        certificates: str | None = None,
    ) -> None:
        self._max_bytes, self._timeout_s = max_bytes, timeout_s
        self._ports = ports
        self._own_host = None if own_url is None else read_target(own_url).host
        self._resolve, self._is_allowed = resolve, is_allowed
        self._certificates = certificates or certifi.where()
        self._tls: ssl.SSLContext | None = None  # made for the first https address

    async def fetch(self, url: str) -> bytes:
        """Return the content at the address. Raises `ImageUrlRefused` and `ImageTooLarge`."""
        with anyio.move_on_after(self._timeout_s):
            for _ in range(MAX_REDIRECTS + 1):
                answer = await self._ask(read_target(url))
                if answer.location is None:
                    if answer.status != 200:
                        raise refused(f"The image's address answers {answer.status}")
                    return answer.body
                url = urljoin(url, answer.location)
            raise refused("The image's address redirects too often")
        raise refused("The image's address answers too slowly")

    async def _ask(self, target: Target) -> HttpAnswer:
        if target.port not in self._ports:
            named = " or ".join(str(port) for port in sorted(self._ports))
            raise refused(f"The image's address must use port {named}")
        addresses = await self._checked_addresses(target)
        reader = AnswerReader(max_bytes=self._max_bytes)
        try:
            async with aclosing(await self._connect(target, addresses)) as stream:
                await stream.send(reader.request(host=target.host_header, target=target.path_and_query))
                while True:
                    try:
                        data = await stream.receive(READ_BYTES)
                    except anyio.EndOfStream:
                        data = b""
                    answer = reader.receive(data)
                    if answer is not None:
                        return answer
        except (OSError, anyio.BrokenResourceError):
            raise refused("The image could not be fetched") from None

    async def _checked_addresses(self, target: Target) -> list[Address]:
        """Return the addresses of the target's host. Raises `ImageUrlRefused` unless all are allowed."""
        addresses = await self._addresses(target.host, target.port)
        if not addresses or not all(self._is_allowed(address) for address in addresses):
            raise refused("The image's address is not on the public internet")
        if self._own_host is not None:
            own = await self._addresses(self._own_host, target.port)
            if target.host == self._own_host or any(address in own for address in addresses):
                raise refused("The image's address is this server's own")
        return addresses

    async def _addresses(self, host: str, port: int) -> list[Address]:
        try:
            return [ip_address(text.partition("%")[0]) for text in await self._resolve(host, port)]
        except (OSError, UnicodeError, ValueError):
            return []

    async def _connect(self, target: Target, addresses: list[Address]) -> ByteStream:
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
