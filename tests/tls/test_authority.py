"""The local authority: what it signs is believed by those who have imported it, and nothing else."""

from __future__ import annotations

import ssl
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import pytest

from tests.tls.handshakes import handshake, trusting
from visavis.tls.authority import (
    Authority,
    Host,
    NotWithin,
    make_authority,
    parse_host,
    pem_of_certificate,
    pem_of_key,
    sign,
)
from visavis.tls.pair import name_to_show, read_pair

HOSTS: list[Host] = ["avatars.example.org", "box.lan", ip_address("192.168.1.7"), ip_address("203.0.113.7")]


class Thief(Authority):
    """Has the key, and signs for whomever he likes."""

    def may_sign(self, host: Host) -> bool:
        return True


@pytest.fixture(scope="module")
def authority() -> Authority:
    return make_authority(HOSTS, name="Tests")


def server_of(folder: Path, authority: Authority, hosts: list[Host]) -> ssl.SSLContext:
    signed = sign(authority, hosts)
    (folder / "cert").write_bytes(pem_of_certificate(signed.certificate))
    (folder / "key").write_bytes(pem_of_key(signed.key))
    return read_pair(folder / "cert", folder / "key").context


def test_its_certificates_are_believed_for_their_names_alone(tmp_path: Path, authority: Authority) -> None:
    server, client = server_of(tmp_path, authority, HOSTS), trusting(pem_of_certificate(authority.certificate).decode())
    for name in ("avatars.example.org", "box.lan", "192.168.1.7", "203.0.113.7", "localhost", "127.0.0.1", "::1"):
        handshake(server, client, name)
    with pytest.raises(ssl.SSLCertVerificationError, match="mismatch"):
        handshake(server, client, "other.lan")
    with pytest.raises(ssl.SSLCertVerificationError):
        handshake(server, ssl.create_default_context(), "box.lan")


@pytest.mark.parametrize("host", ["printer.local", ip_address("10.1.2.3"), ip_address("fd00::7")])
def test_private_hosts_can_be_signed_later(tmp_path: Path, authority: Authority, host: Host) -> None:
    server = server_of(tmp_path, authority, [host])
    handshake(server, trusting(pem_of_certificate(authority.certificate).decode()), str(host))


@pytest.mark.parametrize(
    "host", ["bank.example.com", "example.org", ip_address("198.51.100.1"), ip_address("2001:db8::1")]
)
def test_a_stolen_key_signs_nothing_else(tmp_path: Path, authority: Authority, host: Host) -> None:
    with pytest.raises(NotWithin):
        sign(authority, [host])
    thief = Thief(certificate=authority.certificate, key=authority.key)
    server = server_of(tmp_path, thief, [host])
    with pytest.raises(ssl.SSLCertVerificationError, match="permitted subtree violation"):
        handshake(server, trusting(pem_of_certificate(authority.certificate).decode()), str(host))


def test_times_are_those_that_browsers_take(authority: Authority) -> None:
    now = datetime.now(UTC)
    made = sign(authority, ["box.lan"]).certificate
    assert made.not_valid_before_utc < now - timedelta(hours=23), "clocks differ"
    assert now + timedelta(days=390) < made.not_valid_after_utc < now + timedelta(days=398)
    old = make_authority(["box.lan"], name="Old", now=now - timedelta(days=3600))
    assert sign(old, ["box.lan"]).certificate.not_valid_after_utc == old.certificate.not_valid_after_utc


@pytest.mark.parametrize(
    ("text", "host"),
    [
        (" Box.LAN. ", "box.lan"),
        ("büro.local", "xn--bro-hoa.local"),
        ("[fd00::7]", ip_address("fd00::7")),
        ("10.0.0.1", ip_address("10.0.0.1")),
    ],
)
def test_hosts_are_read_as_people_write_them(text: str, host: Host) -> None:
    assert parse_host(text) == host


@pytest.mark.parametrize(
    "text", ["", "https://box.lan", "box.lan:8000", "*.lan", "10.0.0", "a..b", "fe80::1%eth0", "x" * 64]
)
def test_what_is_no_host_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        parse_host(text)


def test_the_name_that_other_machines_can_use_is_shown() -> None:
    assert name_to_show(["localhost", "127.0.0.1", "box.lan", "10.0.0.1"], "127.0.0.1") == "127.0.0.1"
    assert name_to_show(["localhost", "*.lan", "box.lan", "10.0.0.1"], "::1") == "box.lan"
    assert name_to_show(["localhost"], "127.0.0.1") == "localhost"
    assert name_to_show([], "127.0.0.1") == "127.0.0.1"
