"""A bad network between one viewer and a stage: a UDP relay that loses, delays and reorders datagrams.

The stage must not know any address of the viewer, and the viewer gets an answer whose only candidate is the relay's. So
every datagram crosses the relay, both ways.
"""

from __future__ import annotations

import asyncio
import math
import random
import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Literal

_CANDIDATE = re.compile(r"a=candidate:\S+ 1 udp \d+ (?P<host>[0-9.]+) (?P<port>\d+) typ host.*\r\n", re.IGNORECASE)
_ANY_CANDIDATE = re.compile(r"a=candidate:.*\r\n")

Direction = Literal["to_stage", "to_viewer"]
Address = tuple[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Network:
    """What each direction does to a datagram: it is lost with the probability `lost`, or arrives after `delay_s` and up
    to `jitter_s` more, evenly distributed, so that later ones overtake it. `bits_per_s`: how much passes to the viewer;
    the rest waits for up to `queue_s`, and is lost when the queue is full.
    """

    lost: float = 0.0
    delay_s: float = 0.0
    jitter_s: float = 0.0
    bits_per_s: float = math.inf
    queue_s: float = 0.3
    seed: int = 1


class Relay:
    """One viewer's relay. `drops` may drop a datagram besides, by what it carries."""

    def __init__(self, network: Network, drops: Callable[[Direction, bytes], bool]) -> None:
        self._network, self._drops = network, drops
        self._random = random.Random(network.seed)
        self._sockets: dict[Direction, asyncio.DatagramTransport] = {}  # by the direction in which they send
        self._receivers: dict[Direction, Address] = {}
        self._free_at_s = 0.0  # when the way to the viewer has passed on all that waits

    async def open(self, stage: Address) -> Address:
        """Connect to a stage; return the address for the viewer."""
        loop = asyncio.get_running_loop()
        self._receivers["to_stage"] = stage
        self._sockets["to_stage"], _ = await loop.create_datagram_endpoint(
            lambda: _Side(lambda data, _: self._pass_on("to_viewer", data)), local_addr=(stage[0], 0)
        )
        self._sockets["to_viewer"], _ = await loop.create_datagram_endpoint(
            lambda: _Side(self._from_viewer), local_addr=(stage[0], 0)
        )
        host, port = self._sockets["to_viewer"].get_extra_info("sockname")[:2]
        return host, port

    def close(self) -> None:
        for one in self._sockets.values():
            one.close()

    def _from_viewer(self, data: bytes, address: Address) -> None:
        self._receivers["to_viewer"] = address
        self._pass_on("to_stage", data)

    def _pass_on(self, direction: Direction, data: bytes) -> None:
        network = self._network
        if self._drops(direction, data) or self._random.random() < network.lost:
            return
        loop = asyncio.get_running_loop()
        after_s = network.delay_s + network.jitter_s * self._random.random()
        if direction == "to_viewer":
            waits_s = max(0.0, self._free_at_s - loop.time())
            if waits_s > network.queue_s:
                return
            self._free_at_s = loop.time() + waits_s + 8 * len(data) / network.bits_per_s
            after_s += self._free_at_s - loop.time()
        loop.call_later(after_s, self._send, direction, data)

    def _send(self, direction: Direction, data: bytes) -> None:
        receiver = self._receivers.get(direction)
        if receiver is not None and not self._sockets[direction].is_closing():
            self._sockets[direction].sendto(data, receiver)


class _Side(asyncio.DatagramProtocol):
    def __init__(self, received: Callable[[bytes, Address], None]) -> None:
        self._received = received

    def datagram_received(self, data: bytes, address: tuple[str | int, ...]) -> None:
        self._received(data, (str(address[0]), int(address[1])))


class Relays:
    """The relays of viewers that come one after the other, all with the same network."""

    def __init__(self, network: Network, drops: Callable[[Direction, bytes], bool]) -> None:
        self._network, self._drops = network, drops
        self._open: list[Relay] = []

    async def rewrite(self, answer: str) -> str:
        """Return an SDP answer that leads its viewer through a new relay."""
        found = _CANDIDATE.search(answer)
        assert found is not None, answer
        relay = Relay(self._network, self._drops)
        self._open.append(relay)
        host, port = await relay.open((found["host"], int(found["port"])))
        candidate = f"a=candidate:1 1 udp 2130706431 {host} {port} typ host\r\n"
        return _ANY_CANDIDATE.sub("", answer.replace(found[0], "a=ours\r\n")).replace("a=ours\r\n", candidate)

    def close(self) -> None:
        for relay in self._open:
            relay.close()


@asynccontextmanager
async def relays(
    network: Network, drops: Callable[[Direction, bytes], bool] = lambda direction, data: False
) -> AsyncIterator[Relays]:
    opened = Relays(network, drops)
    try:
        yield opened
    finally:
        opened.close()


def without_candidates(offer: str) -> str:
    """Return an offer that names no address of its viewer."""
    return _ANY_CANDIDATE.sub("", offer).replace("a=end-of-candidates\r\n", "")
