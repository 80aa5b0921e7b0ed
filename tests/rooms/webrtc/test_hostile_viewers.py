"""What a viewer may send over its own connection: nothing of it ends the connection, is told as an exception, or fills
memory.
"""

from __future__ import annotations

import asyncio
import logging
import struct

import pytest
from aiortc import RTCDtlsTransport

from tests.rooms.webrtc.test_peers import Pair, pair
from visavis.rooms.webrtc.inbound_gate import MAX_SOURCES
from visavis.rooms.webrtc.receiving_peer import ReceivingPeer

SENT_TIME_OF_TWO_BYTES = (
    b"\xbe\xde" + struct.pack("!H", 4) + b"".join(bytes([number << 4 | 1]) + bytes(2) for number in range(1, 6))
)


def rtcp(kind: int, count: int, body: bytes) -> bytes:
    return struct.pack("!BBH", 0x80 | count, kind, len(body) // 4) + body


def bitrate_report(sources: int) -> bytes:
    """Return a REMB that names more sources than it lists."""
    return rtcp(206, 15, struct.pack("!LL", 1, 0) + b"REMB" + bytes([sources, 0, 0, 1]))


STRANGE = {
    "a bit rate for 255 sources that are missing": bitrate_report(255),
    "a picture of a viewer": b"\x80\x60" + bytes(30),
    "header extensions that are too short": b"\x90\x60" + bytes(10) + SENT_TIME_OF_TWO_BYTES + bytes(8),
    "a report of no length": rtcp(201, 31, bytes(4)),
    "an unknown kind of report": rtcp(207, 0, bytes(8)),
}


def transport_of(peers: Pair) -> RTCDtlsTransport:
    """Return the viewer's own transport."""
    transport: RTCDtlsTransport = peers.receiving._receivers["video"].transport
    return transport


async def sees_pictures(peers: Pair, count: int) -> None:
    pictures = peers.receiving.pictures()
    for _ in range(count):
        following = asyncio.ensure_future(anext(pictures))
        await peers.feed.until(following.done)
        await following


@pytest.mark.parametrize("name", STRANGE)
def test_packets_that_nobody_can_read_change_nothing(name: str, caplog: pytest.LogCaptureFixture) -> None:
    async def scenario() -> None:
        async with pair(ReceivingPeer()) as peers:
            await transport_of(peers)._send_rtp(STRANGE[name])
            await sees_pictures(peers, 5)
            assert not peers.sending.disconnected

    asyncio.run(scenario())
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


@pytest.mark.parametrize("first", [0x00, 0x16, 0x50, 0x80, 0xC0])
@pytest.mark.parametrize("size", [1, 2, 12, 1500, 1501, 2048, 65_507])
def test_datagrams_of_every_length_change_nothing(first: int, size: int, caplog: pytest.LogCaptureFixture) -> None:
    """They come from the viewer's address, which anybody may forge."""

    async def scenario() -> None:
        async with pair(ReceivingPeer()) as peers:
            ice = transport_of(peers).transport._connection
            nominated = ice._nominated[1]
            for second in (0x00, 0x60, 0xC9):
                nominated.protocol.transport.sendto(
                    (bytes([first, second]) + bytes(size))[:size], nominated.remote_addr
                )
            await sees_pictures(peers, 3)
            assert not peers.sending.disconnected

    asyncio.run(scenario())
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


def test_reports_from_ever_new_sources_are_read_from_a_few() -> None:
    """libsrtp keeps the state of each source of a connection for good."""

    async def scenario() -> None:
        async with pair(ReceivingPeer()) as peers:
            for source in range(10 * MAX_SOURCES):
                await transport_of(peers)._send_rtp(rtcp(201, 0, struct.pack("!L", source)))
            await sees_pictures(peers, 5)
            _, refused = peers.sending.peer.resend_counts()
            assert 9 * MAX_SOURCES <= refused <= 10 * MAX_SOURCES

    asyncio.run(scenario())
