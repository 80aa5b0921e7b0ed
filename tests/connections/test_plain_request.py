"""Plain HTTP at a port that speaks HTTPS."""

from __future__ import annotations

import json

import pytest

from visavis.connections.plain_request import MAX_HEAD_BYTES, Answered, Served, decide


def request(*headers: str, line: str = "GET /rooms/a?t=b HTTP/1.1") -> bytes:
    return "\r\n".join([line, *headers, "", ""]).encode()


@pytest.mark.parametrize("client", ["127.0.0.1", "::1", "::ffff:127.0.0.1"])
@pytest.mark.parametrize("host", ["127.0.0.1:8000", "localhost:8000", "LOCALHOST", "[::1]:8000", "0.0.0.0:8000"])
def test_a_program_on_this_machine_is_served(client: str, host: str) -> None:
    assert decide(request(f"Host: {host}", "x-api-key: k", line="POST /v1 HTTP/1.1"), client=client) == Served()


def test_the_health_check_of_the_container_is_served() -> None:
    assert decide(b"GET /healthz HTTP/1.0\r\n\r\n", client="127.0.0.1") == Served()


@pytest.mark.parametrize(
    ("host", "target", "location"),
    [
        ("box.lan:8000", "/rooms/a?t=b", "https://box.lan:8000/rooms/a?t=b"),
        ("box.lan", "/", "https://box.lan:80/"),
        ("[fd00::7]:8000", "//evil.example/", "https://[fd00::7]:8000//evil.example/"),
    ],
)
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_a_browser_is_led_to_https(method: str, host: str, target: str, location: str) -> None:
    found = decide(request(f"Host: {host}", line=f"{method} {target} HTTP/1.1"), client="192.0.2.1")
    assert isinstance(found, Answered)
    status, *headers = found.answer.decode().split("\r\n")
    assert status == "HTTP/1.1 307 Temporary Redirect" and f"Location: {location}" in headers


@pytest.mark.parametrize(
    "head",
    [
        request("Host: box.lan", line="POST /v1/sessions HTTP/1.1"),
        request("Host: box.lan", "X-API-Key: k"),
        request("Host: box.lan", "Authorization: Bearer k"),
        request("Host: box.lan", "Cookie: visavis_1=k"),
        request("Host: box.lan", "Upgrade: websocket", "Connection: Upgrade"),
        request("Host: box.lan/evil?"),
        request("Host: box.lan", line="GET http://evil.example/ HTTP/1.1"),
        request(line="GET / HTTP/1.0"),
        b"\x00\x01\x02\r\n\r\n",
        b"\x17\x03\x03",  # nobody need wait for more of it
        b"SSH-2.0-OpenSSH_9.2\r\n\r\n",
        b"GET / HTTP/1.1\r\nX: " + b"x" * MAX_HEAD_BYTES,
    ],
)
def test_all_else_is_refused(head: bytes) -> None:
    found = decide(head, client="192.0.2.1")
    assert isinstance(found, Answered) and found.answer.startswith(b"HTTP/1.1 400 ")
    assert json.loads(found.answer.partition(b"\r\n\r\n")[2])["error"]["code"] == "INVALID_REQUEST"


@pytest.mark.parametrize("header", ["X-Forwarded-For: 192.0.2.1", "Forwarded: for=192.0.2.1", "X-Real-IP: 192.0.2.1"])
def test_a_proxy_on_this_machine_is_not_this_machine(header: str) -> None:
    head = request("Host: localhost", header, "x-api-key: k")
    assert isinstance(decide(head, client="127.0.0.1"), Answered)
    assert isinstance(decide(request("Host: box.lan"), client="127.0.0.1"), Answered)


def test_a_header_that_has_not_ended_is_waited_for() -> None:
    head = request("Host: box.lan")
    assert decide(head[:1], client="192.0.2.1") is None
    assert decide(head[:-1], client="192.0.2.1") is None
