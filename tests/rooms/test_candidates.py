"""The candidates of an offer to which this server sends."""

from __future__ import annotations

import pytest

from visavis.rooms.embedded.candidates import MAX_OF_EACH_TYPE, keep_candidates


def line(address: str = "198.51.100.7", port: int = 50_000, *, kind: str = "host", priority: int = 1000) -> str:
    return f"1 1 udp {priority} {address} {port} typ {kind}"


def kept(*lines: str) -> list[tuple[str, int]]:
    return [(candidate.address, candidate.port) for candidate in keep_candidates(lines)]


@pytest.mark.parametrize(
    "address", ["198.51.100.7", "192.168.1.20", "10.0.0.3", "172.17.0.1", "100.64.3.2", "2001:db8::7", "fd00::2"]
)
def test_addresses_that_a_viewer_can_have_are_kept(address: str) -> None:
    assert kept(line(address)) == [(address, 50_000)]


@pytest.mark.parametrize(
    "address",
    [
        "0.0.0.0",
        "0.1.2.3",
        "127.0.0.1",
        "127.8.9.1",
        "169.254.169.254",
        "192.0.0.170",
        "224.0.0.251",
        "239.255.255.250",
        "240.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "::127.0.0.1",
        "::ffff:127.0.0.1",
        "::ffff:198.51.100.7",
        "64:ff9b::7f00:1",
        "64:ff9b:1::1",
        "2002:7f00:1::",
        "fe80::1",
        "ff02::fb",
    ],
)
def test_addresses_that_no_viewer_can_have_are_left_out(address: str) -> None:
    assert kept(line(address)) == []


@pytest.mark.parametrize("port", [0, 1, 53, 80, 123, 443, 1023, 65_536, 99_999])
def test_ports_of_services_are_left_out(port: int) -> None:
    assert kept(line(port=port), line(port=1024)) == [("198.51.100.7", 1024)]


@pytest.mark.parametrize(
    "unreadable",
    [
        "",
        "nonsense",
        "1 1 tcp 1000 198.51.100.7 50000 typ host tcptype passive",
        "1 2 udp 1000 198.51.100.7 50000 typ host",  # of RTCP
        "1 1 udp 1000 3d1b9f8e-52c0.local 50000 typ host",
        "1 1 udp 1000 example.org 50000 typ host",
        "1 1 udp 1000 198.51.100 50000 typ host",
        "1 1 udp 1000 0x7f000001 50000 typ host",
        "1 1 udp 1000 198.51.100.7 50000 typ prflx",
        "1 1 udp 0 198.51.100.7 50000 typ host",
        "1 1 udp 4294967295 198.51.100.7 50000 typ host",
        "1 1 udp 1000 198.51.100.7 50000 typ host\r\na=candidate:2 1 udp 1 127.0.0.1 53 typ host",
        "x" * 33 + " 1 udp 1000 198.51.100.7 50000 typ host",
    ],
)
def test_candidates_that_cannot_be_checked_are_left_out(unreadable: str) -> None:
    assert kept(unreadable, line()) == [("198.51.100.7", 50_000)]


def test_the_outward_addresses_of_a_machine_with_forty_interfaces_are_kept() -> None:
    bridges = [line(f"172.17.{number}.1", priority=2000 + number) for number in range(40)]
    outward = [
        line("203.0.113.9", 50_001, kind="srflx", priority=20),
        line("203.0.113.200", 50_002, kind="relay", priority=10),
    ]
    first, *rest = kept(*bridges, *outward)
    assert first == ("172.17.39.1", 50_000), "of the highest priority"
    assert rest[-2:] == [("203.0.113.9", 50_001), ("203.0.113.200", 50_002)]
    assert len(rest) + 1 == MAX_OF_EACH_TYPE + 2


def test_an_address_is_kept_once_and_at_most_a_dozen_are() -> None:
    assert kept(line(), line(kind="srflx"), line(priority=7)) == [("198.51.100.7", 50_000)]
    many = [line(port=port, kind=kind) for port in range(1024, 3000) for kind in ("host", "srflx", "relay")]
    assert len(kept(*many)) <= 12


def test_a_kept_candidate_is_written_from_checked_values() -> None:
    (candidate,) = keep_candidates(["a1 1 UDP 1000 2001:DB8:0::7 50000 typ srflx raddr 10.0.0.3 rport 9 generation 0"])
    assert str(candidate) == "a1 1 udp 1000 2001:db8::7 50000 typ srflx"
