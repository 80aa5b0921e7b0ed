"""Which datagrams of a viewer are read, on a virtual clock."""

from __future__ import annotations

import struct

import pytest

from visavis.rooms.webrtc.allowance import Allowance
from visavis.rooms.webrtc.inbound_gate import (
    HANDSHAKES_AT_ONCE,
    HANDSHAKES_PER_S,
    MAX_SOURCES,
    REPORTS_AT_ONCE,
    REPORTS_PER_S,
    InboundGate,
)

HANDSHAKE = b"\x16\xfe\xfd" + bytes(40)


def report(source: int = 1) -> bytes:
    return struct.pack("!BBHL", 0x81, 205, 3, source) + bytes(12)


def test_the_reports_of_a_browser_on_a_bad_network_are_all_read() -> None:
    gate = InboundGate()
    assert all(gate.lets_in(report(), number / 60) for number in range(60 * 60))
    assert gate.refused == 0


@pytest.mark.parametrize(
    ("datagram", "per_s", "at_once"),
    [(report(), REPORTS_PER_S, REPORTS_AT_ONCE), (HANDSHAKE, HANDSHAKES_PER_S, HANDSHAKES_AT_ONCE)],
)
def test_a_flood_is_read_up_to_a_bound_and_the_rest_is_counted(datagram: bytes, per_s: int, at_once: int) -> None:
    gate = InboundGate()
    read = sum(gate.lets_in(datagram, number / 10_000) for number in range(10 * 10_000))
    assert at_once + 10 * per_s - 2 <= read <= at_once + 10 * per_s
    assert gate.refused == 10 * 10_000 - read


def test_a_flood_of_one_kind_leaves_the_other_its_part() -> None:
    gate = InboundGate()
    assert sum(gate.lets_in(HANDSHAKE, 0.0) for _ in range(10 * HANDSHAKES_AT_ONCE)) == HANDSHAKES_AT_ONCE
    assert gate.lets_in(report(), 0.0)


def test_only_the_first_sources_are_read() -> None:
    gate = InboundGate()
    assert sum(gate.lets_in(report(source), 0.0) for source in range(100)) == MAX_SOURCES
    assert gate.lets_in(report(0), 0.0) and not gate.lets_in(report(99), 0.0)


@pytest.mark.parametrize(
    "datagram", [b"", b"\x80", b"\x81\xc9", b"\x80\x60" + bytes(40), b"\x00\x01" + bytes(18), b"x" * 99]
)
def test_media_and_all_else_are_never_read(datagram: bytes) -> None:
    gate = InboundGate()
    assert not gate.lets_in(datagram, 0.0) and gate.refused == 1


def test_an_allowance_comes_back_after_a_flood() -> None:
    allowance = Allowance(per_s=200, burst=400)
    assert sum(allowance.take(0.0) for _ in range(4000)) == 400
    assert sum(allowance.take(0.1) for _ in range(400)) == 20
    assert sum(allowance.take(1000.0) for _ in range(4000)) == 400
