"""The door of a port that speaks HTTPS: the guard counts a connection from its first moment, not from the end of its
handshake, and what is no handshake is told so.
"""

from __future__ import annotations

import asyncio
from asyncio.sslproto import SSLProtocol
from typing import Any

from uvicorn.protocols.utils import get_remote_addr
from uvicorn.server import ServerState

from visavis.connections.guard import GuardedConfig
from visavis.connections.http_protocol import GuardedHttp
from visavis.connections.plain_request import Answered, Served, decide
from visavis.connections.table import Key, Phase

_HANDSHAKE = 0x16  # the first byte of every TLS handshake (RFC 8446, section 5.1); HTTP begins with a letter
HANDSHAKE_S = 10
CLOSE_S = 5.0  # how long the other end has to take what we sent last, and to confirm; as `Limits.closing_s`
READ_BYTES = 16 * 1024  # at a time; each connection has a buffer of this size. One record of TLS has 16 KB at most


class TlsDoor(asyncio.Protocol, asyncio.BufferedProtocol):  # the first for uvicorn's types alone
    """A connection until it is known what it speaks, and until its handshake is done; then `GuardedHttp` has it.

    A connection that says nothing, or stops within its handshake, is dropped by the guard as one whose header does not
    come. What comes takes turns with what others send (`Turns`): a handshake costs as much as several requests.
    """

    def __init__(
        self,
        *,
        config: GuardedConfig,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        self._config, self._server_state, self._app_state = config, server_state, app_state
        self._loop = _loop or asyncio.get_running_loop()
        self._transport: asyncio.Transport  # from connection_made on
        self._client = "unknown"
        self._key: Key = 0  # from connection_made on
        self._head = bytearray()  # of a plain request
        self._tls: _Tls | None = None  # set when a handshake begins
        self._plain: GuardedHttp | None = None  # set when the connection is served without TLS
        self.is_counted = False  # set while the guard knows this door

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        address = get_remote_addr(transport)
        self._client = address[0] if address else "unknown"
        self._server_state.connections.add(self)  # type: ignore[arg-type]  # only `shutdown` is called
        self.is_counted = True
        self._key = self._config.guard.opened(self, self._client)

    def get_buffer(self, sizehint: int) -> memoryview:
        return self._config.turns.buffer(self)

    def buffer_updated(self, nbytes: int) -> None:
        self._config.turns.received(self, nbytes)

    def data_received(self, data: bytes) -> None:
        """Take the next bytes, also those that were read before another protocol had the connection."""
        if self._tls is not None:
            self._tls.take(data)
        elif self._plain is not None:
            _feed(self._transport, data)
        elif not self._head and data[0] == _HANDSHAKE:
            self._tls = _Tls(self, self._new_http(), self._config, self._loop)
            self._transport.set_protocol(self._tls)
            self._tls.connection_made(self._transport)
            self._tls.take(data)
        else:
            self._read_plain(data)

    def _read_plain(self, data: bytes) -> None:
        self._head += data
        match decide(bytes(self._head), client=self._client):
            case Served():
                self._plain = self._new_http()
                self._transport.set_protocol(self._plain)
                self._plain.connection_made(self._transport)
                _feed(self._transport, bytes(self._head))
            case Answered(answer=answer):
                self._transport.write(answer)
                self._transport.close()
            case None:
                pass

    def connection_lost(self, exc: Exception | None) -> None:
        self.over()

    def over(self) -> None:
        """The connection has ended."""
        self._config.turns.forget(self)
        if self.is_counted:  # nobody else had it
            self.is_counted = False
            self._server_state.connections.discard(self)
            self._config.guard.closed(self._key)

    def _new_http(self) -> GuardedHttp:
        http = GuardedHttp(
            config=self._config, server_state=self._server_state, app_state=self._app_state, _loop=self._loop
        )
        http.pass_on = self._pass_on
        return http

    def _pass_on(self, http: GuardedHttp) -> Key:
        """`http` has the connection from now on; return what the guard calls it."""
        self.is_counted = False
        self._server_state.connections.discard(self)
        self._config.guard.pass_on(self._key, http)
        http.below = self._transport
        return self._key

    # --- turns
    def is_proven(self) -> bool:
        return False

    def takes_data(self) -> bool:
        return not self._transport.is_closing()

    def hold_reading(self) -> None:
        self._transport.pause_reading()

    def go_on_reading(self) -> None:
        if self._plain is None:
            self._transport.resume_reading()
        elif self._plain.takes_data():
            self._plain.go_on_reading()

    def fail(self) -> None:
        self._transport.abort()

    # --- the guard, and uvicorn
    def drop(self, _phase: Phase) -> None:
        """See `Guarded`."""
        self._transport.abort()

    def shutdown(self) -> None:
        """Nobody waits for a connection that has asked for nothing yet."""
        self._transport.abort()


class _Tls(SSLProtocol):
    """asyncio's TLS, with less memory for each connection. Until the handshake is done, what comes goes to the door,
    and from there to `take`. asyncio tells the application nothing about a connection whose handshake fails; the door
    hears it.
    """

    max_size = READ_BYTES  # 256 KB in asyncio

    def __init__(
        self, door: TlsDoor, http: GuardedHttp, config: GuardedConfig, loop: asyncio.AbstractEventLoop
    ) -> None:
        assert config.tls is not None
        super().__init__(
            loop,
            http,
            config.tls(),
            None,  # type: ignore[arg-type]  # nobody waits
            server_side=True,
            ssl_handshake_timeout=HANDSHAKE_S,
            ssl_shutdown_timeout=CLOSE_S,
        )
        self._door = door

    def get_buffer(self, n: int) -> memoryview:
        return self._door.get_buffer(n) if self._door.is_counted else memoryview(super().get_buffer(n))

    def buffer_updated(self, nbytes: int) -> None:
        if self._door.is_counted:
            self._door.buffer_updated(nbytes)
        else:
            super().buffer_updated(nbytes)

    def take(self, data: bytes) -> None:
        """Read what came, at most READ_BYTES: the handshake, and what the client has sent behind it."""
        memoryview(super().get_buffer(len(data)))[: len(data)] = data
        super().buffer_updated(len(data))

    def connection_lost(self, exc: BaseException | None) -> None:
        self._door.over()
        super().connection_lost(exc)


def _feed(transport: asyncio.Transport, data: bytes) -> None:
    """Give the protocol of a transport what was read before it was there."""
    rest = memoryview(data)
    while rest and not transport.is_closing():
        protocol = transport.get_protocol()
        assert isinstance(protocol, asyncio.BufferedProtocol)
        buffer = memoryview(protocol.get_buffer(len(rest)))
        size_bytes = min(len(buffer), len(rest))
        buffer[:size_bytes] = rest[:size_bytes]
        protocol.buffer_updated(size_bytes)
        rest = rest[size_bytes:]
