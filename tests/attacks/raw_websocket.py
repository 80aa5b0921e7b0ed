"""A WebSocket client that sends whatever bytes a test wants, and a server with a started session to send them to."""

from __future__ import annotations

import json
import socket
import struct
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from tests.used_folder import create_key, used_before
from visavis.demo.server_process import ServerProcess

CONT, TEXT, BINARY, CLOSE, PING, PONG = 0x0, 0x1, 0x2, 0x8, 0x9, 0xA
FIN, MASKED = 0x80, 0x80

HANDSHAKE = (
    b"GET /v1/channel HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n"
    b"Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n\r\n"
)


def header(opcode: int, length: int, *, fin: bool = True, reserved: int = 0) -> bytes:
    """Return the header of a masked frame (RFC 6455, section 5.2), with a mask of zeros."""
    first = opcode | reserved | (FIN if fin else 0)
    if length < 126:
        return struct.pack("!BB", first, MASKED | length) + bytes(4)
    return struct.pack("!BBQ", first, MASKED | 127, length) + bytes(4)


def frame(opcode: int, data: bytes = b"", *, fin: bool = True, reserved: int = 0) -> bytes:
    return header(opcode, len(data), fin=fin, reserved=reserved) + data


@dataclass(frozen=True, slots=True, kw_only=True)
class Attacked:
    """`session`: as its create answered. `key`: the API key that it belongs to."""

    server: ServerProcess
    session: dict[str, Any]
    key: str

    @property
    def memory_mb(self) -> float:
        rollup = Path(f"/proc/{self.server.pid}/smaps_rollup").read_text()
        return int(next(line for line in rollup.splitlines() if line.startswith("Rss:")).split()[1]) / 1024

    def open(self, *, then: bytes = b"") -> socket.socket:
        """Return a raw WebSocket after its handshake. `then`: sent without waiting for the answer to it."""
        raw = socket.create_connection(("127.0.0.1", self.server.port), timeout=20)
        raw.sendall(HANDSHAKE)
        if then:
            raw.sendall(then)
            return raw
        answer = b""
        while not answer.endswith(b"\r\n\r\n"):
            answer += raw.recv(1)
        assert answer.startswith(b"HTTP/1.1 101"), answer
        assert b"deflate" not in answer.lower(), "nothing is compressed, so nothing can be a bomb"
        return raw

    def init(self, **members: Any) -> bytes:
        """Return the `session.init` of the session."""
        return json.dumps(init_of(self.session) | members).encode()

    def attach(self, **members: Any) -> socket.socket:
        """Return a raw WebSocket that holds the session."""
        raw = self.open()
        raw.sendall(frame(TEXT, self.init(**members)))
        opcode, answer = receive_frame(raw)
        if b"connection.established" not in answer:
            raw.close()
            raise AssertionError((opcode, answer))
        return raw


def init_of(session: dict[str, Any]) -> dict[str, Any]:
    """Return the `session.init` of a session, as its create answered."""
    room = {"platform": "daily", "url": session["daily_room"]["url"], "token": session["daily_room"]["token"]}
    config = {"session_id": session["session_id"], "access_token": session["access_token"], "room": room}
    return {"type": "session.init", "config": config}


def start_session(http: httpx.Client) -> dict[str, Any]:
    """Create and start a session of the first public avatar; return it as its create answered."""
    character = http.get("/v1/avatars/public").json()["avatars"][0]["avatar_id"]
    looks = http.get("/v1/avatars", params={"parent_id": character, "characters_only": "false"}).json()
    body = {"avatar_id": looks["avatars"][0]["avatar_id"]}
    session: dict[str, Any] = http.post("/v1/sessions", json=body).json()["session"]
    while http.put(f"/v1/sessions/{session['session_id']}/start").json()["ws_uri"] == "try_again":
        pass
    return session


@contextmanager
def attacked_server(folder: Path, **settings: str) -> Iterator[Attacked]:
    """Run a server with a started session. Its log must not hold a traceback at the end."""
    settings = {
        "VISAVIS_RATE_LIMIT_PER_MINUTE": "100000",
        "VISAVIS_CHANNEL_GRACE_S": "600",
        "VISAVIS_JOIN_TIMEOUT_S": "600",
        "VISAVIS_ROOM_EMPTY_GRACE_S": "600",
        "VISAVIS_STAGES": "1",
        "VISAVIS_ADMISSION": "counted",  # whatever else this machine does
    } | settings
    with ServerProcess(data_dir=used_before(folder / "data"), log=folder / "log", settings=settings) as server:
        server.wait_ready()
        key = create_key(folder / "data")
        with httpx.Client(base_url=server.base_url, headers={"x-api-key": key}, timeout=60) as http:
            session = start_session(http)
        yield Attacked(server=server, session=session, key=key)
        log = (folder / "log").read_text()
        assert "Traceback" not in log, log[:5000]


def receive_frame(raw: socket.socket) -> tuple[int, bytes]:
    """Return the opcode and the data of the next frame; (-1, b"") if the server closes without one."""
    with suppress(ConnectionError):
        first = _exactly(raw, 2)
        if len(first) == 2:
            length = first[1] & 0x7F
            if length == 126:
                (length,) = struct.unpack("!H", _exactly(raw, 2))
            elif length == 127:
                (length,) = struct.unpack("!Q", _exactly(raw, 8))
            return first[0] & 0x0F, _exactly(raw, length)
    return -1, b""


def receive_close(raw: socket.socket) -> int:
    """Return the code of the server's close frame. What comes before it is ignored. -1: it closes without one."""
    while True:
        opcode, data = receive_frame(raw)
        if opcode == -1:
            return -1
        if opcode == CLOSE:
            code: int = struct.unpack("!H", data[:2])[0] if data else 1005
            return code


def _exactly(raw: socket.socket, count: int) -> bytes:
    data = b""
    while len(data) < count and (more := raw.recv(count - len(data))):
        data += more
    return data
