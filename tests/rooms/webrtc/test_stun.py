"""STUN messages as bytes: they are the same as aioice's, which reads and makes each of them with objects."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest
from aioice import stun as theirs
from aioice.ice import StunProtocol
from hypothesis import given
from hypothesis import strategies as st

from visavis.rooms.webrtc.private import stun

KEY, OTHER_KEY = b"k" * 22, b"o" * 22
NUMBER = bytes(range(12))
V4, V6 = ("192.0.2.7", 50_000), ("2001:db8::7", 50_000)


def check(attributes: dict[str, Any] | None = None, *, key: bytes = KEY, user_name: str = "ours:theirs") -> bytes:
    """Return a check as a viewer sends it."""
    message = theirs.Message(theirs.Method.BINDING, theirs.Class.REQUEST, NUMBER)
    message.attributes |= {"USERNAME": user_name, "PRIORITY": 1853824767, **(attributes or {})}
    message.add_message_integrity(key)
    return bytes(message)


def seat(address: tuple[str, int] = V4, *, controlling: bool = False, closing: bool = False) -> StunProtocol:
    """Return the place of a connection whose nominated pair leads to `address`."""
    protocol: Any = SimpleNamespace()
    protocol.receiver = SimpleNamespace(
        _nominated={1: SimpleNamespace(protocol=protocol, remote_addr=address)},
        _closing=closing,
        local_password=KEY.decode(),
        local_username="ours",
        remote_username="theirs",
        ice_controlling=controlling,
    )
    return cast("StunProtocol", protocol)


@pytest.mark.parametrize("address", [V4, V6])
@pytest.mark.parametrize("attributes", [{"ICE-CONTROLLING": 7}, {"ICE-CONTROLLING": 7, "USE-CANDIDATE": None}, {}])
def test_a_check_over_the_chosen_path_gets_the_answer_that_aioice_would_give(
    address: tuple[str, int], attributes: dict[str, Any]
) -> None:
    answer = stun.known_check_answer(seat(address), check(attributes), address)
    expected = theirs.Message(theirs.Method.BINDING, theirs.Class.RESPONSE, NUMBER)
    expected.attributes["XOR-MAPPED-ADDRESS"] = address
    expected.add_message_integrity(KEY)
    assert answer == bytes(expected)


@pytest.mark.parametrize(
    ("protocol", "request_", "address"),
    [
        pytest.param(seat(), check(), ("192.0.2.8", 50_000), id="from another address"),
        pytest.param(seat(), check(), ("192.0.2.7", 50_001), id="from another port"),
        pytest.param(seat(), check(key=OTHER_KEY), V4, id="signed with another key"),
        pytest.param(seat(), check(user_name="ours:other"), V4, id="by another user name"),
        pytest.param(seat(), check({"ICE-CONTROLLED": 7}), V4, id="in our role"),
        pytest.param(seat(controlling=True), check({"ICE-CONTROLLING": 7}), V4, id="in our role, which controls"),
        pytest.param(seat(closing=True), check(), V4, id="while it closes"),
        pytest.param(seat(), check()[:-1], V4, id="cut off"),
        pytest.param(seat(), check()[:20], V4, id="a header alone"),
        pytest.param(seat(), check()[:7], V4, id="less than a header"),
    ],
)
def test_all_else_is_left_to_aioice(protocol: StunProtocol, request_: bytes, address: tuple[str, int]) -> None:
    assert stun.known_check_answer(protocol, request_, address) is None


def test_a_path_that_is_not_chosen_yet_is_left_to_aioice() -> None:
    protocol = seat()
    protocol.receiver._nominated.clear()
    assert stun.known_check_answer(protocol, check(), V4) is None


@pytest.mark.parametrize("address", [V4, V6])
def test_where_the_peer_saw_us_is_read(address: tuple[str, int]) -> None:
    message = theirs.Message(theirs.Method.BINDING, theirs.Class.RESPONSE, NUMBER, {"XOR-MAPPED-ADDRESS": address})
    message.add_message_integrity(KEY)
    attributes = stun.read_signed(bytes(message), KEY)
    assert attributes is not None
    seen = stun.address_seen(bytes(message), attributes)
    assert seen is not None and int.from_bytes(seen[:2]) == address[1] and len(seen) == (18 if ":" in address[0] else 6)
    assert stun.address_seen(bytes(message), {}) is None


def test_what_follows_the_signature_does_not_count() -> None:
    signed = stun.signed(stun.SUCCESS, NUMBER, b"", KEY)
    added = b"\x00\x06\x00\x04evil"
    longer = signed[:2] + (len(signed) - 20 + len(added)).to_bytes(2) + signed[4:] + added
    assert stun.read_signed(signed, KEY) == {} and stun.read_signed(longer, KEY) == {}


@given(st.binary(max_size=120), st.booleans())
def test_nothing_that_comes_in_raises(data: bytes, with_header: bool) -> None:
    if with_header:
        data = b"\x00\x01" + len(data).to_bytes(2) + check()[4:20] + data
    assert stun.read_signed(data, KEY) is None
    assert stun.known_check_answer(seat(), data, V4) is None


@given(st.data())
def test_a_changed_bit_is_noticed(data: st.DataObject) -> None:
    message = bytearray(check({"ICE-CONTROLLING": 7})[:-8])  # without the checksum, which needs no key
    message[2:4] = (len(message) - 20).to_bytes(2)
    bit = data.draw(st.integers(0, len(message) * 8 - 1))
    message[bit // 8] ^= 1 << bit % 8
    assert stun.read_signed(bytes(message), KEY) is None
