"""What a connection that wants nothing but a place says first."""

from __future__ import annotations

UPGRADE = (
    b"%s /v1/channel HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n%s\r\n"
)
OPENINGS: dict[str, bytes] = {
    "silence": b"",
    "half a request": b"GET /v1/sessions HTTP/1.1\r\nHost: h\r\nX-Half: ",
    "half a body": b"POST /v1/sessions HTTP/1.1\r\nHost: h\r\nContent-Length: 1000\r\n\r\n{",
    "an upgrade with a header of 8 KB": UPGRADE % (b"GET", b"X-Long: " + b"x" * 8192 + b"\r\n"),
    "an upgrade with 200 headers": UPGRADE % (b"GET", b"".join(b"X-%d: y\r\n" % n for n in range(200))),
    "an upgrade by POST": UPGRADE % (b"POST", b""),
    "an upgrade with a body": UPGRADE % (b"GET", b"Content-Length: 10\r\n") + b"x" * 10,
    "an open channel that says nothing": UPGRADE % (b"GET", b""),
    "no HTTP at all": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(100),
}
