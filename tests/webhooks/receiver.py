"""A receiver of webhooks on loopback: a real HTTP server in a thread, which keeps what it gets."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import anyio

WITHIN_S = 20.0  # a bound on waiting for what must happen


@dataclass(frozen=True, slots=True, kw_only=True)
class Received:
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def event(self) -> Any:
        return json.loads(self.body)

    @property
    def event_id(self) -> str:
        return self.headers["webhook-id"]


@dataclass(slots=True)
class Receiver:
    """`status`: what it answers. It answers nothing until `gate` is set."""

    url: str
    status: int = 204
    headers: dict[str, str] = field(default_factory=dict)
    received: list[Received] = field(default_factory=list)
    gate: threading.Event = field(default_factory=threading.Event)

    @property
    def types(self) -> list[str]:
        return [one.event["type"] for one in self.received]

    def of_type(self, kind: str) -> list[Received]:
        return [one for one in self.received if one.event["type"] == kind]

    async def until(self, count: int, kind: str | None = None) -> list[Received]:
        """Wait until so many requests have come, of this type if it is given."""
        with anyio.fail_after(WITHIN_S):
            while len(found := self.received if kind is None else self.of_type(kind)) < count:  # noqa: ASYNC110
                await anyio.sleep(0.01)  # another thread receives
        return found


@contextmanager
def receiving() -> Iterator[Receiver]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            told = {name.lower(): value for name, value in self.headers.items()}
            receiver.received.append(Received(path=self.path, headers=told, body=body))
            receiver.gate.wait(WITHIN_S)
            self.send_response(receiver.status)
            for name, value in receiver.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    receiver = Receiver(url=f"http://127.0.0.1:{server.server_address[1]}/hook")
    receiver.gate.set()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield receiver
    finally:
        receiver.gate.set()
        server.shutdown()
        thread.join()
        server.server_close()
