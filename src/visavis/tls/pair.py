"""A certificate and its private key, in two PEM files: read, checked, and described in words."""

from __future__ import annotations

import ssl
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes

from visavis.errors import SettingInvalid


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """`context`: what handshakes are made with. `names`: the DNS names and addresses that the certificate is for."""

    context: ssl.SSLContext
    names: tuple[str, ...]
    serial: int
    not_before: datetime
    not_after: datetime

    def days_left(self, now: datetime | None = None) -> float:
        """Return how many days the certificate is still valid; negative: since when it is not."""
        return (self.not_after - (now or datetime.now(UTC))).total_seconds() / 86_400


def read_pair(certificate_file: Path, key_file: Path) -> Pair:
    """Read a certificate, which intermediate ones may follow, and its key. Raises `SettingInvalid` with the file that
    cannot be used, and why.
    """
    certificate = _certificate_in(certificate_file)
    key = _key_in(key_file)
    if key.public_key() != certificate.public_key():
        raise SettingInvalid(f"The key {key_file} is not that of the certificate {certificate_file}")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.set_alpn_protocols(["http/1.1"])
    try:
        context.load_cert_chain(certificate_file, key_file)
    except (ssl.SSLError, OSError) as error:  # written anew since, or too weak for OpenSSL
        why = error.reason if isinstance(error, ssl.SSLError) else error.strerror
        raise SettingInvalid(
            f"The certificate {certificate_file} and its key cannot be used: {why or error}"
        ) from error
    return Pair(
        context=context,
        names=names_of(certificate),
        serial=certificate.serial_number,
        not_before=certificate.not_valid_before_utc,
        not_after=certificate.not_valid_after_utc,
    )


def names_of(certificate: x509.Certificate) -> tuple[str, ...]:
    """Return the names and addresses of a certificate, in its order."""
    try:
        found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (x509.ExtensionNotFound, ValueError):
        return ()
    return tuple(str(name.value) for name in found if isinstance(name, (x509.DNSName, x509.IPAddress)))


def name_to_show(names: Iterable[str], host: str) -> str:
    """Return the host to show in an address of this server. `host`: what it listens on. `names`: its certificate's.

    A browser takes the address only with a name of the certificate; one that other machines can use is better.
    """
    usable = [name for name in names if not name.startswith("*")]
    if host in usable:
        return host
    return next((name for name in usable if not _is_of_this_machine(name)), usable[0] if usable else host)


def _is_of_this_machine(name: str) -> bool:
    try:
        return ip_address(name).is_loopback
    except ValueError:
        return name == "localhost" or name.endswith(".localhost")


def _certificate_in(path: Path) -> x509.Certificate:
    try:
        return x509.load_pem_x509_certificates(_read(path, "certificate"))[0]
    except ValueError:
        raise SettingInvalid(f"The certificate {path} is not a certificate in PEM") from None


def _key_in(path: Path) -> PrivateKeyTypes:
    try:
        return serialization.load_pem_private_key(_read(path, "key"), password=None)
    except TypeError:
        raise SettingInvalid(
            f"The key {path} is encrypted", suggestion="Take off its password: `openssl pkey -in KEY -out NEW`"
        ) from None
    except ValueError:
        raise SettingInvalid(f"The key {path} is not a private key in PEM") from None


def _read(path: Path, what: str) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise SettingInvalid(f"The {what} {path} cannot be read: {error.strerror or error}") from None
