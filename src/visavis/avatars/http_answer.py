"""Reads one answer of a web server that nobody vouches for, from its bytes as they come. h11 reads the protocol; this
module sets the bounds. It does no input or output itself.
"""

from __future__ import annotations

from dataclasses import dataclass

import h11

from visavis.errors import ImageTooLarge, ImageUrlRefused

HEAD_BYTES = 16_384
INTERIM_ANSWERS = 4  # answers with a status below 200 that may come first
# A body may come in pieces as small as one byte, and each costs as much as a large one. Servers send 4 KB and more.
PIECES = 20_000
FRAMING_SHARE, FRAMING_BYTES = 0.02, 4096  # what chunk headers and trailers may add to a body
REDIRECTS = (301, 302, 303, 307, 308)
SUGGESTION = "Use a public http(s) address of an image"


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpAnswer:
    """A whole answer. `location`: where a redirect leads, None for others."""

    status: int
    location: str | None
    body: bytes


def refused(message: str) -> ImageUrlRefused:
    return ImageUrlRefused(message, suggestion=SUGGESTION)


class AnswerReader:
    """Reads the answer to one GET. No encoding of the content is asked for, and none is taken: a body that is small on
    the wire must not be large in memory.
    """

    def __init__(self, *, max_bytes: int) -> None:
        self._connection = h11.Connection(h11.CLIENT, max_incomplete_event_size=HEAD_BYTES)
        self._max_bytes = max_bytes
        self._response: h11.Response | None = None
        self._body = bytearray()
        self._raw_bytes = self._interim_answers = self._pieces = 0

    def request(self, *, host: str, target: str) -> bytes:
        """Return the bytes to send. `host`: the Host header; `target`: path and query."""
        headers = {
            "Host": host,
            "Accept": "image/*",
            "Accept-Encoding": "identity",
            "User-Agent": "visavis",
            "Connection": "close",
        }
        asked = self._connection.send(h11.Request(method="GET", target=target, headers=list(headers.items())))
        done = self._connection.send(h11.EndOfMessage())
        assert asked is not None and done is not None  # None only for a connection that is over
        return asked + done

    def receive(self, data: bytes) -> HttpAnswer | None:
        """Take the next bytes, b"" at the end of the connection. Return the answer when it is whole; a redirect or an
        answer other than 200 is whole with its head.

        Raises ImageUrlRefused and ImageTooLarge.
        """
        self._raw_bytes += len(data)
        if self._raw_bytes > self._max_bytes * (1 + FRAMING_SHARE) + HEAD_BYTES * INTERIM_ANSWERS + FRAMING_BYTES:
            raise self._too_large()
        try:
            self._connection.receive_data(data)
            answer = self._next_events()
        except h11.RemoteProtocolError:
            raise _no_web_server() from None
        if answer is None and not data:
            raise _no_web_server()
        return answer

    def _next_events(self) -> HttpAnswer | None:
        while True:
            event = self._connection.next_event()
            match event:
                case h11.Response():
                    self._response = event
                    location = _header(event, b"location")
                    if event.status_code in REDIRECTS and location is not None:
                        return HttpAnswer(status=event.status_code, location=location, body=b"")
                    if event.status_code != 200:
                        return HttpAnswer(status=event.status_code, location=None, body=b"")
                    self._judge(event)
                case h11.InformationalResponse():
                    self._interim_answers += 1
                    if self._interim_answers > INTERIM_ANSWERS:
                        raise _no_web_server()
                case h11.Data():
                    self._body += event.data
                    self._pieces += 1
                    if len(self._body) > self._max_bytes:
                        raise self._too_large()
                    if self._pieces > PIECES:
                        raise refused("The image's address sends its image in too many pieces")
                case h11.EndOfMessage():
                    assert self._response is not None
                    return HttpAnswer(status=self._response.status_code, location=None, body=bytes(self._body))
                case _:  # NEED_DATA, or PAUSED where the connection was to become another protocol
                    return None

    def _judge(self, response: h11.Response) -> None:
        encoding = _header(response, b"content-encoding")
        if encoding is not None and encoding.strip().lower() not in ("", "identity"):
            raise refused("The image's address sends its image compressed once more, which was not asked for")
        length = _header(response, b"content-length")
        if length is not None and int(length) > self._max_bytes:  # h11 has checked that it is a number
            raise self._too_large()

    def _too_large(self) -> ImageTooLarge:
        return ImageTooLarge(f"The image is larger than {self._max_bytes // 1_000_000} MB")


def _no_web_server() -> ImageUrlRefused:
    return refused("The image's address does not answer as a web server does")


def _header(response: h11.Response, name: bytes) -> str | None:
    """Return the values of a header, None if it is missing."""
    values = [value.decode("latin-1") for key, value in response.headers if key == name]
    return ", ".join(values) if values else None
