"""Bytes that are no ordinary HTTP, from a client that speaks over a bare socket. Each gets one typed answer or a closed
connection; none gets a 500, a traceback in the log, or the answer to another request.
"""

from __future__ import annotations

import json
import re
import socket
import time
from contextlib import suppress

import httpx
import pytest

from tests.attacks.raw_websocket import Attacked

HOST = b"Host: h\r\n"
CHUNKED = b"Transfer-Encoding: chunked\r\n"
LAST = b"OPTIONS /rooms/last/whep HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"
LAST_ANSWER = b"HTTP/1.1 204 "  # no other test gets one


def ask(attacked: Attacked, sent: bytes, *, then: bytes = b"") -> bytes:
    """Send bytes; `then`: what to send once an answer has begun. Return what is answered to them.

    A last request ends the connection, if it is still open. Its answer is checked, and left out.
    """
    answer = b""
    address = ("127.0.0.1", attacked.server.port)
    with socket.create_connection(address, timeout=20) as raw, suppress(ConnectionError):
        raw.sendall(sent.replace(b"KEY", attacked.key.encode()))
        answer = raw.recv(65536)
        with suppress(ConnectionError):
            raw.sendall(then + LAST)
        while more := raw.recv(65536):
            answer += more
    before, separator, last = answer.rpartition(LAST_ANSWER)
    return before if separator and b"connection: close" in last.lower() else answer


def statuses(answer: bytes) -> list[int]:
    """Return the status of each answer in what came, interim ones left out."""
    return [int(status) for status in re.findall(rb"HTTP/1\.1 ([2-5]\d\d) ", answer)]


def body_of(answer: bytes) -> bytes:
    return answer.partition(b"\r\n\r\n")[2]


REFUSED_BEFORE_A_HANDLER: dict[str, bytes] = {
    "no HTTP": b"hello\r\n\r\n",
    "a method with a space": b"GE T / HTTP/1.1\r\n" + HOST + b"\r\n",
    "no host": b"GET / HTTP/1.1\r\n\r\n",
    "two hosts": b"GET / HTTP/1.1\r\n" + HOST + b"Host: other\r\n\r\n",
    "a header without a name": b"GET / HTTP/1.1\r\n" + HOST + b": x\r\n\r\n",
    "a header with a space before the colon": b"GET / HTTP/1.1\r\n" + HOST + b"Content-Length : 5\r\n\r\nhello",
    "a header with NUL": b"GET / HTTP/1.1\r\n" + HOST + b"X: a\0b\r\n\r\n",
    "a header with a bare carriage return": b"GET / HTTP/1.1\r\n" + HOST + b"X: a\rEvil: b\r\n\r\n",
    "two lengths": b"POST /v1/sessions HTTP/1.1\r\n" + HOST + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello!",
    "a negative length": b"POST /v1/sessions HTTP/1.1\r\n" + HOST + b"Content-Length: -5\r\n\r\nhello",
    "a length with a plus": b"POST /v1/sessions HTTP/1.1\r\n" + HOST + b"Content-Length: +5\r\n\r\nhello",
    "a length of 5,000 digits": b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: " + b"9" * 5000 + b"\r\n\r\n",
    "a length in other digits": b"POST / HTTP/1.1\r\n" + HOST + "Content-Length: ٥\r\n\r\n".encode(),
    "a target in Latin": "GET /é HTTP/1.1\r\n".encode() + HOST + b"\r\n",
    "a target with NUL": b"GET /\0 HTTP/1.1\r\n" + HOST + b"\r\n",
    "100,000 bytes of header": b"GET / HTTP/1.1\r\n" + HOST + b"X: " + b"x" * 100_000 + b"\r\n\r\n",
    "a length and chunks": b"POST /v1/sessions HTTP/1.1\r\n"
    + HOST
    + b"x-api-key: KEY\r\n"
    + CHUNKED
    + b"Content-Length: 4\r\n\r\n0\r\n\r\nGET /healthz HTTP/1.1\r\nHost: smuggled\r\n\r\n",
    "a chunk of no size": b"POST /v1/sessions HTTP/1.1\r\n" + HOST + b"x-api-key: KEY\r\n" + CHUNKED + b"\r\nZZ\r\n",
    "a chunk of no size to a fast handler": b"GET /healthz HTTP/1.1\r\n" + HOST + CHUNKED + b"\r\nZZ\r\n",
    "a chunk of no size to no handler": b"PUT /healthz HTTP/1.1\r\n" + HOST + CHUNKED + b"\r\nZZ\r\n",
    "a chunk longer than it says": b"GET /healthz HTTP/1.1\r\n" + HOST + CHUNKED + b"\r\n1\r\nxyz\r\n0\r\n\r\n",
    "a chunk of 2^80 bytes": b"GET /healthz HTTP/1.1\r\n" + HOST + CHUNKED + b"\r\n" + b"F" * 21 + b"\r\n",
    "a trailer that is none": b"GET /healthz HTTP/1.1\r\n" + HOST + CHUNKED + b"\r\n0\r\n: x\r\n\r\n",
    "an upgrade by POST": b"POST /v1/channel HTTP/1.1\r\n"
    + HOST
    + b"Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
}


@pytest.mark.parametrize("name", REFUSED_BEFORE_A_HANDLER)
def test_what_is_no_request_is_refused_in_our_shape(attacked: Attacked, name: str) -> None:
    answer = ask(attacked, REFUSED_BEFORE_A_HANDLER[name])
    assert statuses(answer) == [400], answer
    assert b"Request-Id: req_" in answer or b"request-id: req_" in answer, answer
    error = json.loads(body_of(answer))
    assert error["success"] is False and error["error"]["code"] == "INVALID_REQUEST"


@pytest.mark.parametrize(("path", "is_limited"), [("/v1/sessions", True), ("/v1/channel", True), ("/healthz", False)])
def test_a_length_and_chunks_are_a_request_that_counts_and_the_last_of_its_connection(
    attacked: Attacked, path: str, is_limited: bool
) -> None:
    sent = f"POST {path} HTTP/1.1\r\n".encode() + HOST + CHUNKED + b"Content-Length: 4\r\n\r\n0\r\n\r\n"
    answer = ask(attacked, sent).lower()
    assert statuses(answer.upper()) == [400] and b"not both" in answer
    assert b"connection: close" in answer and (b"x-ratelimit-remaining" in answer) == is_limited


ANSWERED: dict[str, tuple[bytes, list[int]]] = {
    "an encoding of the transfer": (
        b"POST /v1/sessions HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        [400],
    ),
    "the whole address as target": (b"GET http://evil.test/healthz HTTP/1.1\r\n" + HOST + b"\r\n", [404]),
    "a star as target": (b"OPTIONS * HTTP/1.1\r\n" + HOST + b"\r\n", [404]),
    "CONNECT": (b"CONNECT evil.test:443 HTTP/1.1\r\n" + HOST + b"\r\n", [404]),
    "TRACE": (b"TRACE /healthz HTTP/1.1\r\n" + HOST + b"\r\n", [405]),
    "a method that nobody knows": (b"BREW /healthz HTTP/1.1\r\n" + HOST + b"\r\n", [405]),
    "a path that is none": (b"GET //healthz HTTP/1.1\r\n" + HOST + b"\r\n", [404]),
    "dots": (b"GET /assets/../../../../etc/passwd HTTP/1.1\r\n" + HOST + b"\r\n", [404]),
    "encoded dots": (b"GET /assets/%2e%2e%2f%2e%2e%2fcli.py HTTP/1.1\r\n" + HOST + b"\r\n", [404]),
    "twice encoded dots": (b"GET /assets/%252e%252e%252fcli.py HTTP/1.1\r\n" + HOST + b"\r\n", [404]),
    "an encoded NUL": (b"GET /assets/%00 HTTP/1.1\r\n" + HOST + b"\r\n", [404]),
    "an encoded NUL at the root": (b"GET /a%00.svg HTTP/1.1\r\n" + HOST + b"\r\n", [404]),
    "an encoded surrogate": (b"GET /assets/%ed%a0%80 HTTP/1.1\r\n" + HOST + b"\r\n", [404]),
    "an encoded line break": (b"GET /rooms/a%0d%0aX:%20y/picture HTTP/1.1\r\n" + HOST + b"\r\n", [404]),
    "a broken escape": (b"GET /%zz HTTP/1.1\r\n" + HOST + b"\r\n", [404]),
    "a room of 60,000 letters": (b"GET /rooms/" + b"r" * 60_000 + b"/whep HTTP/1.1\r\n" + HOST + b"\r\n", [404]),
    "a query of 60,000 letters": (b"GET /healthz?" + b"&a=1" * 15_000 + b" HTTP/1.1\r\n" + HOST + b"\r\n", [200]),
    "10,000 headers": (b"GET /healthz HTTP/1.1\r\n" + HOST + b"a:b\r\n" * 10_000 + b"\r\n", [200]),
    "a header of other letters": (b"GET /v1/sessions HTTP/1.1\r\n" + HOST + b"x-api-key: \xff\xfe\r\n\r\n", [401]),
    "two keys": (b"GET /v1/sessions HTTP/1.1\r\n" + HOST + b"x-api-key: KEY\r\nx-api-key: other\r\n\r\n", [200]),
    "a range beyond the end": (b"GET /favicon.svg HTTP/1.1\r\n" + HOST + b"Range: bytes=99999999-\r\n\r\n", [416]),
    "a range that is none": (b"GET /favicon.svg HTTP/1.1\r\n" + HOST + b"Range: bytes=abc\r\n\r\n", [200]),
    "a range backwards": (b"GET /favicon.svg HTTP/1.1\r\n" + HOST + b"Range: bytes=9-1\r\n\r\n", [200]),
    "a range of 5,000 digits": (
        b"GET /favicon.svg HTTP/1.1\r\n" + HOST + b"Range: bytes=" + b"9" * 5000 + b"-\r\n\r\n",
        [200],
    ),
    "a range": (b"GET /favicon.svg HTTP/1.1\r\n" + HOST + b"Range: bytes=0-9\r\n\r\n", [206]),
    "the last bytes": (b"GET /favicon.svg HTTP/1.1\r\n" + HOST + b"Range: bytes=-9\r\n\r\n", [206]),
    "10,000 ranges": (
        b"GET /favicon.svg HTTP/1.1\r\n" + HOST + b"Range: bytes=" + b"0-0," * 10_000 + b"\r\n\r\n",
        [200],
    ),
    "HTTP/2 offered": (
        b"GET /healthz HTTP/1.1\r\n" + HOST + b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n"
        b"HTTP2-Settings: AAMAAABkAAQAoAAAAAIAAAAA\r\n\r\n",
        [200],
    ),
    "an upgrade where there is no channel": (
        b"GET /healthz HTTP/1.1\r\n" + HOST + b"Connection: Upgrade\r\nUpgrade: websocket\r\n"
        b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n",
        [403],
    ),
    "a handshake of an old version": (
        b"GET /v1/channel HTTP/1.1\r\n" + HOST + b"Connection: Upgrade\r\nUpgrade: websocket\r\n"
        b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 8\r\n\r\n",
        [400],
    ),
    "a handshake with a key that is none": (
        b"GET /v1/channel HTTP/1.1\r\n" + HOST + b"Connection: Upgrade\r\nUpgrade: websocket\r\n"
        b"Sec-WebSocket-Key: ???\r\nSec-WebSocket-Version: 13\r\n\r\n",
        [400],
    ),
    "three requests at once": ((b"GET /healthz HTTP/1.1\r\n" + HOST + b"\r\n") * 3, [200, 200, 200]),
    "requests of two kinds at once": (
        b"GET /healthz HTTP/1.1\r\n" + HOST + b"\r\nPOST /v1/sessions HTTP/1.1\r\n" + HOST
        + b"Content-Length: 2\r\n\r\n{}GET /nothing/here HTTP/1.1\r\n" + HOST + b"\r\n",
        [200, 401, 404],
    ),
    "a wait for 100": (
        b"POST /v1/sessions HTTP/1.1\r\n" + HOST + b"Expect: 100-continue\r\nContent-Length: 0\r\n\r\n",
        [401],
    ),
    "HTTP/3": (b"GET /healthz HTTP/3.0\r\n" + HOST + b"\r\n", [200]),
    "HTTP/1.0": (b"GET /favicon.svg HTTP/1.0\r\n\r\n", [200]),
    "HEAD": (b"HEAD /docs HTTP/1.1\r\n" + HOST + b"\r\n", [200]),
    "a body of GET": (b"GET /healthz HTTP/1.1\r\n" + HOST + b"Content-Length: 5\r\n\r\nhello", [200]),
    "a body in a strange encoding": (
        b"POST /v1/sessions HTTP/1.1\r\n" + HOST + b"x-api-key: KEY\r\nContent-Type: application/json\r\n"
        b"Content-Encoding: gzip\r\nContent-Length: 4\r\n\r\n\x1f\x8b\x08\x00",
        [400],
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", ANSWERED)
def test_an_odd_request_gets_the_answer_that_it_should(attacked: Attacked, name: str) -> None:
    sent, wanted = ANSWERED[name]
    answer = ask(attacked, sent)
    assert statuses(answer) == wanted, answer[:2000]


@pytest.mark.parametrize("target", ["GET /healthz", "GET /docs/rest", "POST /v1/sessions"])
def test_a_client_that_says_at_once_that_it_sends_no_more_is_answered(attacked: Attacked, target: str) -> None:
    with socket.create_connection(("127.0.0.1", attacked.server.port), timeout=20) as raw:
        raw.sendall(f"{target} HTTP/1.1\r\n".encode() + HOST + b"\r\n")
        raw.shutdown(socket.SHUT_WR)
        answer = b""
        while more := raw.recv(65536):
            answer += more
    length = re.search(rb"content-length: (\d+)", answer)
    assert length is not None and len(body_of(answer)) == int(length[1])


@pytest.mark.parametrize("sent", [b"", b"GET / HT", b"POST /v1/sessions HTTP/1.1\r\n" + HOST + CHUNKED + b"\r\n4\r\n"])
def test_half_a_request_that_ends_is_closed(attacked: Attacked, sent: bytes) -> None:
    with socket.create_connection(("127.0.0.1", attacked.server.port), timeout=5) as raw, suppress(ConnectionError):
        raw.sendall(sent)
        raw.shutdown(socket.SHUT_WR)
        while raw.recv(65536):
            pass


@pytest.mark.parametrize("more", [b"\r\n", b"GET /healthz HTTP/1.1\r\n" + HOST + b"\r\n", b"\xff" * 5000])
def test_what_follows_a_last_request_is_ignored(attacked: Attacked, more: bytes) -> None:
    sent = b"GET /docs/rest HTTP/1.1\r\n" + HOST + b"Connection: close\r\n\r\n" + more + bytes(5000)
    assert statuses(ask(attacked, sent)) == [200]


LATE: dict[str, bytes] = {
    "a chunk of no size": b"ZZ\r\n",
    "a chunk longer than it says": b"1\r\nxyz\r\n",
    "a whole body": b"2\r\n{}\r\n0\r\n\r\n",
    "a trailer that is none": b"0\r\n: x\r\n\r\n",
}


@pytest.mark.parametrize("name", LATE)
@pytest.mark.parametrize("target", ["POST /v1/sessions", "GET /healthz", "GET /docs"])
def test_what_comes_after_the_answer_brings_no_second_one(attacked: Attacked, name: str, target: str) -> None:
    answer = ask(attacked, f"{target} HTTP/1.1\r\n".encode() + HOST + CHUNKED + b"\r\n", then=LATE[name])
    assert len(statuses(answer)) == 1, answer


def test_a_refused_upload_is_answered_although_its_body_still_comes(attacked: Attacked) -> None:
    """A server that closes at once resets the connection, and the client never sees the answer."""
    body = b"x" * 17_000_000
    for headers, status in (({}, 401), ({"x-api-key": attacked.key}, 413)):
        with httpx.Client(base_url=attacked.server.base_url, timeout=20) as http:
            answer = http.post("/v1/avatars/upload-face", content=body, headers=headers)
            assert answer.status_code == status, answer.text
            assert http.get("/healthz").status_code == 200, "the connection is good for more"


def test_a_body_without_an_end_is_not_taken_for_ever(attacked: Attacked) -> None:
    with socket.create_connection(("127.0.0.1", attacked.server.port), timeout=20) as raw:
        raw.sendall(b"POST /v1/sessions HTTP/1.1\r\n" + HOST + CHUNKED + b"\r\n")
        assert statuses(raw.recv(65536)) == [401]
        until_s = time.monotonic() + 20
        with pytest.raises(ConnectionError):
            while time.monotonic() < until_s:
                raw.sendall(b"1000\r\n" + bytes(4096) + b"\r\n")
                time.sleep(0.01)  # the server sees a slow client


def test_hosts_that_a_client_makes_up_name_nothing_of_ours(attacked: Attacked) -> None:
    """Addresses in answers are made of the Host header where VISAVIS_PUBLIC_URL is not set: it must be a host."""
    for host in ('evil.test/"><script>', "a b", "x@evil.test", "evil.test:99999999", "[::1", "", "evil.test#"):
        answer = httpx.get(
            f"{attacked.server.base_url}/v1/avatars/public",
            headers={"x-api-key": attacked.key, "host": host},
            timeout=20,
        )
        if answer.status_code == 200:
            urls = [avatar["preview_img_url"] for avatar in answer.json()["avatars"]]
            assert all(url.startswith(f"http://127.0.0.1:{attacked.server.port}/") for url in urls), host
