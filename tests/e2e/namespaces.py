"""Two machines on one: two network namespaces with a virtual cable between them, for one test."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """A namespace. `address`: where the other one reaches it."""

    name: str
    address: str

    def command(self, *words: str) -> list[str]:
        """Return the command line that runs `words` in this namespace."""
        return ["ip", "netns", "exec", self.name, *words]


def why_unavailable() -> str | None:
    """Return the reason why no namespace can be made on this machine, None if it can."""
    if shutil.which("ip") is None:
        return "`ip` is not installed (iproute2)"
    name = f"vv-try-{os.getpid()}"
    made = subprocess.run(["ip", "netns", "add", name], capture_output=True, text=True, check=False)
    if made.returncode != 0:
        return f"no network namespace can be made on this machine: {made.stderr.strip()}"
    subprocess.run(["ip", "netns", "del", name], check=True)
    return None


@contextmanager
def two_machines() -> Iterator[tuple[Machine, Machine]]:
    """Make two namespaces with one address each, and a cable between them; remove both."""
    number = os.getpid()
    one = Machine(name=f"vv-a-{number}", address="10.203.0.1")
    two = Machine(name=f"vv-b-{number}", address="10.203.0.2")
    made: list[Machine] = []
    try:
        for machine in (one, two):
            _ip("netns", "add", machine.name)
            made.append(machine)
        _ip("-n", one.name, "link", "add", "cable", "type", "veth", "peer", "name", "cable", "netns", two.name)
        for machine, other in ((one, two), (two, one)):
            _ip("-n", machine.name, "address", "add", f"{machine.address}/24", "dev", "cable")
            for link in ("lo", "cable"):
                _ip("-n", machine.name, "link", "set", link, "up")
            # A browser uses only the interface of the default route.
            _ip("-n", machine.name, "route", "add", "default", "via", other.address)
        yield one, two
    finally:
        for machine in made:
            subprocess.run(["ip", "netns", "del", machine.name], check=False)


def shorten_path(machine: Machine) -> None:
    """Let the machine's end of the cable drop packets of more than 1,280 bytes, and tell nobody."""
    # A virtual cable takes 4 bytes more than its MTU.
    _ip("-n", machine.name, "link", "set", "cable", "mtu", "1276")


def close_udp(machine: Machine, *, but: int) -> None:
    """Drop all UDP that comes over the cable, but that to one port, as the firewalls of some offices do."""
    opened = ("iif", "cable", "ipproto", "udp", "dport", str(but), "lookup", "local")
    _ip("-n", machine.name, "rule", "add", "pref", "5", *opened)
    _ip("-n", machine.name, "rule", "add", "pref", "10", "iif", "cable", "ipproto", "udp", "blackhole")
    # The rule for its own addresses comes first, so it moves behind the new one.
    _ip("-n", machine.name, "rule", "add", "pref", "20", "lookup", "local")
    _ip("-n", machine.name, "rule", "del", "pref", "0")


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True)
