"""Memory that a channel takes: little before a session is attached, and none that stays when a client has gone."""

from __future__ import annotations

import json
import socket
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.attacks.scale import SCALE
from visavis.demo.server_process import ServerProcess

ALLOWED_MB = 40.0
LARGE_BYTES = 15_900_000

HANDSHAKE = (
    b"GET /v1/channel HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)
TEXT, PING = 0x81, 0x89


@dataclass(frozen=True, slots=True, kw_only=True)
class Attacked:
    server: ServerProcess
    session: dict[str, Any]

    @property
    def memory_mb(self) -> float:
        rollup = Path(f"/proc/{self.server.pid}/smaps_rollup").read_text()
        return int(next(line for line in rollup.splitlines() if line.startswith("Rss:")).split()[1]) / 1024


@pytest.fixture(scope="module")
def attacked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Attacked]:
    """A server with a started session."""
    folder = tmp_path_factory.mktemp("memory")
    settings = {"VISAVIS_RATE_LIMIT_PER_MINUTE": "100000", "VISAVIS_CHANNEL_GRACE_S": "600", "VISAVIS_STAGES": "1"}
    with ServerProcess(data_dir=folder / "data", log=folder / "log", settings=settings) as server:
        server.wait_ready()
        headers = {"x-api-key": server.create_key("tests")}
        with httpx.Client(base_url=server.base_url, headers=headers, timeout=60) as http:
            character = http.get("/v1/avatars/public").json()["avatars"][0]["avatar_id"]
            looks = http.get("/v1/avatars", params={"parent_id": character, "characters_only": "false"}).json()
            body = {"avatar_id": looks["avatars"][0]["avatar_id"]}
            session = http.post("/v1/sessions", json=body).json()["session"]
            while http.put(f"/v1/sessions/{session['session_id']}/start").json()["ws_uri"] == "try_again":
                pass
        yield Attacked(server=server, session=session)
        assert "Traceback" not in (folder / "log").read_text(), (folder / "log").read_text()[:5000]


def frame_header(opcode: int, length: int) -> bytes:
    """Return the header of a masked frame (RFC 6455, section 5.2), with a mask of zeros."""
    if length < 126:
        return struct.pack("!BB", opcode, 0x80 | length) + bytes(4)
    return struct.pack("!BBQ", opcode, 0x80 | 127, length) + bytes(4)


def opened(attacked: Attacked) -> socket.socket:
    """Return a raw WebSocket after its handshake."""
    raw = socket.create_connection(("127.0.0.1", attacked.server.port), timeout=20)
    raw.sendall(HANDSHAKE)
    answer = b""
    while b"\r\n\r\n" not in answer:
        answer += raw.recv(4096)
    assert answer.startswith(b"HTTP/1.1 101")
    return raw


def attached(attacked: Attacked) -> socket.socket:
    """Return a raw WebSocket that holds the session."""
    raw = opened(attacked)
    session = attacked.session
    config = {
        "session_id": session["session_id"],
        "access_token": session["access_token"],
        "room": {"platform": "daily", "url": session["daily_room"]["url"], "token": session["daily_room"]["token"]},
    }
    init = json.dumps({"type": "session.init", "config": config}).encode()
    raw.sendall(frame_header(TEXT, len(init)) + init)
    assert b"connection.established" in raw.recv(4096)
    return raw


def push(raw: socket.socket, data: bytes) -> bool:
    """Send, and return whether the other end took it all."""
    try:
        raw.sendall(data)
    except OSError:
        return False
    return True


def settled_mb(attacked: Attacked) -> float:
    """Return the memory once the server has seen that we left: after round trips on connections of their own."""
    for _ in range(20):
        opened(attacked).close()
    return attacked.memory_mb


def test_a_message_before_the_session_is_small(attacked: Attacked) -> None:
    raw = opened(attacked)
    push(raw, frame_header(TEXT, LARGE_BYTES) + b"{" + b" " * 200_000)
    answer = b""
    while chunk := raw.recv(65536):
        answer += chunk
    assert b"\x03\xf1" in answer, "closed with 1009"
    raw.close()


def test_unfinished_messages_without_a_session_take_no_memory(attacked: Attacked) -> None:
    before_mb = settled_mb(attacked)
    for _ in range(40 * SCALE):
        raw = opened(attacked)
        push(raw, frame_header(TEXT, LARGE_BYTES) + bytes(1_000_000))
        raw.close()
    assert settled_mb(attacked) < before_mb + ALLOWED_MB


def test_many_sockets_without_a_key_take_little_memory(attacked: Attacked) -> None:
    before_mb = settled_mb(attacked)
    sockets = [opened(attacked) for _ in range(40 * SCALE)]
    for raw in sockets:
        push(raw, frame_header(TEXT, LARGE_BYTES) + bytes(60_000))
    assert attacked.memory_mb < before_mb + ALLOWED_MB
    for raw in sockets:
        raw.close()


def test_unfinished_messages_of_an_attached_channel_give_their_memory_back(attacked: Attacked) -> None:
    attached(attacked).close()
    before_mb = settled_mb(attacked)
    for _ in range(8 * SCALE):
        raw = attached(attacked)
        push(raw, frame_header(TEXT, LARGE_BYTES) + bytes(LARGE_BYTES - 1000))
        raw.close()
    assert settled_mb(attacked) < before_mb + 2 * ALLOWED_MB


def test_pings_that_nobody_reads_the_answers_of_take_little_memory(attacked: Attacked) -> None:
    before_mb = settled_mb(attacked)
    ping = (frame_header(PING, 125) + bytes(125)) * 1000
    sockets = [opened(attacked) for _ in range(20)]
    for raw in sockets:
        raw.settimeout(0.2)
        for _ in range(60 * SCALE):
            if not push(raw, ping):
                break
    assert attacked.memory_mb < before_mb + ALLOWED_MB
    for raw in sockets:
        raw.close()


def test_speech_may_follow_the_init_without_waiting_for_its_answer(attacked: Attacked) -> None:
    """What the limit must not break: a client that sends a large message right behind `session.init`."""
    raw = opened(attacked)
    session = attacked.session
    config = {
        "session_id": session["session_id"],
        "access_token": session["access_token"],
        "room": {"platform": "daily", "url": session["daily_room"]["url"], "token": session["daily_room"]["token"]},
    }
    init = json.dumps({"type": "session.init", "config": config}).encode()
    speech = json.dumps({"type": "agent.speak", "audio": "A" * 4_000_000}).encode()
    raw.sendall(frame_header(TEXT, len(init)) + init + frame_header(TEXT, len(speech)) + speech)
    raw.sendall(frame_header(TEXT, 26) + b'{"type":"agent.interrupt"}')
    answer = b""
    while b"agent.interrupt.confirmed" not in answer:
        chunk = raw.recv(65536)
        assert chunk, answer
        answer += chunk
    assert b"connection.established" in answer and b"agent.speak.confirmed" in answer
    raw.close()
