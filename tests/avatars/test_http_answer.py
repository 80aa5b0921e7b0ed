"""Answers of web servers: what is taken, and what is refused before it costs anything."""

from __future__ import annotations

import gzip

import pytest

from visavis.avatars import http_answer
from visavis.avatars.http_answer import AnswerReader, HttpAnswer
from visavis.errors import ImageTooLarge, ImageUrlRefused

CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


def answer(*parts: bytes, max_bytes: int = 1000) -> HttpAnswer | None:
    """Return what a reader makes of these bytes, after which the connection ends."""
    reader = AnswerReader(max_bytes=max_bytes)
    reader.request(host="example.org", target="/")
    for part in (*parts, b""):
        whole = reader.receive(part)
        if whole is not None:
            return whole
    return None


def test_the_request_asks_for_no_encoding() -> None:
    asked = AnswerReader(max_bytes=1).request(host="example.org:8080", target="/a?b=c").lower()
    assert asked.startswith(b"get /a?b=c http/1.1\r\n") and b"host: example.org:8080\r\n" in asked
    assert b"accept-encoding: identity\r\n" in asked


@pytest.mark.parametrize(
    "parts",
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nimage",),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Encoding: identity\r\n\r\nim", b"age"),
        (CHUNKED + b"2\r\nim\r\n3\r\nage\r\n0\r\n\r\n",),
        (b"HTTP/1.0 200 OK\r\n\r\nim", b"age"),
        (b"HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nimage",),
    ],
    ids=["with a length", "in two pieces", "in chunks", "until the end", "after an interim answer"],
)
def test_a_body_comes_whole(parts: tuple[bytes, ...]) -> None:
    assert answer(*parts) == HttpAnswer(status=200, location=None, body=b"image")


def test_a_redirect_is_told_and_its_body_is_not_read() -> None:
    told = answer(b"HTTP/1.1 302 Found\r\nLocation: /there\r\nContent-Length: 99999999\r\n\r\n")
    assert told == HttpAnswer(status=302, location="/there", body=b"")
    assert answer(b"HTTP/1.1 304 Not Modified\r\n\r\n") == HttpAnswer(status=304, location=None, body=b"")


BOMB = gzip.compress(gzip.compress(gzip.compress(bytes(50_000_000))))


@pytest.mark.parametrize(
    "parts",
    [
        pytest.param(
            (b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip, gzip, gzip\r\nContent-Length: %d\r\n\r\n" % len(BOMB), BOMB),
            id="compressed three times",
        ),
        pytest.param((b"HTTP/1.1 200 OK\r\nContent-Encoding: identity\r\nContent-Encoding: br\r\n\r\nx",), id="second"),
        pytest.param((b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",), id="compressed on its way"),
        pytest.param((b"SSH-2.0-OpenSSH_9.6\r\n",), id="another protocol"),
        pytest.param((b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n" + b"x" * 100,), id="an upgrade"),
        pytest.param((b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nimage",), id="cut short"),
        pytest.param((CHUNKED + b"5\r\nima",), id="cut within a chunk"),
        pytest.param((b"HTTP/1.1 200 OK\r\n",), id="no end of the head"),
        pytest.param((b"",), id="silence"),
        pytest.param((b"HTTP/1.1 200 OK\r\nX: " + b"x" * 20_000,), id="an endless header"),
        pytest.param((b"HTTP/1.1 100 Continue\r\n\r\n" * 5,), id="endless interim answers"),
        pytest.param((CHUNKED + b"1\r\nx\r\n" * 100 + b"0\r\nX: " + b"x" * 20_000,), id="an endless trailer"),
    ],
)
def test_what_no_image_comes_from_is_refused(parts: tuple[bytes, ...]) -> None:
    with pytest.raises(ImageUrlRefused):
        answer(*parts)


@pytest.mark.parametrize(
    "parts",
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 1001\r\n\r\n",),
        (b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 1001,),
        (CHUNKED + b"3e9\r\n" + b"x" * 1001,),
    ],
    ids=["that says so", "without a length", "in chunks"],
)
def test_a_large_body_is_refused_as_soon_as_it_is_known(parts: tuple[bytes, ...]) -> None:
    with pytest.raises(ImageTooLarge):
        answer(*parts)


def test_the_bytes_of_the_connection_count_whatever_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    """Chunks of one byte take six on their way."""
    monkeypatch.setattr(http_answer, "PIECES", 1_000_000)
    with pytest.raises(ImageTooLarge):
        answer(CHUNKED, *[b"1\r\nx\r\n" * 1000] * 100, max_bytes=200_000)
    monkeypatch.setattr(http_answer, "PIECES", 100)
    with pytest.raises(ImageUrlRefused, match="pieces"):
        answer(CHUNKED, b"1\r\nx\r\n" * 101)
