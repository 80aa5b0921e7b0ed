"""Which addresses and ports a stage uses for media."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from visavis.machine.network import (
    DEFAULT_PORTS,
    MediaNetwork,
    OwnAddress,
    PortRange,
    addresses_to_offer,
    check_address,
    check_pattern,
    read_network,
    taken_ports,
    tracked_share,
    write_network,
)

HOST = [
    OwnAddress(interface="lo", address="127.0.0.1"),
    OwnAddress(interface="lo", address="::1"),
    OwnAddress(interface="eth0", address="192.0.2.7"),
    OwnAddress(interface="eth0", address="2001:db8::7"),
    OwnAddress(interface="eth0", address="fe80::7"),
    OwnAddress(interface="wlan0", address="198.51.100.7"),
    OwnAddress(interface="docker0", address="172.17.0.1"),
    OwnAddress(interface="br-0123456789ab", address="172.18.0.1"),
    OwnAddress(interface="eth1", address="169.254.3.4"),
]


@pytest.mark.parametrize(
    ("network", "offered"),
    [
        ({}, ["192.0.2.7", "2001:db8::7", "198.51.100.7"]),
        ({"exclude": ()}, ["192.0.2.7", "2001:db8::7", "198.51.100.7", "172.17.0.1", "172.18.0.1"]),
        ({"include": ("eth*",)}, ["192.0.2.7", "2001:db8::7"]),
        ({"include": ("198.51.100.0/24", "2001:db8::/32")}, ["2001:db8::7", "198.51.100.7"]),
        ({"include": ("docker0",), "exclude": ()}, ["172.17.0.1"]),
        ({"include": ("lo",)}, ["127.0.0.1", "::1"]),
        ({"include": ("tun0",)}, []),
        ({"exclude": ("wlan0", "2001:db8::/32", "docker0", "br-*")}, ["192.0.2.7"]),
    ],
    ids=str,
)
def test_interfaces_and_subnets_are_chosen(network: dict[str, tuple[str, ...]], offered: list[str]) -> None:
    assert addresses_to_offer(HOST, MediaNetwork(**network)) == offered  # type: ignore[arg-type]


def test_a_machine_with_loopback_alone_uses_that() -> None:
    assert addresses_to_offer(HOST[:2], MediaNetwork()) == ["127.0.0.1", "::1"]
    assert addresses_to_offer([*HOST[:2], HOST[6]], MediaNetwork()) == ["127.0.0.1", "::1"]


@pytest.mark.parametrize(("text", "count"), [("20000", 1), ("20000-20199", 200), (" 30000-30000 ", 1)])
def test_port_ranges_are_read(text: str, count: int) -> None:
    assert len(PortRange.parse(text)) == count == len(PortRange.parse(text).numbers)
    assert str(PortRange.parse(text)) == {1: text.strip().split("-")[0], 200: "20000-20199"}[count]


@pytest.mark.parametrize("text", ["", "-", "80", "2000-1999", "20000-70000", "a", "1-2-3", "20000-", "٢٠٠٠٠"])
def test_other_port_ranges_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="port"):
        PortRange.parse(text)


@pytest.mark.parametrize("text", ["203.0.113.7", "2001:db8::1", "avatar.example.org", "host", "a_b.example."])
def test_addresses_and_names_are_taken(text: str) -> None:
    assert check_address(text) == text


def test_an_ipv6_literal_may_have_brackets() -> None:
    assert check_address("[2001:DB8::1]") == "2001:db8::1"


@pytest.mark.parametrize("text", ["", "host:80", "http://host", "-a", "a..b", "a b", "x" * 300, "1.2.3.4:5", "::x"])
def test_other_texts_are_no_addresses(text: str) -> None:
    with pytest.raises(ValueError, match="address"):
        check_address(text)


@pytest.mark.parametrize("text", ["", "eth 0", "10.0.0.0/33", "x/24"])
def test_patterns_that_can_match_nothing_are_refused(text: str) -> None:
    with pytest.raises(ValueError):
        check_pattern(text)


def test_a_network_crosses_the_command_line() -> None:
    network = MediaNetwork(
        ports=PortRange.parse("30000-30001"), addresses=("host", "::1"), include=("eth*",), exclude=()
    )
    assert read_network(write_network(network)) == network
    with pytest.raises(ValueError):
        read_network('{"ports": 7}')


def test_the_default_ports_are_below_those_of_outgoing_connections() -> None:
    """Linux gives those from 32768 on to anybody (net.ipv4.ip_local_port_range)."""
    assert PortRange.parse(DEFAULT_PORTS).last < 32_768


def test_taken_ports_are_named() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
        one.bind(("127.0.0.1", 0))
        number = one.getsockname()[1]
        assert taken_ports(PortRange(first=number, last=number), wanted=1) == ([number], 0)
    assert taken_ports(PortRange(first=number, last=number), wanted=1) == ([], 1)


def test_the_table_of_tracked_connections(tmp_path: Path) -> None:
    assert tracked_share(tmp_path) == 0.0
    (tmp_path / "nf_conntrack_count").write_text("512\n")
    (tmp_path / "nf_conntrack_max").write_text("2048\n")
    assert tracked_share(tmp_path) == 0.25
