"""Uvicorn's WebSocket, within limits: small messages until a session is attached, and no memory for an end that takes
nothing or has gone.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any, cast

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.frames import CloseCode

from visavis.connections.guard import GuardedConfig
from visavis.connections.http_protocol import UNSENT_BYTES
from visavis.connections.scope import SCOPE_KEY
from visavis.connections.table import Key, Phase

UNATTACHED_BYTES = 64 * 1024  # of one message, until a session is attached
MAX_FRAGMENTS = 16 * 1024  # of one message; each takes memory, also an empty one


class GuardedWebSocket(WebSocketsSansIOProtocol, asyncio.BufferedProtocol):
    """One WebSocket. The application finds it in its scope under SCOPE_KEY, and says when a session is attached.

    A text frame that is not UTF-8 reaches the application as a message with neither text nor bytes.
    """

    config: GuardedConfig

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.key: Key = 0  # from connection_made on
        self.close_timeout = 5.0
        self._attached = False  # set when the application has attached a session
        self._awaits_outcome = False  # a message came, and the application has not said yet what became of it
        self._lingers = False  # set when we have closed, and only take what still comes
        self._unfinished_bytes = 0  # received since the last whole message

    # --- what happens to the connection
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self.transport.set_write_buffer_limits(high=UNSENT_BYTES)
        self.key = self.config.guard.opened(self, self.client[0] if self.client else "unknown")

    def handle_connect(self, event: Any) -> None:
        super().handle_connect(event)
        if hasattr(self, "scope"):
            scope = cast(dict[str, object], self.scope)
            scope[SCOPE_KEY] = self
        self.config.guard.enter(self.key, Phase.SOCKET)

    def get_buffer(self, sizehint: int) -> memoryview:
        return self.config.turns.buffer(self)

    def buffer_updated(self, nbytes: int) -> None:
        self.config.turns.received(self, nbytes)

    def data_received(self, data: bytes) -> None:
        """Parse the next slice of what was read; see `Turns`."""
        if self.transport.is_closing() or self._lingers:
            return
        self._unfinished_bytes += len(data)
        super().data_received(data)
        self._check_size()
        if self.close_sent:
            self.config.guard.enter(self.key, Phase.CLOSING)

    def _check_size(self) -> None:
        """Until a session is attached, no message may be large. While that is being decided nothing is read: a client
        may send its speech behind `session.init` without waiting for the answer.
        """
        if len(self.frames) > MAX_FRAGMENTS and not self.close_sent:
            self._refuse(f"at most {MAX_FRAGMENTS} fragments in a message")
            return
        if self._attached or self._awaits_outcome or self.close_sent:
            return
        if self._unfinished_bytes > UNATTACHED_BYTES:
            self._refuse("at most 64 KiB before a session is attached")

    def _refuse(self, reason: str) -> None:
        self.conn.fail(CloseCode.MESSAGE_TOO_BIG, reason)
        self.handle_parser_exception()

    def handle_parser_exception(self) -> None:
        if self.conn.close_sent is None:  # the handshake itself could not be read
            self.transport.abort()
            return
        reason = self.conn.close_sent
        self.queue.put_nowait({"type": "websocket.disconnect", "code": reason.code, "reason": reason.reason})
        self.transport.write(b"".join(self.conn.data_to_send()))
        self.close_sent = True
        self._linger()

    def _linger(self) -> None:
        """Close our direction, and take and forget what still comes: a reset would cost the client our close frame.
        The guard ends it.
        """
        self.frames = []
        self.config.guard.enter(self.key, Phase.CLOSING)
        if not self.transport.can_write_eof():
            self.transport.close()
            return
        try:
            self.transport.write_eof()
        except OSError:  # the other end has reset the connection, and asyncio does not know yet
            self.transport.abort()
            return
        self._lingers = True
        self.transport.resume_reading()

    async def send(self, message: Any) -> None:
        await super().send(message)
        if self.close_sent:
            self.config.guard.enter(self.key, Phase.CLOSING)

    def connection_lost(self, exc: Exception | None) -> None:
        self.config.turns.forget(self)
        self.config.guard.closed(self.key)
        super().connection_lost(exc)
        # A half-received message hangs on a cycle of references (protocol, parser, reader): it goes now, not with the
        # garbage collector.
        self.frames = []
        self.conn.parser.close()
        self.conn.reader.buffer = bytearray()

    # --- turns
    def is_proven(self) -> bool:
        return self._attached

    def takes_data(self) -> bool:
        return not self.transport.is_closing()

    def hold_reading(self) -> None:
        if not self.transport.is_closing():  # asyncio's TLS takes no call after the second close
            self.transport.pause_reading()

    def go_on_reading(self) -> None:
        if self._lingers or (self.writable.is_set() and not self.read_paused):
            self.transport.resume_reading()

    def fail(self) -> None:
        self.transport.abort()

    # --- an end that takes nothing
    def pause_writing(self) -> None:
        super().pause_writing()
        self.hold_reading()  # what it sends would only be answered into the same full buffer
        self.config.guard.unread(self.key, True)

    def resume_writing(self) -> None:
        super().resume_writing()
        if not self.read_paused and not self.transport.is_closing():
            self.transport.resume_reading()
        self.config.guard.unread(self.key, False)

    # --- messages
    async def receive(self) -> Any:
        message = await self.queue.get()
        if self.read_paused and self.queue.empty() and not self._awaits_outcome:
            self._read_on()
        return message

    def _read_on(self) -> None:
        self.read_paused = False
        if not self.transport.is_closing():
            self.transport.resume_reading()

    def send_receive_event_to_app(self) -> None:
        self._unfinished_bytes = len(self.conn.reader.buffer)
        if not self._attached and not self.close_sent:
            self._awaits_outcome = True
        if self.curr_msg_data_type != "text" or self.close_sent:
            super().send_receive_event_to_app()
            return
        data = self.frames[0] if len(self.frames) == 1 else b"".join(self.frames)
        self.frames = []
        message: Any = {"type": "websocket.receive"}
        with suppress(UnicodeDecodeError):
            message["text"] = data.decode()
        self.queue.put_nowait(message)
        if not self.read_paused:
            self.read_paused = True
            self.transport.pause_reading()

    # --- the application and the guard
    def session_attached(self) -> None:
        """The client has shown a session's token: it may send messages of the full size from now on."""
        self._attached = True
        self._decided()
        self.config.guard.prove(self.key)
        self.config.guard.enter(self.key, Phase.SESSION)

    def prove(self) -> None:
        """Another server of the fleet relays this channel: many come from its address, and it has its own limits."""
        self.config.guard.prove(self.key)

    def session_refused(self) -> None:
        """The last message attached no session: the next one may come, and must be small."""
        self._decided()
        self._check_size()

    def _decided(self) -> None:
        self._awaits_outcome = False
        if self.read_paused and self.queue.empty() and not self.transport.is_closing():
            self._read_on()

    def drop(self, _phase: Phase) -> None:
        """See `Guarded`."""
        self.transport.abort()
