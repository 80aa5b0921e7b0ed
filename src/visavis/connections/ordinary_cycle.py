"""The answer to an ordinary request, written without h11 where it is ordinary, too: its length is known.

Where it is not, h11 is given the request, and then writes the answer as it does after any other.
"""

from __future__ import annotations

import re
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import STATUS_PHRASES, RequestResponseCycle

_Headers = list[tuple[bytes, bytes]]

_STATUS_LINES = {code: b"HTTP/1.1 %d %b\r\n" % (code, phrase) for code, phrase in STATUS_PHRASES.items()}
_WITHOUT_BODY = frozenset({204, 304})
_FORBIDDEN = re.compile(rb"[\x00\r\n]")
_LEFT_TO_H11 = frozenset({b"connection", b"transfer-encoding"})


class OrdinaryCycle(RequestResponseCycle):
    """`raw`: the request as it came."""

    def __init__(self, *, raw: bytes, body: bytes, **named: Any) -> None:
        super().__init__(**named)
        self._raw = raw
        self._head = b""  # held back for the first part of the body, so that both are one packet
        self._left_bytes: int | None = None  # of the body; None where h11 writes the answer
        self.body += body
        self.more_body = False
        self.message_event.set()

    async def send(self, message: Any) -> None:
        if not self.response_started and message["type"] == "http.response.start" and not self.disconnected:
            headers: _Headers = [*self.default_headers, *message["headers"]]
            self._left_bytes = _length_of(message["status"], headers)
            if self._left_bytes is None:
                self._give_to_h11()
            else:
                self._head = _head_of(message["status"], headers)
                self.response_started = True
                return
        if self._left_bytes is None:
            await super().send(message)
            return
        await self._send_body(message)

    def _give_to_h11(self) -> None:
        self.conn.receive_data(self._raw)
        while self.conn.their_state is not h11.DONE:
            event = self.conn.next_event()
            assert event is not h11.NEED_DATA, "an ordinary request is whole"

    async def _send_body(self, message: Any) -> None:
        assert self._left_bytes is not None
        if self.flow.write_paused and not self.disconnected:
            await self.flow.drain()
        if self.disconnected:
            return
        if message["type"] != "http.response.body" or self.response_complete:
            raise RuntimeError(f"Unexpected ASGI message {message['type']!r}")
        body, more = message.get("body", b""), message.get("more_body", False)
        self._left_bytes -= len(body)
        if self._left_bytes < 0 or (self._left_bytes and not more):
            raise RuntimeError("The body of an answer is not as long as its Content-Length says")
        if self._head or body:
            self.transport.write(self._head + body)
            self._head = b""
        if more:
            return
        self.response_complete = True
        self.message_event.set()
        if not self.keep_alive:
            self.transport.close()
        self.on_response()


def _length_of(status: int, headers: _Headers) -> int | None:
    """Return the length of the body of an ordinary answer; None for one that is not ordinary."""
    length = None
    for name, value in headers:
        if name == b"content-length" and length is None and value.isdigit():
            length = int(value)
        elif name == b"content-length" or name in _LEFT_TO_H11:
            return None
    return None if status < 200 or status in _WITHOUT_BODY else length


def _head_of(status: int, headers: _Headers) -> bytes:
    fields = b"".join(b"%b: %b\r\n" % field for field in headers)
    if len(_FORBIDDEN.findall(fields)) != 2 * len(headers):  # more than ours at the end of each field
        raise RuntimeError("A header of an answer has a line break or NUL in it")
    return b"%b%b\r\n" % (_STATUS_LINES[status], fields)
