"""Fetches an image from an address that a stranger chose (outbound/targets.py). Redirects are followed here and checked
in the same way as the first address. Time and size are bounded, and the event loop is never held (http_answer.py).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import aclosing
from urllib.parse import urljoin

import anyio

from visavis.avatars.http_answer import AnswerReader, HttpAnswer, refused
from visavis.outbound.public_addresses import Address
from visavis.outbound.reach import IsAllowed, is_foreign
from visavis.outbound.targets import Connector, Resolve, Target, addresses_of, resolve
from visavis.outbound.targets import read_target as read_any_target

FetchImage = Callable[[str], Awaitable[bytes]]
"""Returns the content at an address. Raises `ImageUrlRefused` and `ImageTooLarge`."""

MAX_REDIRECTS = 3
TIMEOUT_S = 10.0
READ_BYTES = 4096  # at a time. The smallest pieces in that many bytes hold the event loop for less than 20 ms
PORTS = frozenset((80, 443))


def read_target(url: str) -> Target:
    """Return the parts of an http(s) address. Raises `ImageUrlRefused`."""
    try:
        return read_any_target(url)
    except ValueError as error:
        raise refused(f"The image's address {error}") from None


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
        is_allowed: IsAllowed = is_foreign,
        certificates: str | None = None,
    ) -> None:
        self._max_bytes, self._timeout_s = max_bytes, timeout_s
        self._ports = ports
        self._own_host = None if own_url is None else read_target(own_url).host
        self._resolve, self._is_allowed = resolve, is_allowed
        self._connector = Connector(certificates)

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
            async with aclosing(await self._connector.connect(target, addresses)) as stream:
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
        addresses = await addresses_of(target.host, target.port, self._resolve)
        if not addresses or not all(self._is_allowed(address) for address in addresses):
            raise refused("The image's address is not on the public internet")
        if self._own_host is not None:
            own = await addresses_of(self._own_host, target.port, self._resolve)
            if target.host == self._own_host or any(address in own for address in addresses):
                raise refused("The image's address is this server's own")
        return addresses
