"""What anybody sends to the port of a stage, and what a viewer sends over its connection: nothing ends the connection,
nothing is told as an exception, and what is kept of it is bounded.
"""

from __future__ import annotations

import hmac
import struct
import zlib
from unittest.mock import patch

from aioice.stun import ATTRIBUTES
from hypothesis import given
from hypothesis import strategies as st

from tests.fuzz.connection import connected
from tests.fuzz.scale import examples
from visavis.rooms.webrtc.allowance import Allowance
from visavis.rooms.webrtc.ice_settings import MAX_ADDRESSES
from visavis.rooms.webrtc.media_ports import MAX_PEERS_PER_SEAT

COOKIE = 0x2112A442
USERNAME, INTEGRITY, FINGERPRINT = 0x0006, 0x0008, 0x8028
ADDRESSES = st.tuples(st.sampled_from(["127.0.0.1", "192.0.2.1", "192.0.2.2"]), st.integers(1024, 65_535))
_KINDS = [0x0001, 0x0101, 0x0111, 0x0011, 0x0003, 0x0103, 0x0009]
_ATTRIBUTE = st.tuples(
    st.sampled_from([kind for kind, *_ in ATTRIBUTES]) | st.integers(0, 0xFFFF),
    st.binary(max_size=24) | st.sampled_from([b"", b"\xff" * 4, bytes(8), b"\xff" * 8]),
)
_REPORT_BODY = st.binary(max_size=120).map(lambda data: data + bytes(-len(data) % 4))


def attribute(kind: int, value: bytes) -> bytes:
    return struct.pack("!HH", kind, len(value)) + value + bytes(-len(value) % 4)


def stun(kind: int, transaction: bytes, attributes: list[tuple[int, bytes]], key: bytes | None) -> bytes:
    """Return a STUN message; signed with `key`, and with its fingerprint, if there is one."""
    body = b"".join(attribute(*one) for one in attributes)
    if key is not None:
        head = struct.pack("!HHI12s", kind, len(body) + 24, COOKIE, transaction)
        body += attribute(INTEGRITY, hmac.new(key, head + body, "sha1").digest())
        head = struct.pack("!HHI12s", kind, len(body) + 8, COOKIE, transaction)
        body += attribute(FINGERPRINT, struct.pack("!I", zlib.crc32(head + body) ^ 0x5354554E))
    return struct.pack("!HHI12s", kind, len(body), COOKIE, transaction) + body


@st.composite
def checks(draw: st.DrawFn) -> bytes:
    """STUN messages of a viewer, who knows the user name and perhaps the password, and may have seen transactions."""
    seat = connected().seat
    transaction, seen = draw(st.binary(min_size=12, max_size=12)), draw(st.integers(0, 7))
    known = sorted(seat.transactions)  # other ones each time: what is drawn must not depend on it
    transaction = known[seen] if seen < len(known) else transaction
    attributes = draw(st.lists(_ATTRIBUTE, max_size=6))
    if draw(st.integers(0, 3)):
        name = draw(st.sampled_from([f"{seat.user_name}:{seat.receiver.remote_username}", f"{seat.user_name}:é", ":"]))
        attributes.insert(0, (USERNAME, name.encode()))
    keys = [None, b"x", seat.receiver.local_password.encode(), str(seat.receiver.remote_password).encode()]
    message = stun(draw(st.sampled_from(_KINDS)), transaction, attributes, draw(st.sampled_from(keys)))
    return message[: draw(st.integers(0, len(message)))] if draw(st.integers(0, 9)) == 0 else message


@examples(few=150, many=30_000)
@given(st.lists(st.tuples(checks() | st.binary(max_size=80), ADDRESSES), max_size=8))
def test_whatever_comes_to_the_port_of_a_stage_is_read_or_dropped(
    datagrams: list[tuple[bytes, tuple[str, int]]],
) -> None:
    one = connected()
    one.seat.checks = Allowance(per_s=1e9, burst=1e9)

    async def receive() -> None:
        for data, address in datagrams:
            one.shared.datagram_received(data, address)
        await one.step()

    one.runner.run(receive())
    one.assert_alive()
    assert len(one.seat.peers) <= MAX_PEERS_PER_SEAT and len(one.ice._remote_candidates) <= MAX_ADDRESSES
    assert len(one.ice._check_list) <= MAX_ADDRESSES * len(one.ice._protocols)


@st.composite
def reports(draw: st.DrawFn) -> bytes:
    """RTCP datagrams of a viewer: several packets, some with our own SSRCs, some cut off."""
    data = b""
    for _ in range(draw(st.integers(1, 4))):
        source = struct.pack("!L", draw(st.sampled_from([*connected().sources, 0, 1])))
        ours = draw(st.integers(0, 2))
        body = draw(_REPORT_BODY)
        body = body[:4] + source + body[8:] if ours == 1 and len(body) >= 8 else source + body if ours == 2 else body
        if draw(st.integers(0, 5)) == 0:
            body = bytes(4) + source + b"REMB" + draw(st.binary(min_size=4, max_size=4)) + body
        length = draw(st.integers(0, 0xFFFF)) if draw(st.integers(0, 9)) == 0 else len(body) // 4
        first = draw(st.integers(0, 255)) if draw(st.integers(0, 9)) == 0 else 0x80 | draw(st.integers(0, 0x3F))
        data += struct.pack("!BBH", first, draw(st.integers(199, 208)), length) + body
    return data


@examples(few=150, many=30_000)
@given(st.lists(reports(), max_size=6))
def test_whatever_a_viewer_reports_is_read_or_passed_over(datagrams: list[bytes]) -> None:
    """Reports of losses reach the C code that sends packets again."""
    one = connected()

    async def receive() -> None:
        for data in datagrams:
            await one.transport._handle_rtcp_data(data)
        await one.step()

    one.runner.run(receive())
    one.assert_alive()


@examples(few=100, many=10_000)
@given(st.lists(st.binary(max_size=1600) | st.binary(max_size=40), max_size=8))
def test_datagrams_from_the_address_of_a_viewer_change_nothing(datagrams: list[bytes]) -> None:
    """Anybody can forge its address. The gate lets all through that it ever would."""
    one = connected()
    peer = next(iter(one.seat.peers))

    async def receive() -> None:
        for data in datagrams:
            one.shared.datagram_received(data, peer)
        await one.step()

    with patch.object(Allowance, "take", return_value=True):
        one.runner.run(receive())
    one.assert_alive()


def test_the_viewer_still_sees_pictures() -> None:
    connected().sees_pictures()
    connected().assert_alive()
