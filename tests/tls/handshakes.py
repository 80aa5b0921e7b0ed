"""TLS handshakes in memory."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from contextlib import suppress

from cryptography import x509


def handshake(server: ssl.SSLContext, client: ssl.SSLContext, name: str) -> x509.Certificate:
    """Shake hands as a client that calls the server `name`; return the server's certificate. Raises ssl.SSLError."""
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    calling = client.wrap_bio(to_client, to_server, server_hostname=name)
    answering = server.wrap_bio(to_server, to_client, server_side=True)
    for one in _turns(calling, answering):
        with suppress(ssl.SSLWantReadError):
            one.do_handshake()
    found = calling.getpeercert(binary_form=True)
    assert found is not None
    return x509.load_der_x509_certificate(found)


def _turns(calling: ssl.SSLObject, answering: ssl.SSLObject) -> Iterator[ssl.SSLObject]:
    for _ in range(3):
        yield from (calling, answering)


def first_flight(*, server_name: str) -> bytes:
    """Return what a client sends first: a record with its ClientHello."""
    client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    sent = ssl.MemoryBIO()
    with suppress(ssl.SSLWantReadError):
        client.wrap_bio(ssl.MemoryBIO(), sent, server_hostname=server_name).do_handshake()
    return sent.read()


def trusting(authority_pem: str) -> ssl.SSLContext:
    """Return what a client that has imported an authority shakes hands with."""
    return ssl.create_default_context(cadata=authority_pem)
