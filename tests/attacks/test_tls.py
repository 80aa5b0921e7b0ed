"""Attacks on a port that speaks HTTPS: handshakes that stop, come slowly or are none, and plain requests. The places
are as few as in `test_connections`.
"""

from __future__ import annotations

import socket
import ssl
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from tests.attacks.openings import OPENINGS
from tests.attacks.scale import only_in_full
from tests.attacks.test_connections import DESCRIPTORS, LOG_BYTES, SOCKETS
from tests.tls.handshakes import first_flight
from tests.used_folder import create_key, used_before
from visavis.demo.server_process import ServerProcess
from visavis.tls import command

AT_ONCE = 100  # fewer than the places, so that none is dropped
EACH_KB = 128  # what a connection may take in its handshake; asyncio alone takes 300
HELLO = first_flight(server_name="box.lan")
ALERT, SERVER_HELLO = b"\x15", b"\x16"


@dataclass(frozen=True, slots=True, kw_only=True)
class Attacked:
    server: ServerProcess
    key: str
    trust: ssl.SSLContext
    log: Path

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.server.port), timeout=5)

    def shake_hands(self) -> ssl.SSLSocket:
        return self.trust.wrap_socket(self.connect(), server_hostname="box.lan")

    def client(self) -> httpx.Client:
        address = self.server.base_url.replace("http", "https")
        return httpx.Client(base_url=address, headers={"x-api-key": self.key}, verify=self.trust, timeout=20)

    def is_served(self) -> bool:
        """Whether a client with a key is answered now, on a connection of its own."""
        with self.client() as http:
            return http.get("/v1/sessions").status_code == 200

    @property
    def descriptors(self) -> int:
        return len(list(Path(f"/proc/{self.server.pid}/fd").iterdir()))

    @property
    def memory_kb(self) -> int:
        rollup = Path(f"/proc/{self.server.pid}/smaps_rollup").read_text()
        return int(next(line for line in rollup.splitlines() if line.startswith("Rss:")).split()[1])


@pytest.fixture(scope="module")
def attacked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Attacked]:
    """A server with few descriptors, a key of it, and its log."""
    folder = tmp_path_factory.mktemp("attacked")
    log, tls = folder / "log", folder / "tls"
    command.run(["box.lan"], tls)
    settings = {
        "VISAVIS_RATE_LIMIT_PER_MINUTE": "100000",
        "VISAVIS_STAGES": "1",
        "VISAVIS_TLS_CERT": str(tls / "server.pem"),
        "VISAVIS_TLS_KEY": str(tls / "server.key"),
    }
    prefix = ["prlimit", f"--nofile={DESCRIPTORS}:{DESCRIPTORS}"]
    with ServerProcess(data_dir=used_before(folder / "data"), log=log, settings=settings, prefix=prefix) as server:
        server.wait_ready()
        trust = ssl.create_default_context(cafile=tls / "authority.pem")
        yield Attacked(server=server, key=create_key(folder / "data"), trust=trust, log=log)
        assert log.stat().st_size < LOG_BYTES, log.read_text()[:5000]
        assert "Traceback" not in log.read_text(), log.read_text()[:5000]


def beginning(data: bytes) -> Callable[[Attacked], socket.socket]:
    """A connection that sends this, and no more."""

    def open_one(attacked: Attacked) -> socket.socket:
        raw = attacked.connect()
        raw.sendall(data)
        return raw

    return open_one


def behind_a_handshake(data: bytes) -> Callable[[Attacked], socket.socket]:
    def open_one(attacked: Attacked) -> socket.socket:
        tls = attacked.shake_hands()
        tls.sendall(data)
        return tls

    return open_one


KINDS: dict[str, Callable[[Attacked], socket.socket]] = {
    "silence": beginning(b""),
    "the first byte of a handshake": beginning(HELLO[:1]),
    "half of a handshake's first message": beginning(HELLO[: len(HELLO) // 2]),
    "a handshake that stops": beginning(HELLO),
    "a handshake that is none": beginning(OPENINGS["no HTTP at all"]),
    "half a plain request": beginning(OPENINGS["half a request"]),
    "plain requests for elsewhere": beginning(b"POST /v1/sessions HTTP/1.1\r\nHost: box.lan\r\n\r\n"),
    "a handshake, then silence": behind_a_handshake(b""),
    "a handshake, then half a request": behind_a_handshake(OPENINGS["half a request"]),
    "a handshake, then a channel that says nothing": behind_a_handshake(OPENINGS["an open channel that says nothing"]),
}


@pytest.mark.parametrize("kind", KINDS)
def test_a_client_with_a_key_is_served_meanwhile(attacked: Attacked, kind: str) -> None:
    with attacked.client() as kept, ExitStack() as closing:
        assert kept.get("/v1/sessions").status_code == 200
        for _ in range(SOCKETS):
            with suppress(OSError):  # refused, or dropped for the next one
                closing.enter_context(KINDS[kind](attacked))
        for _ in range(5):
            assert attacked.is_served()
        assert attacked.descriptors < DESCRIPTORS, "what is dropped gives its descriptor back at once"
        assert kept.get("/v1/sessions").status_code == 200, "a connection that has shown a key stays open"


@only_in_full
def test_slow_handshakes_are_dropped(attacked: Attacked) -> None:
    """A byte now and then wins no time."""
    with ExitStack() as closing:
        slow = [closing.enter_context(KINDS["the first byte of a handshake"](attacked)) for _ in range(AT_ONCE)]
        begun_s = time.monotonic()
        for place, byte in enumerate(HELLO[1:], 1):
            open_before = len(slow)
            slow = [raw for raw in slow if sends(raw, bytes([byte]))]
            if not slow:
                break
            assert time.monotonic() - begun_s < 60, f"{open_before} are still open after byte {place}"
            time.sleep(0.25)  # as slow as the attacker is
        assert not slow, "no handshake was cut short"
        assert attacked.is_served()


def sends(raw: socket.socket, data: bytes) -> bool:
    try:
        raw.sendall(data)
    except OSError:
        return False
    return True


@pytest.mark.parametrize("kind", ["half of a handshake's first message", "a handshake, then half a request"])
def test_a_connection_takes_little_memory(attacked: Attacked, kind: str) -> None:
    assert attacked.is_served()
    before_kb = attacked.memory_kb
    with ExitStack() as closing:
        for _ in range(AT_ONCE):
            closing.enter_context(KINDS[kind](attacked))
        assert attacked.is_served()
        assert attacked.memory_kb - before_kb < AT_ONCE * EACH_KB


@pytest.mark.parametrize(
    "sent",
    {
        "a record of another kind": b"\x17\x03\x03\x00\x05hello",
        "a record that is too long": b"\x16\x03\x01\xff\xff" + bytes(65535),
        "a message that is too long": b"\x16\x03\x01\x00\x04\x01\xff\xff\xff" + bytes(20_000),
        "SSL 2": b"\x80\x2e\x01\x00\x02" + bytes(41),
        "a first message with other bytes": HELLO[:50] + bytes(len(HELLO) - 50),
        "the first message twice": HELLO + HELLO,
        "a request behind the first message": HELLO + b"GET /healthz HTTP/1.1\r\n\r\n" * 1000,
        "megabytes behind the first message": HELLO + bytes(3_000_000),
    }.items(),
    ids=lambda item: item[0],
)
def test_what_is_no_handshake_ends_the_connection(attacked: Attacked, sent: tuple[str, bytes]) -> None:
    with attacked.connect() as raw:
        answer = b""
        with suppress(ConnectionError):
            raw.sendall(sent[1])
        with suppress(ConnectionError):
            while more := raw.recv(65536):
                answer += more
    assert answer[:1] in (b"", ALERT, SERVER_HELLO) or answer.startswith(b"HTTP/1.1 400 "), answer
    assert attacked.is_served()
