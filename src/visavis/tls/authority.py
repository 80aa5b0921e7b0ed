"""A local certificate authority: it signs certificates for servers of a house, whose machines import its certificate.

The authority can sign for nothing but the names and addresses that it was made for and private ones (name constraints,
RFC 5280 section 4.2.1.10): whoever steals its key cannot pose as a bank to those who have imported it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

AUTHORITY_LASTS = timedelta(days=3650)
CERTIFICATE_LASTS = timedelta(days=397)  # Apple's systems take at most 825 days, and public authorities give 398
CLOCKS_DIFFER_BY = timedelta(days=1)  # a certificate is valid from so long before it was made
# What belongs to a house or to one machine: RFC 1918, 4193, 3927, 4291, 6761, 6762, 8375, and ICANN's `internal`.
PRIVATE_NETWORKS = (
    "127.0.0.0/8", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "169.254.0.0/16",
    "::1/128", "fc00::/7", "fe80::/10",
)  # fmt: skip
PRIVATE_DOMAINS = ("localhost", "local", "lan", "internal", "home.arpa")
ALWAYS = ("localhost", "127.0.0.1", "::1")

Host = str | IPv4Address | IPv6Address


class NotWithin(ValueError):
    """The authority was not made for this host."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Authority:
    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey

    def may_sign(self, host: Host) -> bool:
        """Whether the authority was made for this host, or it is private."""
        constraints = self.certificate.extensions.get_extension_for_class(x509.NameConstraints).value
        return any(_covers(name, host) for name in constraints.permitted_subtrees or [])


@dataclass(frozen=True, slots=True, kw_only=True)
class Signed:
    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey


def parse_host(text: str) -> Host:
    """Return an address, or a DNS name in the form that certificates have. Raises ValueError for anything else."""
    text = text.strip()
    if "%" not in text:  # a zone means something on one machine alone
        with suppress(ValueError):
            return ip_address(text.strip("[]"))
    name = text.lower().rstrip(".").encode("idna").decode("ascii")
    labels = name.split(".")
    if not all(label and all(c.isalnum() or c in "-_" for c in label) for label in labels) or labels[-1].isdecimal():
        raise ValueError(f"{text!r} is neither a name nor an address")
    return name


def make_authority(hosts: Iterable[Host], *, name: str, now: datetime | None = None) -> Authority:
    """Make an authority that can sign for `hosts` and for what is private. `name`: what trust stores show."""
    now = now or datetime.now(UTC)
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    permitted = [_tree(ip_network(network)) for network in PRIVATE_NETWORKS]
    permitted += [x509.DNSName(domain) for domain in PRIVATE_DOMAINS]
    permitted += [_tree(host) for host in hosts if not any(_covers(tree, host) for tree in permitted)]
    usage = _usage(signs_certificates=True)
    builder = (
        _builder(subject, subject, key, not_before=now - CLOCKS_DIFFER_BY, not_after=now + AUTHORITY_LASTS)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(x509.NameConstraints(permitted_subtrees=permitted, excluded_subtrees=None), critical=True)
        .add_extension(usage, critical=True)
    )
    return Authority(certificate=builder.sign(key, hashes.SHA256()), key=key)


def sign(authority: Authority, hosts: Sequence[Host], *, now: datetime | None = None) -> Signed:
    """Sign a certificate of a new key, for `hosts` and for programs on the server's machine. Raises `NotWithin`."""
    now = now or datetime.now(UTC)
    for host in hosts:
        if not authority.may_sign(host):
            raise NotWithin(str(host))
    key = ec.generate_private_key(ec.SECP256R1())
    names = [_general(host) for host in dict.fromkeys([*hosts, *map(parse_host, ALWAYS)])]
    # Without a common name: OpenSSL holds one to the constraints, too, and browsers no longer read it.
    subject = x509.Name([x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Visavis server")])
    authority_key = authority.key.public_key()
    builder = (
        _builder(
            subject,
            authority.certificate.subject,
            key,
            not_before=now - CLOCKS_DIFFER_BY,
            not_after=min(now + CERTIFICATE_LASTS, authority.certificate.not_valid_after_utc),
        )
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(authority_key), critical=False)
        .add_extension(_usage(signs_certificates=False), critical=True)
    )
    return Signed(certificate=builder.sign(authority.key, hashes.SHA256()), key=key)


def pem_of_certificate(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


def pem_of_key(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _builder(
    subject: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePrivateKey,
    *,
    not_before: datetime,
    not_after: datetime,
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(not_before)
        .not_valid_after(not_after)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        encipher_only=False,
        decipher_only=False,
    )


def _general(host: Host) -> x509.GeneralName:
    return x509.DNSName(host) if isinstance(host, str) else x509.IPAddress(host)


def _tree(host: object) -> x509.GeneralName:
    """Return what a constraint permits: a name with all below it, or a network."""
    return x509.DNSName(host) if isinstance(host, str) else x509.IPAddress(ip_network(str(host)))


def _covers(tree: x509.GeneralName, host: Host) -> bool:
    if isinstance(host, str):
        return isinstance(tree, x509.DNSName) and (host == tree.value or host.endswith("." + tree.value))
    if not isinstance(tree, x509.IPAddress):
        return False
    network = ip_network(str(tree.value))
    return host.version == network.version and host in network
