"""Lost checks and lost flights of the DTLS handshake are sent again, soon."""

from __future__ import annotations

import asyncio

import anyio
import pytest

from tests.networks.relay import Direction, Network, relays, without_candidates
from tests.rooms.media import Feed, RecordedEvents
from visavis.rooms.embedded.room import EmbeddedRoom
from visavis.rooms.webrtc.receiving_peer import ReceivingPeer

CLEAN = Network()


def is_dtls(data: bytes) -> bool:
    return 19 < data[0] < 64  # RFC 7983


def is_check(data: bytes) -> bool:
    return data[:2] == b"\x00\x01"  # a STUN binding request


class FirstLost:
    """Drops the first `count` datagrams of a kind in one direction, and keeps all that come before the connection."""

    def __init__(self, direction: Direction, kind: str, count: int) -> None:
        self._direction, self._is_kind = direction, {"handshake": is_dtls, "check": is_check}[kind]
        self._count = count
        self.seen: list[bytes] = []

    def __call__(self, direction: Direction, data: bytes) -> bool:
        if direction != self._direction or not self._is_kind(data):
            return False
        self.seen.append(data)
        return len(self.seen) <= self._count


async def connect(drops: FirstLost, network: Network = CLEAN) -> None:
    """Let a viewer join through a relay."""
    events = RecordedEvents()
    room, peer = EmbeddedRoom(events, wall_clock_at_start_ns=0), ReceivingPeer()
    feed = Feed(room, events)
    try:
        async with relays(network, drops) as through:
            offer = without_candidates(await peer.offer())
            answer = await room.offer(viewer_id="one", sdp=offer)
            with anyio.fail_after(20):
                await peer.accept(await through.rewrite(answer))
                await feed.until(lambda: bool(events.viewers))
    finally:
        await peer.aclose()
        await room.aclose()


@pytest.mark.parametrize("lost", [1, 2, 3])
def test_a_lost_flight_of_the_handshake_is_repeated_as_it_was(lost: int) -> None:
    """OpenSSL's own repetition comes after 1 s, with other numbers in its records."""
    drops = FirstLost("to_viewer", "handshake", lost)
    asyncio.run(connect(drops))
    assert len(drops.seen) > lost and len(set(drops.seen[: lost + 1])) == 1


def test_a_lost_check_of_the_stage_is_repeated() -> None:
    """aioice numbers its checks by transaction: a repeated one is the same datagram."""
    drops = FirstLost("to_viewer", "check", 2)
    asyncio.run(connect(drops))
    assert len(drops.seen) > 2 and len(set(drops.seen[:3])) == 1


@pytest.mark.parametrize("direction", ["to_stage", "to_viewer"])
def test_a_viewer_joins_behind_a_network_that_loses_every_fifth_datagram(direction: Direction) -> None:
    asyncio.run(connect(FirstLost(direction, "handshake", 0), Network(lost=0.2, jitter_s=0.02, seed=7)))
