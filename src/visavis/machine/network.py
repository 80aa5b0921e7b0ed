"""Where a stage's media goes in and out: its UDP ports, its interfaces, and the addresses that viewers reach."""

from __future__ import annotations

import errno
import fnmatch
import ipaddress
import re
import socket
from collections.abc import Iterable
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

# Below the ports that Linux gives to outgoing connections (32768 and above), which nobody can reserve.
DEFAULT_PORTS = "20000-20199"
# Interfaces of containers and virtual machines: no viewer reaches their addresses, and each makes a join longer.
CONTAINER_INTERFACES = (
    *("docker*", "br-*", "veth*", "virbr*", "vnet*", "cni*", "cbr*", "cali*", "flannel*", "cilium*", "lxc*", "lxd*"),
    *("incus*", "podman*", "kube-*", "nodelocaldns"),
)
_HOST_NAME = re.compile(r"(?=.{1,253}\.?$)(?!-)[A-Za-z0-9_-]{1,63}(\.(?!-)[A-Za-z0-9_-]{1,63})*\.?")
_NEVER = tuple(map(ipaddress.ip_network, ("169.254.0.0/16", "fe80::/10", "0.0.0.0/8", "::/128")))


@dataclass(frozen=True, slots=True, kw_only=True)
class PortRange:
    """UDP ports from `first` to `last`. Each stage takes the first one that is free."""

    first: int
    last: int

    @classmethod
    def parse(cls, text: str) -> PortRange:
        """Read "20000" or "20000-20199". Raises ValueError."""
        first, dash, last = text.strip().partition("-")
        if not (first.isascii() and first.isdigit() and (not dash or (last.isascii() and last.isdigit()))):
            raise ValueError("must be a port or a range of ports, like 20000-20199")
        ports = cls(first=int(first), last=int(last or first))
        if not 1024 <= ports.first <= ports.last <= 65535:
            raise ValueError("must be ports from 1024 to 65535, the lower one first")
        return ports

    def __str__(self) -> str:
        return str(self.first) if self.first == self.last else f"{self.first}-{self.last}"

    def __len__(self) -> int:
        return self.last - self.first + 1

    @property
    def numbers(self) -> range:
        return range(self.first, self.last + 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class MediaNetwork:
    """The network of a stage.

    `addresses`: addresses and host names at which viewers reach this machine beside its own, for example that of the
    NAT before it. `include`, `exclude`: interfaces by name (`eth*`) and subnets. Without `include` all are used.
    """

    ports: PortRange = field(default_factory=lambda: PortRange.parse(DEFAULT_PORTS))
    addresses: tuple[str, ...] = ()
    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = CONTAINER_INTERFACES


def write_network(network: MediaNetwork) -> str:
    """Return a network as JSON, for the command line of a stage."""
    return msgspec.json.encode(network).decode()


def read_network(text: str) -> MediaNetwork:
    """Read what `write_network` has written. Raises ValueError."""
    return msgspec.json.decode(text, type=MediaNetwork)


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnAddress:
    """An address of this machine."""

    interface: str
    address: str


def addresses_to_offer(own: Iterable[OwnAddress], network: MediaNetwork) -> list[str]:
    """Return the addresses on which viewers are served, each once.

    Loopback is used if it is included by name, or if the machine has no other address that may be used.
    """
    usable = [one for one in own if not any(ipaddress.ip_address(one.address) in never for never in _NEVER)]
    chosen = [
        one
        for one in usable
        if (not network.include or _matches(one, network.include)) and not _matches(one, network.exclude)
    ]
    if not network.include:
        chosen = [one for one in chosen if not _is_loopback(one)] or [one for one in usable if _is_loopback(one)]
    return list(dict.fromkeys(one.address for one in chosen))


def check_pattern(text: str) -> str:
    """Return a pattern of an interface or a subnet. Raises ValueError."""
    text = text.strip()
    if not text or any(character.isspace() for character in text):
        raise ValueError("must be the name of an interface or a subnet")
    if "/" in text:
        ipaddress.ip_network(text, strict=False)
    return text


def check_address(text: str) -> str:
    """Return an address or a host name. Raises ValueError."""
    text = text.strip().removeprefix("[").removesuffix("]")
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        if _HOST_NAME.fullmatch(text) is None:
            raise ValueError("must be an address or a host name, without a port") from None
    return text


def _matches(own: OwnAddress, patterns: Iterable[str]) -> bool:
    return any(_matches_one(own, pattern) for pattern in patterns)


def _matches_one(own: OwnAddress, pattern: str) -> bool:
    if "/" in pattern or ":" in pattern or pattern[:1].isdigit():
        try:
            return ipaddress.ip_address(own.address) in ipaddress.ip_network(pattern, strict=False)
        except ValueError:
            pass
    return fnmatch.fnmatchcase(own.interface, pattern)


def _is_loopback(own: OwnAddress) -> bool:
    return ipaddress.ip_address(own.address).is_loopback


def tracked_share(folder: Path = Path("/proc/sys/net/netfilter")) -> float:
    """Return how much of the kernel's table of tracked connections is in use, 0 to 1; 0 without one. A full table drops
    the packets of new viewers.
    """
    with suppress(OSError, ValueError, ZeroDivisionError):
        used, most = (int((folder / f"nf_conntrack_{name}").read_text(encoding="ascii")) for name in ("count", "max"))
        return used / most
    return 0.0


def taken_ports(ports: PortRange, *, wanted: int) -> tuple[list[int], int]:
    """Look for free UDP ports until `wanted` have been found. Return the taken ones before that, and how many are free.

    A port is free if nobody uses it on any address.
    """
    taken: list[int] = []
    with ExitStack() as stack:
        free = 0
        for number in ports.numbers:
            if free >= wanted:
                break
            if all(_can_bind(stack, family, number) for family in (socket.AF_INET, socket.AF_INET6)):
                free += 1
            else:
                taken.append(number)
    return taken, free


def _can_bind(stack: ExitStack, family: socket.AddressFamily, number: int) -> bool:
    try:
        probe = stack.enter_context(socket.socket(family, socket.SOCK_DGRAM))
    except OSError:  # this machine has no such addresses
        return True
    if family == socket.AF_INET6:
        probe.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    try:
        probe.bind(("", number))
    except OSError as error:
        return error.errno != errno.EADDRINUSE
    return True
