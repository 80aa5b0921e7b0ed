"""A sending and a receiving peer over real WebRTC: the changes that the sending peer makes to its library work."""

from __future__ import annotations

import asyncio
import itertools
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Literal

import anyio
import av
import pytest
from aioice import stun
from aioice.ice import StunProtocol
from aiortc import RTCCertificate
from aiortc.rtcdtlstransport import generate_certificate
from aiortc.rtp import RTCP_PSFB_FIR, RTCP_PSFB_PLI, RTCP_RTPFB_NACK, RtcpPsfbPacket, RtcpRtpfbPacket
from cryptography.hazmat.primitives.asymmetric import rsa

from tests.rooms.media import BLOCK, Feed, RecordedEvents
from tests.rooms.offers import make_offer
from visavis.rooms.port import EncodedPacket, MediaKind
from visavis.rooms.spec import IceServer
from visavis.rooms.webrtc import inbound_gate
from visavis.rooms.webrtc.counting_peer import CountingPeer
from visavis.rooms.webrtc.ice_settings import MAX_ADDRESSES, MAX_DATAGRAM_BYTES, MAX_UNREAD_DATAGRAMS
from visavis.rooms.webrtc.private.datagrams import on_datagram
from visavis.rooms.webrtc.private.reports import send_rtcp
from visavis.rooms.webrtc.receiving_peer import ReceivingPeer
from visavis.rooms.webrtc.rtp import is_rtp
from visavis.rooms.webrtc.send_path import SendPath
from visavis.rooms.webrtc.sender_reports import ntp_timestamp, unix_time_s
from visavis.rooms.webrtc.sending_peer import SendingPeer

START_NS = 1_700_000_000_000_000_000


class PeerAsSink:
    """A sending peer as a sink for `Feed`. Counts the peer's events."""

    takes: Literal["encoded"] = "encoded"
    watched = True

    def __init__(self, events: RecordedEvents, *, ice_servers: tuple[IceServer, ...] = ()) -> None:
        self.path = SendPath(self)
        self.peer = SendingPeer(self, self.path, wall_clock_at_start_ns=START_NS, ice_servers=ice_servers)
        self._events = events
        self.connected = self.disconnected = self.sent = 0

    def publish(self, item: EncodedPacket) -> None:
        self.path.publish(item)

    def drop_backlog(self) -> int | None:
        return self.path.drop_backlog()

    async def aclose(self) -> None:
        await self.peer.aclose()

    def peer_connected(self) -> None:
        self.connected += 1
        self._events.keyframe_wanted(joining=True)

    def keyframe_wanted(self) -> None:
        self._events.keyframe_wanted(joining=False)

    def media_sent(self, kind: MediaKind, position: int) -> None:
        self.sent += kind == "video"

    def peer_disconnected(self) -> None:
        self.disconnected += 1


@dataclass
class Pair:
    sending: PeerAsSink
    receiving: ReceivingPeer
    events: RecordedEvents
    feed: Feed


@asynccontextmanager
async def pair(receiving: ReceivingPeer) -> AsyncIterator[Pair]:
    events = RecordedEvents()
    sending = PeerAsSink(events)
    feed = Feed(sending, events)
    try:
        answer = await sending.peer.answer(await receiving.offer(), ("video", "audio"))
        accepting = asyncio.create_task(receiving.accept(answer))
        with anyio.fail_after(20):
            await feed.until(lambda: sending.connected > 0 and accepting.done())
            yield Pair(sending, receiving, events, feed)
    finally:
        await receiving.aclose()
        await sending.peer.aclose()


def test_pictures_and_sound_have_the_unix_time_of_their_positions() -> None:
    async def scenario() -> None:
        async with pair(ReceivingPeer()) as peers:
            pictures, sound = peers.receiving.pictures(), peers.receiving.sound()
            firsts = asyncio.gather(anext(pictures), anext(sound))
            await peers.feed.until(lambda: firsts.done() and peers.receiving.synchronised)
            picture, block = await firsts
            frames: tuple[tuple[MediaKind, av.VideoFrame | av.AudioFrame, int, int], ...] = (
                ("video", picture, 2 * BLOCK, 0),
                ("audio", block, BLOCK, 312),
            )
            for kind, frame, step, offset in frames:
                assert frame.pts is not None
                at_s = peers.receiving.media_time_s(kind, frame.pts, arrived_s=0) - START_NS / 1e9
                position = at_s * 48_000 + offset
                assert position == pytest.approx(round(position / step) * step, abs=1), kind
                assert 0 <= position < peers.feed.position

    asyncio.run(scenario())


def test_the_first_report_comes_with_the_first_packets() -> None:
    async def scenario() -> None:
        async with pair(ReceivingPeer()) as peers:
            first = peers.feed.position
            await peers.feed.until(lambda: peers.receiving.synchronised)
            assert peers.feed.position - first < 0.4 * 48_000, (
                "the library's own first report comes after at least 0.5 s"
            )

    asyncio.run(scenario())


def test_a_viewer_reports_its_round_trip_and_what_it_lost() -> None:
    async def scenario() -> None:
        async with pair(ReceivingPeer()) as peers:
            peer = peers.sending.peer
            await peers.feed.until(lambda: peer.quality()[0] is not None)
            round_trip_ms, lost_share = peer.quality()
            assert round_trip_ms is not None and 0 <= round_trip_ms < 10_000 and lost_share == 0.0
            packets, size_bytes = peer.sent_counts()
            assert packets > 20 and size_bytes > packets
            assert peer.dropped("video") == peer.dropped("audio") == 0

    asyncio.run(scenario())


@pytest.mark.parametrize("request_format", [RTCP_PSFB_PLI, RTCP_PSFB_FIR])
def test_a_keyframe_request_is_an_event(request_format: int) -> None:
    async def scenario() -> None:
        async with pair(ReceivingPeer()) as peers:
            before = peers.events.keyframes_wanted.count("missing")
            assert peers.sending.peer._connection is not None
            sender = peers.sending.peer._connection.getSenders()[0]
            await sender._handle_rtcp_packet(RtcpPsfbPacket(fmt=request_format, ssrc=1, media_ssrc=2))
            assert peers.events.keyframes_wanted.count("missing") == before + 1

    asyncio.run(scenario())


class RsaPeer(ReceivingPeer):
    """A viewer with an RSA certificate. `setup`: its DTLS role; "active" is that of a client."""

    def __init__(self, setup: str) -> None:
        super().__init__()
        self._setup = setup

    async def offer(self) -> str:
        key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        with pytest.MonkeyPatch.context() as patch:
            certificate = RTCCertificate(key, generate_certificate(key))  # type: ignore[arg-type]
            patch.setattr(RTCCertificate, "generateCertificate", lambda: certificate)
            return (await super().offer()).replace("a=setup:actpass", f"a=setup:{self._setup}")


@pytest.mark.parametrize("setup", ["actpass", "active"])
def test_a_viewer_with_an_rsa_certificate_gets_pictures_and_sound(setup: str) -> None:
    async def scenario() -> None:
        async with pair(RsaPeer(setup)) as peers:
            firsts = asyncio.gather(anext(peers.receiving.pictures()), anext(peers.receiving.sound()))
            await peers.feed.until(firsts.done)
            picture, block = await firsts
            assert picture.width > 0 and block.samples > 0

    asyncio.run(scenario())


def test_a_disconnection_by_the_other_side_is_an_event() -> None:
    async def scenario() -> None:
        async with pair(ReceivingPeer()) as peers:
            assert peers.sending.connected == 1 and not peers.sending.disconnected
            await peers.receiving.aclose()
            await peers.feed.until(lambda: peers.sending.disconnected > 0)

    asyncio.run(scenario())


def test_a_counting_peer_counts_the_pictures_that_were_sent() -> None:
    async def scenario() -> None:
        peer = CountingPeer()
        async with pair(peer) as peers:
            counts: list[int] = []

            def twenty_counted() -> bool:
                video, audio = peer.read()
                assert not audio.missing
                counts.append(video.received)
                return sum(counts) >= 20

            before = peers.sending.sent
            await peers.feed.until(twenty_counted)
            assert sum(counts) <= peers.sending.sent
            assert peers.sending.sent - before <= sum(counts) + 2, "all except those on their way"

    asyncio.run(scenario())


def test_a_viewer_that_loses_packets_gets_every_picture_at_its_time_and_asks_for_no_keyframe() -> None:
    async def scenario() -> None:
        peer = ReceivingPeer()
        async with pair(peer) as peers:
            pictures = peer.pictures()
            await_first = asyncio.ensure_future(anext(pictures))
            await peers.feed.until(await_first.done)
            lost: list[int] = []

            def loses(data: bytes) -> bool:
                """Every fifth packet is lost, but nothing that is sent again."""
                sequence = int.from_bytes(data[2:4])
                if not is_rtp(data) or data[1] & 0x7F != 97 or sequence % 5:
                    return False
                lost.append(sequence)
                return True

            on_datagram(peer._receivers["video"].transport, loses)
            keyframes = peers.events.keyframes_wanted.count("missing")
            shown: list[int] = []

            async def show() -> None:
                async for picture in pictures:
                    assert picture.pts is not None
                    shown.append(picture.pts)

            showing = asyncio.create_task(show())
            await peers.feed.until(lambda: len(shown) >= 40)
            assert len(lost) >= 8
            assert {after - before for before, after in itertools.pairwise(shown)} == {3600}
            assert peers.sending.peer.resend_counts()[0] >= len(lost) - 1, "the last one may be on its way"
            assert peers.events.keyframes_wanted.count("missing") == keyframes
            showing.cancel()

    asyncio.run(scenario())


@pytest.mark.parametrize("setup", ["actpass", "active"])
def test_no_datagram_is_longer_than_a_path_of_1280_bytes_carries(setup: str, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes: dict[tuple[object, str], int] = {}  # the longest, by who receives them and what they carry
    receive = StunProtocol.datagram_received

    def datagram_received(protocol: StunProtocol, data: bytes, address: tuple[str, int]) -> None:
        kind = "handshake" if 20 <= data[0] < 64 else "media" if is_rtp(data) else "other"
        key = protocol.receiver, kind
        sizes[key] = max(sizes.get(key, 0), len(data))
        receive(protocol, data, address)

    monkeypatch.setattr(StunProtocol, "datagram_received", datagram_received)

    async def scenario() -> None:
        async with pair(RsaPeer(setup)) as peers:
            viewer = peers.receiving._receivers["video"].transport.transport._connection
            first = asyncio.ensure_future(anext(peers.receiving.pictures()))
            await peers.feed.until(first.done)
            large = EncodedPacket(kind="video", data=bytes(20_000), position=peers.feed.position, keyframe=True)
            peers.sending.publish(large)
            await peers.feed.until(lambda: sizes[viewer, "media"] > 1000)
            for kind in ("handshake", "media", "other"):
                assert 0 < sizes[viewer, kind] <= 1280 - 40 - 8 - 4, f"{kind}, with IPv6, UDP and a TURN channel"

    asyncio.run(scenario())


def test_a_flood_of_reports_is_read_up_to_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inbound_gate, "REPORTS_AT_ONCE", 10)

    async def scenario() -> None:
        async with pair(ReceivingPeer()) as peers:
            peer = peers.sending.peer
            transport = peers.receiving._receivers["video"].transport
            report = RtcpRtpfbPacket(fmt=RTCP_RTPFB_NACK, ssrc=1, media_ssrc=1, lost=[1, 2, 3])
            while peer.resend_counts()[1] < 10:
                await send_rtcp(transport, report)
                await asyncio.sleep(0)
            first = asyncio.ensure_future(anext(peers.receiving.pictures()))
            await peers.feed.until(first.done)

    asyncio.run(scenario())


def test_a_stun_server_that_does_not_answer_delays_an_answer_by_one_second_only() -> None:
    async def scenario() -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
            silent.bind(("127.0.0.1", 0))
            server = IceServer(url=f"stun:127.0.0.1:{silent.getsockname()[1]}")
            peer = PeerAsSink(RecordedEvents(), ice_servers=(server,)).peer
            try:
                with anyio.fail_after(4):  # the library waits 5 s
                    answer = await peer.answer(await make_offer("video", "audio"), ("video", "audio"))
            finally:
                await peer.aclose()
        assert " typ host" in answer

    asyncio.run(scenario())


def test_closing_a_peer_twice_or_before_its_answer_does_nothing() -> None:
    async def scenario() -> None:
        sink = PeerAsSink(RecordedEvents())
        await sink.peer.aclose()
        await sink.peer.answer(await make_offer("video"), ("video",))
        await sink.peer.aclose()
        await sink.peer.aclose()
        sink.publish(EncodedPacket(kind="audio", data=b"", position=0))
        await ReceivingPeer().aclose()

    asyncio.run(scenario())


def test_a_unix_time_survives_conversion_to_ntp_and_back() -> None:
    assert ntp_timestamp(0) == 2_208_988_800 << 32
    assert unix_time_s(ntp_timestamp(START_NS + 500_000_000)) == START_NS / 1e9 + 0.5


def host_address(answer: str) -> tuple[str, int]:
    """Return the address of the answer's first candidate."""
    words = next(line for line in answer.splitlines() if line.startswith("a=candidate:")).split()
    return words[4], int(words[5])


def datagram_socket(to: tuple[str, int]) -> socket.socket:
    opened = socket.socket(socket.AF_INET6 if ":" in to[0] else socket.AF_INET, socket.SOCK_DGRAM)
    opened.connect(to)
    opened.setblocking(False)
    return opened


def value_of(name: str, sdp: str) -> str:
    return next(line for line in sdp.splitlines() if line.startswith(f"a={name}:")).partition(":")[2]


def connectivity_check(offer: str, answer: str) -> bytes:
    """Return a check (RFC 8445, section 7.2.2) by the viewer that has made the offer."""
    request = stun.Message(message_method=stun.Method.BINDING, message_class=stun.Class.REQUEST)
    username = f"{value_of('ice-ufrag', answer)}:{value_of('ice-ufrag', offer)}"
    request.attributes |= {"USERNAME": username, "PRIORITY": 1, "ICE-CONTROLLING": 2**63}
    request.add_message_integrity(value_of("ice-pwd", answer).encode())
    return bytes(request)


def test_checks_from_more_and_more_addresses_are_answered_and_few_addresses_are_kept() -> None:
    async def scenario() -> None:
        sink = PeerAsSink(RecordedEvents())
        offer = await make_offer("video")
        loop = asyncio.get_running_loop()
        try:
            answer = await sink.peer.answer(offer, ("video",))
            for _ in range(3 * MAX_ADDRESSES):
                with datagram_socket(host_address(answer)) as own, anyio.fail_after(5):
                    await loop.sock_sendall(own, connectivity_check(offer, answer))
                    reply = stun.parse_message(await loop.sock_recv(own, 2048))
                assert reply.message_class is stun.Class.RESPONSE
            assert sink.peer._connection is not None
            ice = sink.peer._connection.getSenders()[0].transport.transport
            assert len(ice.getRemoteCandidates()) == MAX_ADDRESSES
        finally:
            await sink.peer.aclose()

    asyncio.run(scenario())


def test_data_before_the_handshake_is_kept_from_known_addresses_and_up_to_a_bound(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(inbound_gate, "HANDSHAKES_AT_ONCE", 10 * MAX_UNREAD_DATAGRAMS)

    async def scenario() -> None:
        sink = PeerAsSink(RecordedEvents())
        offer = await make_offer("video")
        loop = asyncio.get_running_loop()
        try:
            answer = await sink.peer.answer(offer, ("video",))
            assert sink.peer._connection is not None
            unread = sink.peer._connection.getSenders()[0].transport.transport._connection._queue
            with datagram_socket(host_address(answer)) as viewer, datagram_socket(host_address(answer)) as stranger:
                await loop.sock_sendall(viewer, connectivity_check(offer, answer))
                with anyio.fail_after(5):
                    while unread.qsize() < MAX_UNREAD_DATAGRAMS:
                        await loop.sock_sendall(stranger, b"\x17" * MAX_DATAGRAM_BYTES)
                        await loop.sock_sendall(viewer, b"\x16" * (MAX_DATAGRAM_BYTES + 1))
                        await loop.sock_sendall(viewer, b"\x16" * MAX_DATAGRAM_BYTES)
                        await asyncio.sleep(0)
                for _ in range(100):
                    await loop.sock_sendall(viewer, b"\x16" * MAX_DATAGRAM_BYTES)
                    await asyncio.sleep(0)
            assert unread.qsize() == MAX_UNREAD_DATAGRAMS
            kept = [unread.get_nowait() for _ in range(MAX_UNREAD_DATAGRAMS)]
            assert all(item is not None and item[0] == b"\x16" * MAX_DATAGRAM_BYTES for item in kept)
        finally:
            await sink.peer.aclose()

    asyncio.run(scenario())
