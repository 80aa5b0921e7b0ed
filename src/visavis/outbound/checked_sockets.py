"""TCP connections of a stage to hosts that a stranger chose: to the addresses that were checked, and to no others."""

from __future__ import annotations

import asyncio
import socket

from visavis.outbound.public_addresses import Address
from visavis.outbound.reach import IsAllowed, addresses_among

CONNECT_TIMEOUT_S = 4.0  # for each address of a host that has several


class NotAllowed(Exception):
    """A host has an address that is not allowed."""


async def allowed_addresses(host: str, port: int, is_allowed: IsAllowed) -> list[Address]:
    """Return the addresses of a host. Raises OSError if there are none, and `NotAllowed` unless all are allowed."""
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
        addresses = list(dict.fromkeys(addresses_among(str(sockaddr[0]) for *_, sockaddr in found)))
    except (UnicodeError, ValueError):
        raise OSError(f"{host} is no host") from None
    if not all(is_allowed(address) for address in addresses):
        raise NotAllowed
    return addresses


async def connect_allowed(host: str, port: int, is_allowed: IsAllowed) -> socket.socket:
    """Return a socket that is connected to the first address that answers. Raises like `allowed_addresses`."""
    loop, problem = asyncio.get_running_loop(), OSError("no address answers")
    for address in await allowed_addresses(host, port, is_allowed):
        family = socket.AF_INET if address.version == 4 else socket.AF_INET6
        # asyncio turns Nagle's algorithm off only if the socket's protocol is given.
        connected = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        connected.setblocking(False)
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT_S):
                await loop.sock_connect(connected, (str(address), port))
            return connected
        except OSError as error:  # TimeoutError among them
            connected.close()
            problem = error
        except BaseException:
            connected.close()
            raise
    raise problem
