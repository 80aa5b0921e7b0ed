"""Uvicorn's HTTP, within limits: each phase of a connection is reported to the guard, and an upgrade is checked before
a WebSocket is made of it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any
from urllib.parse import unquote

import h11
from h11._state import MIGHT_SWITCH_PROTOCOL
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

from visavis.connections.guard import GuardedConfig
from visavis.connections.ordinary_cycle import OrdinaryCycle
from visavis.connections.ordinary_request import OrdinaryRequest, read_ordinary
from visavis.connections.refusal import bad_request
from visavis.connections.scope import SCOPE_KEY
from visavis.connections.table import Key, Phase

MAX_HEADERS = 100
MAX_HEADER_BYTES = 8 * 1024  # of one header, and of the target
UNSENT_BYTES = 64 * 1024  # what is written to another end that takes nothing, before we stop to read it too

_TIMED_OUT = b"HTTP/1.1 408 Request Timeout\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"


class GuardedHttp(H11Protocol, asyncio.BufferedProtocol):
    """One HTTP connection. Its requests find it in their scope under SCOPE_KEY, to report what they have shown."""

    config: GuardedConfig

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.key: Key = 0  # from connection_made on
        self.below: asyncio.Transport  # from connection_made on: the transport below TLS; without TLS, `transport`
        # Set by a protocol that had this connection before: sets `below`, tells the guard, and returns the key.
        self.pass_on: Callable[[GuardedHttp], Key] | None = None
        self._upgraded = False
        self._proven = False  # set when a request has shown a valid key or token
        self._answers_last = False  # set when the client sends nothing more and waits for an answer
        self._drains = False  # set while a body comes whose request has been answered
        self._is_ordinary = False  # set while a request is answered that h11 does not know of
        self._behind = bytearray()  # what came behind that request
        self.app = _with_connection(self.app, self)

    # --- what happens to the connection
    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.below = transport
        transport.set_write_buffer_limits(high=UNSENT_BYTES)
        if self.client and self.server:
            self.config.guard.came(self.client[0], self.server[0])
        if self.pass_on is not None:
            self.key = self.pass_on(self)
        else:
            self.key = self.config.guard.opened(self, self.client[0] if self.client else "unknown")

    def get_buffer(self, sizehint: int) -> memoryview:
        return self.config.turns.buffer(self)

    def buffer_updated(self, nbytes: int) -> None:
        self.config.turns.received(self, nbytes)

    def data_received(self, data: bytes) -> None:
        """Parse the next slice of what was read; see `Turns`."""
        if self.transport.is_closing() or self.conn.their_state is h11.MUST_CLOSE:  # nothing follows a last request
            return
        if self._is_ordinary:
            self._behind += data
            self.flow.pause_reading()
            return
        if self.conn.their_state is h11.IDLE and not self._begun and (ordinary := read_ordinary(data)) is not None:
            self._begin_ordinary(ordinary, data)
            return
        self._enter_if_idle()
        self.config.guard.received(self.key, len(data))
        super().data_received(data)
        self._note_phase()

    def _enter_if_idle(self) -> None:
        """The first bytes after an answer begin a new request."""
        if self.conn.their_state is h11.IDLE:
            self.config.guard.enter(self.key, Phase.HEADER)

    @property
    def _begun(self) -> bool:
        """Whether the beginning of a request has come."""
        return bool(self.conn.trailing_data[0])

    def _begin_ordinary(self, request: OrdinaryRequest, data: bytes) -> None:
        """As uvicorn does for a request that h11 has read."""
        self._unset_keepalive_if_required()
        raw_path, _, query_string = request.target.partition(b"?")
        path = raw_path.decode("ascii")
        self.headers = request.headers
        self.scope = {
            "type": "http",
            "asgi": {"version": self.asgi_version, "spec_version": "2.3"},
            "http_version": "1.1",
            "server": self.server,
            "client": self.client,
            "scheme": self.scheme,  # type: ignore[typeddict-item]
            "method": request.method,
            "root_path": self.root_path,
            "path": self.root_path + (unquote(path) if "%" in path else path),
            "raw_path": self.root_path.encode("ascii") + raw_path,
            "query_string": query_string,
            "headers": request.headers,
            "state": self.app_state.copy(),
        }
        self.cycle = OrdinaryCycle(
            raw=data[: request.size_bytes],
            body=request.body,
            scope=self.scope,
            conn=self.conn,
            transport=self.transport,
            flow=self.flow,
            logger=self.logger,
            access_logger=self.access_logger,
            access_log=self.access_log,
            default_headers=self.server_state.default_headers,
            message_event=asyncio.Event(),
            on_response=self.on_response_complete,
        )
        self._is_ordinary = True
        self.config.guard.enter(self.key, Phase.WORK)
        if len(data) > request.size_bytes:
            self._behind += data[request.size_bytes :]
            self.flow.pause_reading()
        task = self.loop.create_task(self.cycle.run_asgi(self.app))
        task.add_done_callback(self.tasks.discard)
        self.tasks.add(task)

    def _note_phase(self) -> None:
        if self._upgraded or self._is_ordinary:
            return
        if self.transport.is_closing():
            self.config.guard.enter(self.key, Phase.CLOSING)
        elif self.conn.their_state is h11.SEND_BODY:
            # A body that comes after its answer is taken and forgotten for a while: closing at once would cost the
            # client the answer.
            self._drains = self.conn.our_state is h11.DONE
            self.config.guard.enter(self.key, Phase.CLOSING if self._drains else Phase.BODY)
        elif self.conn.their_state in (h11.DONE, h11.MUST_CLOSE, MIGHT_SWITCH_PROTOCOL):
            self.config.guard.enter(self.key, Phase.WORK)
        elif self._drains:
            self._drains = False
            self.config.guard.enter(self.key, Phase.IDLE)

    def eof_received(self) -> bool | None:  # type: ignore[override]
        """The client sends nothing more. If it has sent a whole request, it may still read the answer to it."""
        whole = self._is_ordinary or self.conn.their_state in (h11.DONE, h11.MUST_CLOSE, MIGHT_SWITCH_PROTOCOL)
        unanswered = whole and self.cycle is not None and not self.cycle.response_complete
        self._answers_last = unanswered and self.scheme != "https"  # asyncio's TLS closes both directions
        return self._answers_last

    def on_response_complete(self) -> None:
        if self._answers_last:
            self.transport.close()
        self.config.guard.enter(self.key, Phase.CLOSING if self.transport.is_closing() else Phase.IDLE)
        self._is_ordinary = False
        super().on_response_complete()
        self._note_phase()  # of a request that was sent behind the one that is answered
        if self._behind:
            data = bytes(self._behind)
            self._behind.clear()
            self.data_received(data)

    def connection_lost(self, exc: Exception | None) -> None:
        self.config.turns.forget(self)
        self.config.guard.closed(self.key)
        super().connection_lost(exc)

    # --- turns
    def is_proven(self) -> bool:
        return self._proven

    def takes_data(self) -> bool:
        return not self._upgraded and not self.transport.is_closing()

    def hold_reading(self) -> None:
        if not self.transport.is_closing():  # asyncio's TLS takes no call after the second close
            self.transport.pause_reading()

    def go_on_reading(self) -> None:
        if not self.flow.read_paused:
            self.transport.resume_reading()

    def fail(self) -> None:
        self.transport.abort()

    def pause_writing(self) -> None:
        super().pause_writing()
        self.config.guard.unread(self.key, True)

    def resume_writing(self) -> None:
        super().resume_writing()
        self.config.guard.unread(self.key, False)

    # --- requests that are none
    def send_400_response(self, msg: str) -> None:
        """Answer what is no HTTP, unless an answer has begun, and close. The request that it came with is over, too:
        h11 takes no other answer.
        """
        may_answer = self.conn.our_state in (h11.IDLE, h11.SEND_RESPONSE)
        if self.cycle is not None and not self.cycle.response_complete:
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        if may_answer and not self.transport.is_closing():
            self.transport.write(bad_request(msg))
        self.transport.close()

    # --- upgrades
    def _unsupported_upgrade_warning(self) -> None:
        """Ignore the offer of another protocol, as HTTP allows: some clients offer HTTP/2 with every request."""

    def handle_websocket_upgrade(self, event: h11.Request) -> None:
        """Hand the connection over to a WebSocket; refuse what no handshake may be."""
        if not self._is_handshake(event):
            self.send_400_response("A WebSocket handshake is a GET without a body and with ordinary headers")
            self._note_phase()
            return
        self._upgraded = True
        self.config.turns.forget(self)
        self.config.guard.closed(self.key)  # the WebSocket reports for itself
        super().handle_websocket_upgrade(event)
        self.transport.resume_reading()  # `Turns` may have held it for the rest of this request

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
            if not self.below.get_write_buffer_size():
                self._close_at_once()
                return
        self.transport.abort()

    def shutdown(self) -> None:
        """Uvicorn's: the server stops. A connection without a request is closed now."""
        if self.cycle is not None and not self.cycle.response_complete:
            super().shutdown()
        elif not self.transport.is_closing():  # asyncio's TLS takes no second close
            self._close_at_once()

    def _close_at_once(self) -> None:
        """Close; do not wait until the other end has confirmed it, as TLS would. Many clients never do."""
        self.transport.close()
        if self.scheme == "https" and not self.below.get_write_buffer_size():
            self.transport.abort()

    def prove(self) -> None:
        """A request of this connection has shown a valid key or token."""
        self._proven = True
        self.config.guard.prove(self.key)


def _with_connection(app: ASGIApp, connection: GuardedHttp) -> ASGIApp:
    async def run(scope: Scope, receive: Receive, send: Send) -> None:
        scope[SCOPE_KEY] = connection
        await app(scope, receive, send)

    return run
