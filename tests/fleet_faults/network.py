"""The network of a fleet on one machine: a namespace for each of its machines, all on one switch.

hub: switch ── 10.204.0.1 (the test, in the namespace that it was started in)
            ── 10.204.0.2 database, .3 balancer, .11 and so on
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

from tests.e2e.namespaces import Machine

PREFIX = f"10.204.{os.getpid() % 250}"
TEST_ADDRESS = f"{PREFIX}.1"
LINK = "street"  # what a machine calls its cable


@dataclass(frozen=True, slots=True, kw_only=True)
class Network:
    """`machines`: by name."""

    hub: str
    machines: Mapping[str, Machine]

    def cut(self, name: str) -> None:
        """Pull a machine's cable out of the switch. Nobody is told; what is sent is lost."""
        _ip("-n", self.hub, "link", "set", name, "down")

    def mend(self, name: str) -> None:
        _ip("-n", self.hub, "link", "set", name, "up")


@contextmanager
def network(addresses: Mapping[str, str]) -> Iterator[Network]:
    """Make a machine for each name (at most 15 characters), reached at its address; remove all at the end."""
    number = os.getpid()
    hub = f"vv-hub-{number}"
    machines = {name: Machine(name=f"vv-{name}-{number}", address=address) for name, address in addresses.items()}
    with ExitStack() as stack:
        for namespace in (hub, *(machine.name for machine in machines.values())):
            _ip("netns", "add", namespace)
            stack.callback(subprocess.run, ["ip", "netns", "del", namespace], check=False)
            _ip("-n", namespace, "link", "set", "lo", "up")
        _ip("-n", hub, "link", "add", "switch", "type", "bridge", "stp_state", "0")
        _ip("-n", hub, "link", "set", "switch", "up")
        own = f"vv{number}"
        _ip("link", "add", own, "type", "veth", "peer", "name", "test", "netns", hub)
        stack.callback(subprocess.run, ["ip", "link", "del", own], check=False, capture_output=True)
        _ip("address", "add", f"{TEST_ADDRESS}/24", "dev", own)
        _ip("link", "set", own, "up")
        _plug_in(hub, "test")
        for name, machine in machines.items():
            _ip("-n", hub, "link", "add", name, "type", "veth", "peer", "name", LINK, "netns", machine.name)
            _plug_in(hub, name)
            _ip("-n", machine.name, "address", "add", f"{machine.address}/24", "dev", LINK)
            _ip("-n", machine.name, "link", "set", LINK, "up")
            # A browser uses only the interface of the default route.
            _ip("-n", machine.name, "route", "add", "default", "via", TEST_ADDRESS)
        yield Network(hub=hub, machines=machines)


def _plug_in(hub: str, name: str) -> None:
    _ip("-n", hub, "link", "set", name, "master", "switch")
    _ip("-n", hub, "link", "set", name, "up")


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True)
