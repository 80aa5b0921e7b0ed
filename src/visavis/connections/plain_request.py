"""What becomes of a plain HTTP request at a port that speaks HTTPS. Pure.

A program on this machine, such as a health check, is served: nobody else can listen there. A browser that only opens a
page is led to HTTPS. All else is refused: a client that was led there would send its key in the clear every time.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import h11

from visavis.connections.network import is_loopback
from visavis.connections.refusal import bad_request

MAX_HEAD_BYTES = 8 * 1024
_HOST = re.compile(r"(?P<name>[A-Za-z0-9.-]{1,255}|\[[0-9A-Fa-f:.]{2,45}\])(?P<port>:\d{1,5})?")
_FORWARDED = frozenset({b"forwarded", b"x-forwarded-for", b"x-real-ip"})
_WITH_MORE = frozenset({b"x-api-key", b"authorization", b"cookie", b"upgrade", b"content-length", b"transfer-encoding"})
_LOCAL_NAMES = frozenset({"localhost", "0.0.0.0", "[::]"})  # connections to these come from loopback


@dataclass(frozen=True, slots=True, kw_only=True)
class Served:
    """The connection is this machine's: serve it without TLS."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """Send this, and close."""

    answer: bytes


def decide(head: bytes, *, client: str) -> Served | Answered | None:
    """Return what to do with a connection that began with `head`; None if the end of its header is still to come.

    `client`: the address that it comes from.
    """
    if not (head[:1].isalpha() or head[:1] in (b"\r", b"\n")):  # an empty line may come first (RFC 9112, section 2.2)
        return Answered(answer=bad_request("This is no HTTP"))
    if b"\n\r\n" not in head and b"\n\n" not in head and len(head) <= MAX_HEAD_BYTES:
        return None
    parser = h11.Connection(h11.SERVER, max_incomplete_event_size=MAX_HEAD_BYTES)
    try:
        parser.receive_data(head)
        event = parser.next_event()
    except h11.RemoteProtocolError:
        return Answered(answer=bad_request("This is no HTTP"))
    if not isinstance(event, h11.Request):
        return Answered(answer=bad_request("This is no HTTP"))
    given = {bytes(name): bytes(value) for name, value in event.headers}
    host = _HOST.fullmatch(given.get(b"host", b"").decode("latin-1"))
    if is_loopback(client) and not _FORWARDED & given.keys() and (b"host" not in given or _is_local(host)):
        return Served()
    target = bytes(event.target).decode("latin-1")
    opens_page = bytes(event.method) in (b"GET", b"HEAD") and not _WITH_MORE & given.keys() and target.startswith("/")
    if host is None or not opens_page:
        return Answered(answer=bad_request("This port speaks HTTPS: begin the address with https:// or wss://"))
    return Answered(answer=_redirection(f"https://{host['name']}{host['port'] or ':80'}{target}"))


def _is_local(host: re.Match[str] | None) -> bool:
    return host is not None and (host["name"].lower() in _LOCAL_NAMES or is_loopback(host["name"].strip("[]")))


def _redirection(address: str) -> bytes:
    """Browsers keep no temporary redirection: the server may speak HTTP again some day."""
    head = f"Location: {address}\r\nContent-Length: 0"
    return f"HTTP/1.1 307 Temporary Redirect\r\nConnection: close\r\n{head}\r\n\r\n".encode("latin-1")
