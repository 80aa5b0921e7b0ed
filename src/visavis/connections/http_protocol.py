"""Uvicorn's HTTP, within limits: each phase of a connection is reported to the guard, and an upgrade is checked before
a WebSocket is made of it.
"""

from __future__ import annotations

import asyncio
from typing import Any

import h11
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

from visavis.connections.guard import GuardedConfig
from visavis.connections.scope import SCOPE_KEY
from visavis.connections.table import Key, Phase

MAX_HEADERS = 100
MAX_HEADER_BYTES = 8 * 1024  # of one header, and of the target
UNSENT_BYTES = 64 * 1024  # what is written to another end that takes nothing, before we stop to read it too

_TIMED_OUT = b"HTTP/1.1 408 Request Timeout\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"


class GuardedHttp(H11Protocol):
    """One HTTP connection. Its requests find it in their scope under SCOPE_KEY, to report what they have shown."""

    config: GuardedConfig

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.key: Key = 0  # from connection_made on
        self._upgraded = False
        self.app = _with_connection(self.app, self)

    # --- what happens to the connection
    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        transport.set_write_buffer_limits(high=UNSENT_BYTES)
        self.key = self.config.guard.opened(self, self.client[0] if self.client else "unknown")

    def data_received(self, data: bytes) -> None:
        if self.transport.is_closing():
            return
        self._enter_if_idle()
        self.config.guard.received(self.key, len(data))
        super().data_received(data)
        self._note_phase()

    def _enter_if_idle(self) -> None:
        """The first bytes after an answer begin a new request."""
        if self.conn.their_state is h11.IDLE:
            self.config.guard.enter(self.key, Phase.HEADER)

    def _note_phase(self) -> None:
        if self._upgraded:
            return
        if self.transport.is_closing():
            self.config.guard.enter(self.key, Phase.CLOSING)
        elif self.conn.their_state is h11.SEND_BODY:
            self.config.guard.enter(self.key, Phase.BODY)
        elif self.conn.their_state in (h11.DONE, h11.MUST_CLOSE):
            self.config.guard.enter(self.key, Phase.WORK)

    def on_response_complete(self) -> None:
        self.config.guard.enter(self.key, Phase.CLOSING if self.transport.is_closing() else Phase.IDLE)
        super().on_response_complete()

    def connection_lost(self, exc: Exception | None) -> None:
        self.config.guard.closed(self.key)
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        super().pause_writing()
        self.config.guard.unread(self.key, True)

    def resume_writing(self) -> None:
        super().resume_writing()
        self.config.guard.unread(self.key, False)

    # --- upgrades
    def handle_websocket_upgrade(self, event: h11.Request) -> None:
        """Hand the connection over to a WebSocket; refuse what no handshake may be."""
        if not self._is_handshake(event):
            self.send_400_response("A WebSocket handshake is a GET without a body and with ordinary headers")
            self._note_phase()
            return
        self._upgraded = True
        self.config.guard.closed(self.key)  # the WebSocket reports for itself
        super().handle_websocket_upgrade(event)

    def _is_handshake(self, event: h11.Request) -> bool:
        given = dict(self.headers)
        return (
            event.method == b"GET"
            and given.get(b"content-length", b"0") == b"0"
            and b"transfer-encoding" not in given
            and len(self.headers) <= MAX_HEADERS
            and len(event.target) <= MAX_HEADER_BYTES
            and all(len(name) + len(value) <= MAX_HEADER_BYTES for name, value in self.headers)
        )

    # --- the guard
    def drop(self, phase: Phase) -> None:
        """See `Guarded`. A request that comes too slowly is answered 408, where that can be sent at once."""
        slow = phase in (Phase.HEADER, Phase.BODY) and self.conn.our_state in (h11.IDLE, h11.SEND_RESPONSE)
        if slow and not self.transport.is_closing():
            self.transport.write(_TIMED_OUT)
            if not self.transport.get_write_buffer_size():
                self.transport.close()
                return
        self.transport.abort()

    def prove(self) -> None:
        """A request of this connection has shown a valid key or token."""
        self.config.guard.prove(self.key)


def _with_connection(app: ASGIApp, connection: GuardedHttp) -> ASGIApp:
    async def run(scope: Scope, receive: Receive, send: Send) -> None:
        scope[SCOPE_KEY] = connection
        await app(scope, receive, send)

    return run
