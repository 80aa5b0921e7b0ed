"""`visavis certificate`: makes a local authority once, and certificates that it signs, as often as they are wanted."""

from __future__ import annotations

import os
import secrets
import shlex
import socket
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from visavis.errors import FileUnusable, SettingInvalid
from visavis.tls.authority import (
    ALWAYS,
    Authority,
    Host,
    NotWithin,
    make_authority,
    parse_host,
    pem_of_certificate,
    pem_of_key,
    sign,
)
from visavis.tls.pair import names_of

AUTHORITY, AUTHORITY_KEY = "authority.pem", "authority.key"
CERTIFICATE, KEY = "server.pem", "server.key"


def run(hosts: Sequence[str], folder: Path) -> None:
    """Write a certificate and its key into `folder`, and an authority if there is none, and print what to do with them.

    Without `hosts`, those of the certificate that is there. Raises `SettingInvalid` for hosts that no certificate can
    be for, and `FileUnusable`.
    """
    wanted = [_parsed(host) for host in hosts] or _names_before(folder / CERTIFICATE)
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        authority, is_new = _authority_in(folder, wanted)
        signed = sign(authority, wanted)
        _write(folder / KEY, pem_of_key(signed.key), mode=0o600)
        _write(folder / CERTIFICATE, pem_of_certificate(signed.certificate), mode=0o644)
    except NotWithin as error:
        raise SettingInvalid(
            f"The authority in {folder} was not made for {error}",
            suggestion="Make another one in another folder with --out, for all names that you need",
        ) from None
    except OSError as error:
        raise FileUnusable(f"{error.filename or folder}: {error.strerror or error}") from error
    _tell(folder, authority.certificate, signed.certificate, is_new=is_new)


def _parsed(text: str) -> Host:
    try:
        return parse_host(text)
    except ValueError:
        raise SettingInvalid(
            f"--host {text}: neither a name nor an address", suggestion="For example avatars.lan or 192.168.1.7"
        ) from None


def _names_before(certificate_file: Path) -> list[Host]:
    """Return the names of the certificate that is renewed. Raises `SettingInvalid` if there is none."""
    try:
        names = names_of(x509.load_pem_x509_certificate(certificate_file.read_bytes()))
    except (OSError, ValueError):
        raise SettingInvalid(
            f"There is no certificate in {certificate_file.parent} to renew",
            suggestion="Say with --host by which names and addresses this machine is reached",
        ) from None
    return [parse_host(name) for name in names if name not in ALWAYS]


def _authority_in(folder: Path, hosts: Sequence[Host]) -> tuple[Authority, bool]:
    """Return the authority of a folder, and whether it was made now. One that is there is never written again."""
    certificate_file, key_file = folder / AUTHORITY, folder / AUTHORITY_KEY
    if certificate_file.exists() or key_file.exists():
        return _read_authority(certificate_file, key_file), False
    made = make_authority(hosts, name=f"Visavis authority of {socket.gethostname()} {secrets.token_hex(3)}")
    _write(key_file, pem_of_key(made.key), mode=0o600, may_replace=False)
    _write(certificate_file, pem_of_certificate(made.certificate), mode=0o644, may_replace=False)
    return made, True


def _read_authority(certificate_file: Path, key_file: Path) -> Authority:
    """Raises `FileUnusable` for an authority that can sign nothing more."""
    advice = "Make another one in another folder with --out"
    try:
        certificate = x509.load_pem_x509_certificate(certificate_file.read_bytes())
        key = serialization.load_pem_private_key(key_file.read_bytes(), password=None)
        certificate.extensions.get_extension_for_class(x509.NameConstraints)
    except (ValueError, TypeError, x509.ExtensionNotFound):
        raise FileUnusable(
            f"{certificate_file} and {key_file} are not an authority that this command has made", suggestion=advice
        ) from None
    if not isinstance(key, ec.EllipticCurvePrivateKey) or key.public_key() != certificate.public_key():
        raise FileUnusable(f"{key_file} is not the key of {certificate_file}", suggestion=advice)
    if certificate.not_valid_after_utc < datetime.now(UTC):
        raise FileUnusable(f"The authority {certificate_file} is no longer valid", suggestion=advice)
    return Authority(certificate=certificate, key=key)


def _write(path: Path, data: bytes, *, mode: int, may_replace: bool = True) -> None:
    """Write a file in one step. Raises OSError."""
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
            os.fchmod(file.fileno(), mode)
            file.write(data)
            os.fsync(file.fileno())
        if may_replace:
            partial.replace(path)
        else:
            os.link(partial, path)  # fails where another process was quicker
    finally:
        with suppress(OSError):
            partial.unlink()


def _tell(folder: Path, authority: x509.Certificate, certificate: x509.Certificate, *, is_new: bool) -> None:
    print(f"{folder / AUTHORITY}: {'made' if is_new else 'kept'}. Import it on the machines of your viewers")
    print(f"  SHA-256 {authority.fingerprint(hashes.SHA256()).hex(':').upper()}")
    print(f"  valid until {authority.not_valid_after_utc:%Y-%m-%d}. {folder / AUTHORITY_KEY} stays here, and secret")
    print(f"{folder / CERTIFICATE}: for {', '.join(names_of(certificate))}")
    print(f"  valid until {certificate.not_valid_after_utc:%Y-%m-%d}; the same command without --host renews it")
    pair = f"--tls-cert {shlex.quote(str(folder / CERTIFICATE))} --tls-key {shlex.quote(str(folder / KEY))}"
    print(f"Start the server with: visavis serve --host 0.0.0.0 {pair}")
