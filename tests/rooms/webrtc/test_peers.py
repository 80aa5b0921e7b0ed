"""A sending and a receiving peer over real WebRTC: what the sending one changes in its library takes effect."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Literal

import anyio
import av
import pytest
from aiortc import RTCCertificate
from aiortc.rtcdtlstransport import generate_certificate
from aiortc.rtp import RTCP_PSFB_FIR, RTCP_PSFB_PLI, RtcpPsfbPacket
from cryptography.hazmat.primitives.asymmetric import rsa

from tests.rooms.media import BLOCK, Feed, HeardEvents
from tests.rooms.offers import make_offer
from visavis.rooms.port import EncodedPacket, MediaKind
from visavis.rooms.spec import IceServer
from visavis.rooms.webrtc.counting_peer import CountingPeer
from visavis.rooms.webrtc.receiving_peer import ReceivingPeer
from visavis.rooms.webrtc.sender_reports import ntp_timestamp, unix_time_s
from visavis.rooms.webrtc.sending_peer import SendingPeer

START_NS = 1_700_000_000_000_000_000


class PeerAsSink:
    """A sending peer that `Feed` can publish to, and what it told."""

    takes: Literal["encoded"] = "encoded"
    watched = True

    def __init__(self, events: HeardEvents) -> None:
        self.peer = SendingPeer(self, wall_clock_at_start_ns=START_NS, ice_servers=())
        self._events = events
        self.connected = self.disconnected = self.sent = 0

    def publish(self, item: EncodedPacket) -> None:
        self.peer.send(item)

    def drop_backlog(self) -> None:
        self.peer.drop_backlog()

    async def aclose(self) -> None:
        await self.peer.aclose()

    def peer_connected(self) -> None:
        self.connected += 1
        self._events.keyframe_wanted(joining=True)

    def keyframe_wanted(self) -> None:
        self._events.keyframe_wanted(joining=False)

    def video_sent(self) -> None:
        self.sent += 1

    def peer_disconnected(self) -> None:
        self.disconnected += 1


@dataclass
class Pair:
    sending: PeerAsSink
    receiving: ReceivingPeer
    events: HeardEvents
    feed: Feed


@asynccontextmanager
async def pair(receiving: ReceivingPeer) -> AsyncIterator[Pair]:
    events = HeardEvents()
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


def test_a_picture_and_a_block_carry_the_unix_time_of_their_positions() -> None:
    async def scenario() -> None:
        async with pair(ReceivingPeer()) as made:
            pictures, sound = made.receiving.pictures(), made.receiving.sound()
            came = asyncio.gather(anext(pictures), anext(sound))
            await made.feed.until(lambda: came.done() and made.receiving.synchronised)
            picture, block = await came
            came_of: tuple[tuple[MediaKind, av.VideoFrame | av.AudioFrame, int, int], ...] = (
                ("video", picture, 2 * BLOCK, 0),
                ("audio", block, BLOCK, 312),
            )
            for kind, frame, step, offset in came_of:
                assert frame.pts is not None
                at_s = made.receiving.media_time_s(kind, frame.pts, arrived_s=0) - START_NS / 1e9
                position = at_s * 48_000 + offset
                assert position == pytest.approx(round(position / step) * step, abs=1), kind
                assert 0 <= position < made.feed.position

    asyncio.run(scenario())


def test_the_first_report_comes_with_the_first_packets() -> None:
    async def scenario() -> None:
        async with pair(ReceivingPeer()) as made:
            first = made.feed.position
            await made.feed.until(lambda: made.receiving.synchronised)
            assert made.feed.position - first < 0.4 * 48_000, "the library's own comes after 0.5 s at the earliest"

    asyncio.run(scenario())


@pytest.mark.parametrize("request_format", [RTCP_PSFB_PLI, RTCP_PSFB_FIR])
def test_a_keyframe_request_is_told(request_format: int) -> None:
    async def scenario() -> None:
        async with pair(ReceivingPeer()) as made:
            asked = made.events.keyframes_wanted.count("missing")
            assert made.sending.peer._connection is not None
            sender = made.sending.peer._connection.getSenders()[0]
            await sender._handle_rtcp_packet(RtcpPsfbPacket(fmt=request_format, ssrc=1, media_ssrc=2))
            assert made.events.keyframes_wanted.count("missing") == asked + 1

    asyncio.run(scenario())


class RsaPeer(ReceivingPeer):
    """A viewer whose certificate is RSA. `setup`: its DTLS role, active for a client."""

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
        async with pair(RsaPeer(setup)) as made:
            came = asyncio.gather(anext(made.receiving.pictures()), anext(made.receiving.sound()))
            await made.feed.until(came.done)
            picture, block = await came
            assert picture.width > 0 and block.samples > 0

    asyncio.run(scenario())


def test_the_other_sides_goodbye_is_told() -> None:
    async def scenario() -> None:
        async with pair(ReceivingPeer()) as made:
            assert made.sending.connected == 1 and not made.sending.disconnected
            await made.receiving.aclose()
            await made.feed.until(lambda: made.sending.disconnected > 0)

    asyncio.run(scenario())


def test_counted_pictures_are_those_that_were_sent() -> None:
    async def scenario() -> None:
        peer = CountingPeer()
        async with pair(peer) as made:
            counts: list[int] = []

            def twenty_counted() -> bool:
                counts.append(peer.read()[0])
                return sum(counts) >= 20

            before = made.sending.sent
            await made.feed.until(twenty_counted)
            assert sum(counts) <= made.sending.sent
            assert made.sending.sent - before <= sum(counts) + 2, "all but what is on its way"

    asyncio.run(scenario())


def test_a_stun_server_that_does_not_answer_holds_an_answer_up_for_a_second() -> None:
    async def scenario() -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
            silent.bind(("127.0.0.1", 0))
            server = IceServer(url=f"stun:127.0.0.1:{silent.getsockname()[1]}")
            sink = PeerAsSink(HeardEvents())
            peer = SendingPeer(sink, wall_clock_at_start_ns=0, ice_servers=(server,))
            try:
                with anyio.fail_after(4):  # the library waits 5 s
                    answer = await peer.answer(await make_offer("video", "audio"), ("video", "audio"))
            finally:
                await peer.aclose()
        assert " typ host" in answer

    asyncio.run(scenario())


def test_closing_a_peer_twice_or_unopened_does_nothing() -> None:
    async def scenario() -> None:
        sink = PeerAsSink(HeardEvents())
        await sink.peer.aclose()
        await sink.peer.answer(await make_offer("video"), ("video",))
        await sink.peer.aclose()
        await sink.peer.aclose()
        sink.publish(EncodedPacket(kind="audio", data=b"", position=0))
        await ReceivingPeer().aclose()

    asyncio.run(scenario())


def test_an_ntp_timestamp_is_its_unix_time() -> None:
    assert ntp_timestamp(0) == 2_208_988_800 << 32
    assert unix_time_s(ntp_timestamp(START_NS + 500_000_000)) == START_NS / 1e9 + 0.5
