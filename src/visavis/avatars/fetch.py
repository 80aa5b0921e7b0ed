"""Fetches an image from an address that a stranger chose. The stranger must not reach our own network.

The host name is resolved first, and all its addresses are checked. The connection goes to a checked address, so a
second resolution cannot change the result. Redirects are followed here and checked in the same way. Time and size are
bounded.
"""

from __future__ import annotations

import socket
from collections.abc import Awaitable, Callable
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address

import anyio
import httpx

from visavis.errors import ImageTooLarge, ImageUrlRefused, PortraitRefused

Address = IPv4Address | IPv6Address
Resolve = Callable[[str, int], Awaitable[list[str]]]

MAX_REDIRECTS = 3
TIMEOUT_S = 10.0
_NAT64 = IPv6Network("64:ff9b::/96")  # RFC 6052


def is_public(address: Address) -> bool:
    """Whether the address belongs to the public internet. IPv4 addresses inside IPv6 ones (mapped, 6to4, Teredo, NAT64)
    are checked too.
    """
    if isinstance(address, IPv6Address):
        if address in _NAT64:  # how an IPv6-only network reaches IPv4
            return is_public(IPv4Address(int(address) & 0xFFFFFFFF))
        disguised = (address.ipv4_mapped, address.sixtofour, *(address.teredo or ()))
        if any(inner is not None and not is_public(inner) for inner in disguised):
            return False
    return address.is_global and not address.is_multicast and not address.is_reserved and not address.is_unspecified


async def resolve(host: str, port: int) -> list[str]:
    """Return all addresses of a name, from the resolver of the system."""
    found = await anyio.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [sockaddr[0] for *_, sockaddr in found]


def _refused(message: str) -> PortraitRefused:
    return ImageUrlRefused(message, suggestion="Use a public http(s) address of an image")


async def fetch_image(
    url: str,
    *,
    max_bytes: int,
    timeout_s: float = TIMEOUT_S,
    resolve: Resolve = resolve,
    allowed: Callable[[Address], bool] = is_public,
) -> bytes:
    """Return the content at the address. Raises `PortraitRefused` (IMAGE_URL_REFUSED) and `ImageTooLarge`."""
    with anyio.move_on_after(timeout_s):
        try:
            async with httpx.AsyncClient(trust_env=False, follow_redirects=False, timeout=timeout_s) as client:
                for _ in range(MAX_REDIRECTS + 1):
                    answer = await _fetch_once(client, url, max_bytes=max_bytes, resolve=resolve, allowed=allowed)
                    if isinstance(answer, bytes):
                        return answer
                    url = answer
                raise _refused("The image's address redirects too often")
        except (
            httpx.HTTPError,
            httpx.InvalidURL,
            OSError,
            ValueError,
            OverflowError,
        ):
            raise _refused("The image could not be fetched") from None
    raise _refused("The image's address answers too slowly")


async def _fetch_once(
    client: httpx.AsyncClient, url: str, *, max_bytes: int, resolve: Resolve, allowed: Callable[[Address], bool]
) -> bytes | str:
    """Make one request. Return the body, or the address to which it redirects."""
    target = httpx.URL(url)
    if target.scheme not in ("http", "https") or not target.host:
        raise _refused("The image's address must start with http:// or https://")
    port = target.port or (443 if target.scheme == "https" else 80)
    addresses = [ip_address(text.partition("%")[0]) for text in await resolve(target.host, port)]
    if not addresses or not all(allowed(address) for address in addresses):
        raise _refused("The image's address is not on the public internet")
    request = client.build_request(
        "GET",
        target.copy_with(host=str(addresses[0]), username=None, password=None),
        headers={"Host": target.netloc.decode("ascii"), "Accept": "image/*", "User-Agent": "visavis"},
        extensions={"sni_hostname": target.host},
    )
    response = await client.send(request, stream=True)
    try:
        if response.is_redirect:
            return str(target.join(response.headers["location"]))
        if response.status_code != 200:
            raise _refused(f"The image's address answers {response.status_code}")
        body = bytearray()
        async for chunk in response.aiter_bytes():
            body += chunk
            if len(body) > max_bytes:
                raise ImageTooLarge(f"The image is larger than {max_bytes // 1_000_000} MB")
        return bytes(body)
    finally:
        await response.aclose()
