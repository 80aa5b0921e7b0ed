"""Attackers for `test_live_session`, each in a process of its own:

    python -m tests.attacks.attackers KIND < target

The first line of the standard input is JSON and names the target. The attack goes on until the input ends; the process
prints a line for each round.
"""

from __future__ import annotations

import json
import os
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from typing import Any

import httpx

from tests.attacks.hostile_bodies import BODIES
from tests.attacks.openings import OPENINGS
from tests.attacks.raw_websocket import BINARY, CONT, HANDSHAKE, PING, TEXT, frame, header

AT_ONCE = 200  # connections
SLOW_HEADER = b"GET / HTTP/1.1\r\nHost: h\r\n"


class Attacker:
    """`target`: the port, a key, and the `session.init` of a session of the attacker's own."""

    def __init__(self, target: dict[str, Any], stop: threading.Event) -> None:
        self._port = int(target["port"])
        self._key = str(target["key"])
        self._init: dict[str, Any] = target["init"]
        self._stop = stop

    def run(self, kind: str) -> None:
        attack: Callable[[], Iterator[None]] = getattr(self, kind)
        while not self._stop.is_set():
            with suppress(OSError, httpx.HTTPError):
                for _ in attack():
                    print(kind, flush=True)
                    if self._stop.is_set():
                        return

    def _connect(self, sent: bytes) -> socket.socket:
        raw = socket.create_connection(("127.0.0.1", self._port), timeout=10)
        with suppress(OSError):
            raw.sendall(sent)
        return raw

    def _channel(self, init: dict[str, Any] | None) -> socket.socket:
        """Return a raw WebSocket; it holds the attacker's session if `init` is given."""
        raw = self._connect(HANDSHAKE)
        raw.recv(65536)
        if init is not None:
            raw.sendall(frame(TEXT, json.dumps(init).encode()))
            raw.recv(65536)
        return raw

    def connections(self) -> Iterator[None]:
        """Take places and give nothing: half-sent requests, silence, slow headers, upgrades that are none."""
        for opening in (*OPENINGS.values(), SLOW_HEADER):
            with ExitStack() as closing:
                taken = []
                for _ in range(AT_ONCE):
                    with suppress(OSError):
                        taken.append(closing.enter_context(self._connect(opening)))
                for number in range(3):
                    for raw in taken if opening is SLOW_HEADER else ():
                        with suppress(OSError):
                            raw.sendall(b"X-%d: y\r\n" % number)
                    self._stop.wait(0.3)
            yield

    def memory(self) -> Iterator[None]:
        """Make the server keep bytes: unfinished frames, pongs that nobody reads, large messages."""
        for attached in (False, True):
            for flood in (
                header(TEXT, 15_900_000) + bytes(8_000_000),
                frame(PING, bytes(125)) * 20_000,
                frame(TEXT, b"{", fin=False) + frame(CONT, fin=False) * 100_000,
                frame(TEXT, b"{") * 20_000,
                frame(BINARY, bytes(1_000_000)) * 4,
                frame(TEXT, b'{"type":"session.init","x":"' + b"x" * 13_000_000 + b'"}'),
                frame(TEXT, b'{"type":"agent.speak","audio":"' + b"!" * 13_000_000 + b'"}'),
                frame(TEXT, b'{"type":"agent.speak","audio":"' + b"A" * 13_000_000 + b'"}')
                + frame(TEXT, b'{"type":"agent.interrupt"}'),
            ):
                with self._channel(self._init if attached else None) as raw, suppress(OSError):
                    raw.settimeout(2)
                    raw.sendall(flood)
                yield

    def changes(self) -> Iterator[None]:
        """Have the stage, which performs other sessions too, make everything anew all the time."""
        for size in ((640, 480), (1280, 720), (512, 512), (1280, 960)):
            config = self._init["config"] | {"video_width": size[0], "video_height": size[1]}
            with self._channel({**self._init, "config": config}) as raw:
                for zoom in (0.9, 1.3):
                    for background in ({"type": "blur", "strength": 0.5 * zoom}, {"type": "transparent"}):
                        output = {"background": background, "framing": {"zoom": zoom}}
                        raw.sendall(frame(TEXT, json.dumps({"type": "session.update", "output": output}).encode()))
                        raw.recv(65536)
                        yield

    def bodies(self) -> Iterator[None]:
        """Hold the event loop by what is large or deep."""
        with httpx.Client(base_url=f"http://127.0.0.1:{self._port}", headers={"x-api-key": self._key}) as http:
            for hostile in BODIES.values():
                http.post(
                    "/v1/avatars/upload-face",
                    content=hostile.body().encode(),
                    headers={"Content-Type": hostile.content_type} | hostile.headers,
                    timeout=60,
                )
                yield


def main() -> None:
    target = json.loads(sys.stdin.readline())
    stop = threading.Event()
    attacker = Attacker(target, stop)
    thread = threading.Thread(target=attacker.run, args=(sys.argv[1],), daemon=True)
    thread.start()
    sys.stdin.read()
    stop.set()
    thread.join(timeout=5)
    os._exit(0)  # a thread may still wait for the server


if __name__ == "__main__":
    main()
