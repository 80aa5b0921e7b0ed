"""A house with a server, the street before it, and viewers in both: network namespaces for one test.

    lan (viewer)           10.203.0.254 ┐                         ┌ 198.51.100.1, .3
    server   10.203.0.1 ─────── cable ──┴─ router ── relay of ────┴─ street ── outside 198.51.100.2
             40 bridges of containers             UDP and TCP
             fd00:204::1 ────── cable ──── v6 alone fd00:204::2

The router forwards no packets: it relays those of some ports, as the port forwarding of a NAT or a container does.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from tests.e2e.namespaces import Machine

SERVER, ROUTER_INSIDE = "10.203.0.1", "10.203.0.254"
STREET, SECOND_STREET, OUTSIDE = "198.51.100.1", "198.51.100.3", "198.51.100.2"
SERVER_V6, V6_ALONE = "fd00:204::1", "fd00:204::2"
LATE, LATE_VIEWER = "10.206.0.1", "10.206.0.2"
NAME = "edge.visavis.test"
BRIDGES = 40


@dataclass(frozen=True, slots=True, kw_only=True)
class House:
    """The machines. `router` is also a viewer within the house."""

    server: Machine
    router: Machine
    outside: Machine
    v6_alone: Machine

    def move_to(self, address: str) -> None:
        """Let the name of the house lead to this address of the street, as the server resolves it."""
        _hosts(self.server).write_text(f"127.0.0.1 localhost\n::1 localhost\n{address} {NAME}\n")

    def add_bridges(self) -> None:
        """Give the server the bridges of many containers."""
        self._for_each_bridge("link add {0} type bridge", "address add 172.18.{1}.1/24 dev {0}", "link set {0} up")

    def remove_bridges(self) -> None:
        self._for_each_bridge("link del {0}")

    def _for_each_bridge(self, *lines: str) -> None:
        commands = "\n".join(line.format(f"br-{n:012x}", n) for n in range(BRIDGES) for line in lines)
        subprocess.run(["ip", "-n", self.server.name, "-batch", "-"], input=commands, text=True, check=True)

    def connect_late(self) -> None:
        """Lay a cable from the server to `v6_alone`, with addresses of IPv4 that neither had before."""
        _cable(self.server, "late", [f"{LATE}/24"], self.v6_alone, "late", [f"{LATE_VIEWER}/24"])

    def shorten_paths(self) -> None:
        """Let the paths from the server carry packets of 1,280 bytes to the router, and of 1,284 to `v6_alone`. The far
        end of a cable drops longer ones, and nobody tells the server.
        """
        # A virtual cable takes 4 bytes more than its MTU, and IPv6 asks for an MTU of 1,280.
        for machine, link, mtu in ((self.router, "lan", "1276"), (self.v6_alone, "six", "1280")):
            _ip("-n", machine.name, "link", "set", link, "mtu", mtu)

    def arriving(self, sizes: list[int]) -> list[int]:
        """Send IP packets of these sizes from the server to the router. Return the sizes of those that arrive, up to
        the first one of 100 bytes.
        """
        listen = f"""
import socket
taking = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
taking.bind(("{ROUTER_INSIDE}", 9999))
print("ready", flush=True)
size = 0
while size != 100:
    size = len(taking.recv(2000)) + 28
    print(size, flush=True)
"""
        send = f"""
import socket
sending = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
for size in {sizes}:
    sending.sendto(bytes(size - 28), ("{ROUTER_INSIDE}", 9999))
"""
        command = self.router.command(sys.executable, "-c", listen)
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as listening:
            try:
                assert listening.stdout is not None and listening.stdout.readline() == "ready\n"
                subprocess.run(self.server.command(sys.executable, "-c", send), check=True)
                return [int(line) for line in listening.stdout]
            finally:
                listening.kill()

    @contextmanager
    def relay(self, address: str, ports: list[int]) -> Iterator[None]:
        """Relay the packets for these UDP ports of the street, and TCP of the first one, to the server."""
        command = [sys.executable, "-m", "tests.e2e.port_relay", address, SERVER, *map(str, ports)]
        with subprocess.Popen(self.router.command(*command), stdout=subprocess.PIPE, text=True) as relay:
            try:
                assert relay.stdout is not None and relay.stdout.readline() == "ready\n"
                yield
            finally:
                relay.kill()


@contextmanager
def house() -> Iterator[House]:
    number = os.getpid()
    built = House(
        server=Machine(name=f"vv-server-{number}", address=SERVER),
        router=Machine(name=f"vv-router-{number}", address=STREET),
        outside=Machine(name=f"vv-outside-{number}", address=OUTSIDE),
        v6_alone=Machine(name=f"vv-v6-{number}", address=V6_ALONE),
    )
    machines = (built.server, built.router, built.outside, built.v6_alone)
    with ExitStack() as stack:
        for machine in machines:
            _ip("netns", "add", machine.name)
            stack.callback(subprocess.run, ["ip", "netns", "del", machine.name], check=False)
            _ip("-n", machine.name, "link", "set", "lo", "up")
        _hosts(built.server).parent.mkdir(parents=True)
        stack.callback(_remove, _hosts(built.server).parent)
        built.move_to(STREET)
        _cable(built.server, "lan", [f"{SERVER}/24"], built.router, "lan", [f"{ROUTER_INSIDE}/24"])
        _cable(
            built.router, "street", [f"{STREET}/24", f"{SECOND_STREET}/24"], built.outside, "street", [f"{OUTSIDE}/24"]
        )
        _cable(built.server, "six", [f"{SERVER_V6}/64"], built.v6_alone, "six", [f"{V6_ALONE}/64"])
        _ip("-n", built.server.name, "route", "add", "default", "via", ROUTER_INSIDE)
        # Chromium uses only the interface of the default route.
        _ip("-6", "-n", built.v6_alone.name, "route", "add", "default", "via", SERVER_V6)
        built.add_bridges()
        yield built


def _cable(one: Machine, name: str, own: list[str], two: Machine, other_name: str, others: list[str]) -> None:
    _ip("-n", one.name, "link", "add", name, "type", "veth", "peer", "name", other_name, "netns", two.name)
    for machine, link, addresses in ((one, name, own), (two, other_name, others)):
        for address in addresses:
            _ip("-n", machine.name, "address", "add", address, "dev", link, *(["nodad"] if ":" in address else []))
        _ip("-n", machine.name, "link", "set", link, "up")


def _hosts(machine: Machine) -> Path:
    """The file that `ip netns exec` shows as /etc/hosts (ip-netns(8))."""
    return Path("/etc/netns") / machine.name / "hosts"


def _remove(folder: Path) -> None:
    for path in folder.iterdir():
        path.unlink()
    folder.rmdir()
    with suppress(OSError):  # others may be there
        folder.parent.rmdir()


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True)
