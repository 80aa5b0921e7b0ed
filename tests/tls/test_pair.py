"""The files of a certificate: what cannot be used is named, and what is renewed is taken."""

from __future__ import annotations

from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from structlog.testing import capture_logs
from typer.testing import CliRunner, Result

from tests.certificates import write_certificate
from visavis.cli import app
from visavis.errors import FileUnusable, SettingInvalid, VisavisError
from visavis.tls.pair import read_pair
from visavis.tls.renewal import RenewedPair


def certificate(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["certificate", *arguments])


def words_of(result: Result) -> str:
    assert isinstance(result.exception, VisavisError), result.output
    return result.exception.message


def test_an_authority_is_made_once_and_certificates_as_often_as_wanted(tmp_path: Path) -> None:
    folder = tmp_path / "tls"
    made = certificate("--host", "box.lan", "--host", "192.168.1.7", "--out", str(folder))
    assert made.exit_code == 0, made.output
    assert f"visavis serve --host 0.0.0.0 --tls-cert {folder}/server.pem --tls-key {folder}/server.key" in made.output
    modes = {path.name: path.stat().st_mode & 0o777 for path in folder.iterdir()}
    assert modes == {"authority.pem": 0o644, "authority.key": 0o600, "server.pem": 0o644, "server.key": 0o600}
    authority = {name: (folder / name).read_bytes() for name in ("authority.pem", "authority.key")}
    first = read_pair(folder / "server.pem", folder / "server.key")

    assert certificate("--out", str(folder)).exit_code == 0
    renewed = read_pair(folder / "server.pem", folder / "server.key")
    assert renewed.names == first.names == ("box.lan", "192.168.1.7", "localhost", "127.0.0.1", "::1")
    assert renewed.serial != first.serial
    assert certificate("--host", "other.lan", "--out", str(folder)).exit_code == 0
    assert read_pair(folder / "server.pem", folder / "server.key").names[0] == "other.lan"
    assert authority == {name: (folder / name).read_bytes() for name in authority}


def test_what_it_cannot_do_is_said(tmp_path: Path) -> None:
    folder = str(tmp_path / "tls")
    assert "no certificate" in words_of(certificate("--out", folder))
    assert not Path(folder).exists()
    assert "neither a name nor an address" in words_of(certificate("--host", "https://box.lan", "--out", folder))
    assert certificate("--host", "box.lan", "--out", folder).exit_code == 0
    before = Path(folder, "server.pem").read_bytes()
    assert "was not made for example.com" in words_of(certificate("--host", "example.com", "--out", folder))
    assert Path(folder, "server.pem").read_bytes() == before
    write_certificate(tmp_path, "box.lan")
    (tmp_path / "stage.key").replace(tmp_path / "tls" / "authority.key")
    result = certificate("--out", folder)
    assert isinstance(result.exception, FileUnusable) and "is not the key of" in words_of(result)
    (tmp_path / "stage.pem").replace(tmp_path / "tls" / "authority.pem")
    assert "not an authority that this command has made" in words_of(certificate("--out", folder))


def test_a_pair_that_cannot_be_used_is_one_line(tmp_path: Path) -> None:
    cert, key = write_certificate(tmp_path, "box.lan")
    (tmp_path / "other").mkdir()
    other_key = write_certificate(tmp_path / "other", "box.lan")[1]
    secret = tmp_path / "secret.key"
    secret.write_bytes(
        ec.generate_private_key(ec.SECP256R1()).private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.BestAvailableEncryption(b"password"),
        )
    )
    for pair, words in {
        (cert, other_key): "is not that of the certificate",
        (key, key): "is not a certificate in PEM",
        (cert, cert): "is not a private key in PEM",
        (cert, secret): "is encrypted",
        (tmp_path / "none", key): "cannot be read: No such file",
        (cert, tmp_path): "cannot be read: Is a directory",
    }.items():
        with pytest.raises(SettingInvalid, match=words):
            read_pair(*pair)
    assert read_pair(cert, key).names == ("box.lan",)


def test_a_renewed_pair_is_taken_when_both_files_are_written(tmp_path: Path) -> None:
    cert, key = write_certificate(tmp_path, "box.lan")
    renewed = RenewedPair(cert, key)
    first = renewed.pair
    (tmp_path / "new").mkdir()
    new_cert, new_key = write_certificate(tmp_path / "new", "box.lan")
    wanted = read_pair(new_cert, new_key).serial
    with capture_logs() as logs:
        renewed.look()
        new_cert.replace(cert)
        renewed.look()  # a first change: the key may still be on its way
        assert renewed.pair is first
        new_key.replace(key)
        renewed.look()
        assert renewed.pair is first
        renewed.look()
        assert renewed.pair.serial == wanted
        renewed.look()
    assert [(one["event"], one["log_level"]) for one in logs] == [
        ("certificate_ends", "warning"),  # those of the tests are for a day
        ("certificate_renewed", "info"),
        ("certificate_ends", "warning"),
    ]


def test_a_broken_pair_is_told_once_and_not_taken(tmp_path: Path) -> None:
    cert, key = write_certificate(tmp_path, "box.lan")
    renewed = RenewedPair(cert, key)
    first, whole = renewed.pair, cert.read_bytes()
    renewed.look()
    with capture_logs() as logs:
        for content in (whole[:100], None):
            cert.unlink() if content is None else cert.write_bytes(content)
            for _ in range(4):
                renewed.look()
            assert renewed.pair is first
    assert [(one["event"], one["problem"].partition(str(cert))[2]) for one in logs] == [
        ("certificate_not_taken", " is not a certificate in PEM"),
        ("certificate_not_taken", " cannot be read: No such file or directory"),
    ]
