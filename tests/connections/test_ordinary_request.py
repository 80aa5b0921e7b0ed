"""What the short way takes for an ordinary request, and that h11 reads the same."""

from __future__ import annotations

import h11
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from visavis.connections.ordinary_request import OrdinaryRequest, read_ordinary

HOST = b"Host: h\r\n"
GET = b"GET /v1/sessions?limit=1 HTTP/1.1\r\n" + HOST + b"X-Api-Key:  key \r\n\r\n"
POST = b"POST /v1/sessions HTTP/1.1\r\n" + HOST + b"Content-Length: 2\r\nConnection: Keep-Alive\r\n\r\n{}"


def test_a_whole_request_is_read_and_what_follows_is_left() -> None:
    headers = [(b"host", b"h"), (b"x-api-key", b"key")]
    assert read_ordinary(GET) == OrdinaryRequest("GET", b"/v1/sessions?limit=1", headers, b"", len(GET))
    for data in (POST, POST + GET, POST + b"GE"):
        found = read_ordinary(data)
        assert found is not None and (found.method, found.body, found.size_bytes) == ("POST", b"{}", len(POST))


@pytest.mark.parametrize("end", range(len(POST)))
def test_a_part_of_a_request_is_left_to_h11(end: int) -> None:
    assert read_ordinary(POST[:end]) is None


LEFT_TO_H11: dict[str, bytes] = {
    "another method": GET.replace(b"GET", b"BREW"),
    "HEAD": GET.replace(b"GET", b"HEAD"),
    "HTTP/1.0": GET.replace(b"/1.1", b"/1.0"),
    "a whole address": GET.replace(b"/v1", b"http://h/v1"),
    "a target with a space": GET.replace(b"/v1", b"/v 1"),
    "letters of other languages": GET.replace(b"key", b"\xff"),
    "a control character": GET.replace(b"key", b"\x01"),
    "an empty name": GET.replace(b"Host: h", b": h\r\nHost: h"),
    "a space before the colon": GET.replace(b"Key:", b"Key :"),
    "a folded line": GET.replace(b"key ", b"key\r\n more"),
    "bare line feeds": GET.replace(b"\r\n", b"\n"),
    "a bare carriage return": GET.replace(b"key", b"ke\ry"),
    "a line before": b"\r\n" + GET,
    "no header": b"GET / HTTP/1.1\r\n\r\n",
    "no host": GET.replace(b"Host", b"Hast"),
    "two hosts": GET.replace(HOST, HOST + HOST),
    "two lengths": POST.replace(HOST, HOST + b"Content-Length: 2\r\n"),
    "a list of lengths": POST.replace(b": 2", b": 2, 2"),
    "a length with a sign": POST.replace(b": 2", b": +2"),
    "a long length": POST.replace(b": 2", b": 0000000002"),
    "chunks": POST.replace(HOST, HOST + b"Transfer-Encoding: chunked\r\n"),
    "a wait for 100": POST.replace(HOST, HOST + b"Expect: 100-continue\r\n"),
    "an upgrade": GET.replace(HOST, HOST + b"Upgrade: websocket\r\n"),
    "a last request": GET.replace(HOST, HOST + b"Connection: close\r\n"),
    "options of the connection": GET.replace(HOST, HOST + b"Connection: keep-alive, x-api-key\r\n"),
}


@pytest.mark.parametrize("name", LEFT_TO_H11)
def test_what_is_not_ordinary_is_left_to_h11(name: str) -> None:
    assert read_ordinary(LEFT_TO_H11[name]) is None


PIECES = st.sampled_from(
    b"GET|POST|DELETE| |/|/a?b=%20|HTTP/1.1|\r\n|\n|\r|Host:| h|\t|Content-Length:|1|22|x|X-A:|\0|\xff|:|,|Connection:|"
    b"close|keep-alive".split(b"|")
)
FIELDS = st.lists(PIECES, max_size=12).map(b"".join)


@example(GET)
@example(POST)
@example(POST + GET)
@given(
    st.one_of(
        st.lists(PIECES, max_size=30).map(b"".join),
        st.lists(PIECES, max_size=12).map(
            lambda some: b"GET /a HTTP/1.1\r\nHost: h\r\n" + b"".join(some) + b"\r\n\r\n"
        ),
    )
)
def test_h11_reads_the_same(data: bytes) -> None:
    found = read_ordinary(data)
    if found is None:
        return
    connection = h11.Connection(h11.SERVER)
    connection.receive_data(data)
    request, body, event = connection.next_event(), b"", connection.next_event()
    while isinstance(event, h11.Data):
        body, event = body + bytes(event.data), connection.next_event()
    assert isinstance(request, h11.Request) and isinstance(event, h11.EndOfMessage)
    read = (request.method.decode(), request.target, list(request.headers), body)
    assert read == (found.method, found.target, found.headers, found.body)
    assert request.http_version == b"1.1" and connection.their_state is h11.DONE, "the connection stays open"
    assert connection.trailing_data[0] == data[found.size_bytes :]
