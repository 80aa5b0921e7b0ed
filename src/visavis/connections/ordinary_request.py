"""Reads ordinary requests: a whole one that came at once, with nothing in it that needs HTTP's finer points.

h11 reads all others, and would read these as the same (tests/connections/test_ordinary_request.py), in several times as
long. Pure.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_TOKEN = rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+"  # RFC 9110, section 5.6.2
_VALUE = rb"[\t\x20-\x7e]*"
_HEAD = re.compile(rb"(GET|POST|PUT|DELETE) (/[\x21-\x7e]*) HTTP/1\.1\r\n((?:%b:%b\r\n)+)\r\n" % (_TOKEN, _VALUE))
_FIELD = re.compile(rb"(%b):(%b)\r\n" % (_TOKEN, _VALUE))
_LENGTH = re.compile(rb"[0-9]{1,9}")

# A request with one of these is not ordinary.
_SPECIAL = frozenset({b"transfer-encoding", b"upgrade", b"expect", b"te", b"trailer"})


@dataclass(frozen=True, slots=True)
class OrdinaryRequest:
    """`headers`: their names in small letters. `size_bytes`: of all of it; what follows is the next request."""

    method: str
    target: bytes
    headers: list[tuple[bytes, bytes]]
    body: bytes
    size_bytes: int


def read_ordinary(data: bytes) -> OrdinaryRequest | None:
    """Return the request that the data begin with; None unless it is whole and ordinary."""
    found = _HEAD.match(data)
    if found is None:
        return None
    headers = [(name.lower(), value.strip(b"\t ")) for name, value in _FIELD.findall(found[3])]
    hosts, length = 0, None
    for name, value in headers:
        if name == b"host":
            hosts += 1
        elif name == b"content-length":
            if length is not None or _LENGTH.fullmatch(value) is None:
                return None
            length = int(value)
        elif name in _SPECIAL or (name == b"connection" and value.lower() != b"keep-alive"):
            return None
    end = found.end()
    size_bytes = end + (length or 0)
    if hosts != 1 or len(data) < size_bytes:
        return None
    return OrdinaryRequest(found[1].decode(), found[2], headers, data[end:size_bytes], size_bytes)
