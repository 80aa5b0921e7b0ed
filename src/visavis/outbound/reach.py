"""Which addresses a connection to a stranger's host may go to: those of the public internet, and the networks that the
operator allows. A stage imports this, so it needs nothing but the standard library.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterable
from ipaddress import IPv6Address, ip_address, ip_network

from visavis.outbound.public_addresses import Address, is_public

DISCARD_PORT = 9  # any port would do: nothing is sent to it

IsAllowed = Callable[[Address], bool]


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


def allowed_by(networks: Iterable[str]) -> IsAllowed:
    """Return whether an address is allowed: a public one of another machine, or one in these networks."""
    parsed = [ip_network(network, strict=False) for network in networks]
    return lambda address: any(address in network for network in parsed) or is_foreign(address)


def addresses_among(found: Iterable[str]) -> list[Address]:
    """Return the addresses that a resolver has found, without their scopes. Raises ValueError."""
    return [ip_address(text.partition("%")[0]) for text in found]
