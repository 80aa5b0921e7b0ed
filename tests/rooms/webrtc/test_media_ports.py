"""Viewers who share the port of a stage: each gets its own media, and nobody disturbs another."""

from __future__ import annotations

import asyncio
import re
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio
import pytest
from aioice import stun

from tests.rooms.webrtc.test_peers import Pair, pair
from visavis.errors import AddressUnavailable
from visavis.machine.network import MediaNetwork, OwnAddress, PortRange
from visavis.rooms.webrtc import media_ports
from visavis.rooms.webrtc.media_ports import MediaPorts, close_media_ports, open_media_ports
from visavis.rooms.webrtc.receiving_peer import ReceivingPeer

pytestmark = pytest.mark.anyio

PORTS = PortRange(first=21_000, last=21_999)
LOOPBACK = MediaNetwork(ports=PORTS, include=("lo",), exclude=())


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@asynccontextmanager
async def stage_port(network: MediaNetwork = LOOPBACK) -> AsyncIterator[MediaPorts]:
    ports = await open_media_ports(network)
    try:
        yield ports
    finally:
        await close_media_ports()


class OwnSockets(ReceivingPeer):
    """A viewer, which has sockets of its own although it is in the process of the stage."""

    async def offer(self) -> str:
        ports, media_ports._ports = media_ports._ports, None
        try:
            return await super().offer()
        finally:
            media_ports._ports = ports


def candidates(sdp: str) -> list[tuple[str, int, str]]:
    """Return (address, port, type) of each candidate; every section of an answer has them."""
    found = re.findall(r"^a=candidate:\S+ 1 udp \d+ (\S+) (\d+) typ (\w+)", sdp, re.M)
    return sorted({(address, int(port), kind) for address, port, kind in found})


async def sees_pictures(peers: Pair, count: int = 3) -> None:
    pictures = peers.receiving.pictures()
    for _ in range(count):
        following = asyncio.ensure_future(anext(pictures))
        await peers.feed.until(following.done)
        assert (await following).width == 64


async def test_viewers_share_one_port_and_one_leaves_alone() -> None:
    async with stage_port() as ports:
        async with pair(OwnSockets()) as staying:
            async with pair(OwnSockets()) as leaving:
                for peers in (leaving, staying):
                    offered = candidates(peers.sending.peer._connection.localDescription.sdp)  # type: ignore[union-attr]
                    assert offered and {(port, kind) for _, port, kind in offered} == {(ports.port, "host")}
                await asyncio.gather(sees_pictures(leaving), sees_pictures(staying))
            await sees_pictures(staying)
            shared = ports._sockets["127.0.0.1"]
            assert len(shared._by_user_name) == 1
        assert not shared._by_user_name and not shared._by_peer and not shared.by_transaction


async def test_addresses_that_lead_here_are_given_out_beside_our_own() -> None:
    network = MediaNetwork(
        ports=PORTS, include=("127.0.0.1/32",), exclude=(), addresses=("203.0.113.9", "127.0.0.1", "2001:db8::9")
    )
    async with stage_port(network) as ports, pair(OwnSockets()) as peers:
        offered = candidates(peers.sending.peer._connection.localDescription.sdp)  # type: ignore[union-attr]
        # our own address once, and nothing of IPv6, because there is no socket behind it
        assert offered == [("127.0.0.1", ports.port, "host"), ("203.0.113.9", ports.port, "srflx")]
        await sees_pictures(peers)


async def test_a_taken_port_is_left_to_its_owner_and_named_if_there_is_no_other() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        other.bind(("127.0.0.1", 0))
        taken = other.getsockname()[1]
        one = MediaNetwork(ports=PortRange(first=taken, last=taken), include=("lo",), exclude=())
        with pytest.raises(AddressUnavailable, match=str(taken)):
            await open_media_ports(one)
        if taken < 65_535:
            two = MediaNetwork(ports=PortRange(first=taken, last=min(taken + 50, 65_535)), include=("lo",), exclude=())
            async with stage_port(two) as ports:
                assert taken < ports.port


async def test_two_stages_take_two_ports() -> None:
    one, two = MediaPorts(LOOPBACK), MediaPorts(LOOPBACK)
    await asyncio.gather(one.open(), two.open())
    assert one.port != two.port
    await one.aclose()
    await two.aclose()


async def test_new_addresses_are_followed() -> None:
    own = [OwnAddress(interface="lo", address="127.0.0.1")]
    ports = MediaPorts(LOOPBACK, own=lambda: own)
    await ports.open()
    own.append(OwnAddress(interface="lo", address="127.0.0.2"))
    await ports.refresh()
    assert set(ports._sockets) == {"127.0.0.1", "127.0.0.2"}
    own.pop(0)
    await ports.refresh()
    assert set(ports._sockets) == {"127.0.0.2"}
    await ports.aclose()


async def test_what_strangers_send_reaches_no_viewer() -> None:
    async with stage_port() as ports, pair(OwnSockets()) as peers:
        shared = ports._sockets["127.0.0.1"]
        (user_name,) = shared._by_user_name
        wrong = stun.Message(stun.Method.BINDING, stun.Class.REQUEST)
        wrong.attributes["USERNAME"] = f"{user_name}:abcd"
        wrong.add_message_integrity(b"not the password")
        unknown = stun.Message(stun.Method.BINDING, stun.Class.REQUEST)
        unknown.attributes["USERNAME"] = "nobody:abcd"
        response = stun.Message(stun.Method.BINDING, stun.Class.RESPONSE)
        known = len(shared._by_peer)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
            for data in (
                b"",
                b"\x00",
                bytes(wrong),
                bytes(unknown),
                bytes(response),
                bytes(wrong)[:30],
                b"\x00\x01\x00\x08\x21\x12\xa4\x42" + bytes(12) + b"\x00\x06\xff\xff",
                b"\x16\xfe\xff" + bytes(40),
                b"\x80\x60" + bytes(100),
            ):
                stranger.sendto(data, ("127.0.0.1", ports.port))
        await sees_pictures(peers)
        assert len(shared._by_peer) == known


async def test_an_address_moves_only_by_an_authenticated_check() -> None:
    async with stage_port() as ports, pair(OwnSockets()) as one, pair(OwnSockets()) as two:
        shared = ports._sockets["127.0.0.1"]
        owners = dict(shared._by_peer)
        peer, owner = next(iter(owners.items()))
        other = next(seat for seat in owners.values() if seat is not owner)
        for key, moves in (("guessed", False), (other.receiver.local_password, True)):
            check = stun.Message(stun.Method.BINDING, stun.Class.REQUEST)
            check.attributes["USERNAME"] = f"{other.user_name}:{other.receiver.remote_username}"
            check.attributes["PRIORITY"] = 1
            check.attributes["ICE-CONTROLLING"] = 1
            check.add_message_integrity(key.encode())
            shared.datagram_received(bytes(check), peer)
            assert shared._by_peer[peer] is (other if moves else owner)
        shared.learn(owner, peer)
        for number in range(2 * media_ports.MAX_PEERS_PER_SEAT):
            shared.learn(other, ("192.0.2.1", 1024 + number))
        assert len(other.peers) == media_ports.MAX_PEERS_PER_SEAT
        for number in range(2 * media_ports.MAX_PEERS_PER_SEAT):
            shared.learn(owner, ("192.0.2.1", 1024 + number))
        shared.learn(owner, peer)
        assert one.receiving is not two.receiving


def check_for(seat: media_ports._Seat) -> bytes:
    """Return a connectivity check that the seat's viewer could have sent."""
    check = stun.Message(stun.Method.BINDING, stun.Class.REQUEST)
    check.attributes["USERNAME"] = f"{seat.user_name}:{seat.receiver.remote_username}"
    check.attributes["PRIORITY"] = 1
    check.attributes["ICE-CONTROLLING"] = 1
    check.add_message_integrity(seat.receiver.local_password.encode())
    return bytes(check)


async def test_a_flood_of_checks_is_read_up_to_a_bound_and_counted() -> None:
    async with stage_port() as ports, pair(OwnSockets()) as peers:
        shared = ports._sockets["127.0.0.1"]
        (seat,) = shared._by_user_name.values()
        peer, check = next(iter(seat.peers)), check_for(seat)
        flood = 10 * media_ports.CHECKS_AT_ONCE
        for _ in range(flood):
            shared.datagram_received(check, peer)
        assert ports.figures().refused >= flood - media_ports.CHECKS_AT_ONCE - media_ports.CHECKS_PER_S
        await sees_pictures(peers)


async def test_long_datagrams_are_refused_and_counted() -> None:
    async with stage_port() as ports, pair(OwnSockets()) as peers:
        before = ports.figures().refused
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
            for size in (1501, 65_507):
                stranger.sendto(b"\x00\x01" + bytes(size - 2), ("127.0.0.1", ports.port))
        await peers.feed.until(lambda: ports.figures().refused == before + 2)
        await sees_pictures(peers)


@pytest.mark.parametrize(("before", "name"), [(0, "abcdefgh"), (15, "abcdefgh"), (16, None), (300, None)])
def test_a_user_name_is_looked_for_in_the_first_attributes_alone(before: int, name: str | None) -> None:
    """An attribute without a value has four bytes: 65,507 bytes of them took 8 ms."""
    attributes = b"\x80\x22\0\0" * before + b"\0\x06\0\x0dabcdefgh:abcd\0\0\0"
    assert media_ports._user_name(bytes(20) + attributes) == name


async def test_packets_that_the_kernel_does_not_take_are_dropped_and_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    async with stage_port() as ports, pair(OwnSockets()) as peers:
        await sees_pictures(peers)
        before = ports.figures()
        assert before.receive_buffer_bytes > 0 and before.send_buffer_bytes > 0 and before.unsent == 0
        monkeypatch.setattr(media_ports, "MAX_UNSENT_BYTES", -1)
        with anyio.fail_after(20):
            await peers.feed.until(lambda: ports.figures().unsent > 3)
        monkeypatch.undo()
        await sees_pictures(peers)


async def test_datagrams_that_the_kernel_drops_are_counted() -> None:
    ports = MediaPorts(LOOPBACK)
    await ports.open()
    raw = ports._sockets["127.0.0.1"].raw
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as flood:
        for _ in range(100):
            flood.sendto(bytes(1000), ("127.0.0.1", ports.port))  # nobody reads: the loop does not run
    assert ports.figures().dropped > 0
    await ports.aclose()
