"""What comes in at the sockets of a connection: which datagrams are dropped, and how many wait."""

from __future__ import annotations

import asyncio
import functools
import socket
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import aioice.ice
import aioice.stun
import structlog
from aioice.ice import StunProtocol
from aiortc import RTCDtlsTransport, RTCIceTransport

_LAST_STUN_BYTE = 3  # the first byte of DTLS and RTP is greater (RFC 7983, section 7)
log = structlog.get_logger("visavis.rooms")


def limit_unread(*, datagrams: int, size_bytes: int) -> None:
    """Set how many datagrams wait in a connection until they are read, and how long they may be. Further and longer
    ones are dropped. Anybody can send datagrams to a connection, even before its handshake reads the first.
    """
    received = aioice.ice.Connection.data_received

    @functools.wraps(received)
    def data_received(connection: aioice.ice.Connection, data: bytes, component: int) -> None:
        if len(data) <= size_bytes and connection._queue.qsize() < datagrams:
            received(connection, data, component)

    aioice.ice.Connection.data_received = data_received  # type: ignore[method-assign,assignment]


def refuse_strangers() -> None:
    """Drop datagrams that only a stranger sends: malformed ones, and data from an address that has not passed a
    connectivity check. One empty datagram would end a connection, and one DTLS alert its handshake.
    """
    received = aioice.ice.StunProtocol.datagram_received

    @functools.wraps(received)
    def datagram_received(protocol: aioice.ice.StunProtocol, data: bytes, address: tuple[Any, ...]) -> None:
        if not data:
            return
        known = protocol.receiver._remote_candidates
        if data[0] > _LAST_STUN_BYTE and all((one._network_host, one.port) != address[:2] for one in known):
            return
        try:
            received(protocol, data, address)
        except Exception as error:  # noqa: BLE001  # the parser raises struct.error and others
            log.debug("datagram_malformed", error=repr(error))

    aioice.ice.StunProtocol.datagram_received = datagram_received  # type: ignore[method-assign,assignment]


def filter_datagrams(transport: RTCIceTransport, lets_in: Callable[[bytes], bool]) -> None:
    """Drop the datagrams of a connection, STUN excepted, for which `lets_in` returns false."""
    connection = transport._connection
    receive = connection.data_received

    def data_received(data: bytes, component: int) -> None:
        if lets_in(data):
            receive(data, component)

    connection.data_received = data_received  # type: ignore[method-assign]


def is_authentic(protocol: StunProtocol, response: bytes) -> bool:
    """Whether the peer of a connection has signed a STUN response."""
    password = protocol.receiver.remote_password
    try:
        return password is not None and aioice.stun.parse_message(response).check_message_integrity(password.encode())
    except Exception as error:  # noqa: BLE001  # the parser raises struct.error and others
        log.debug("datagram_malformed", error=repr(error))
        return False


def on_datagram(transport: RTCDtlsTransport, callback: Callable[[bytes], bool]) -> None:
    """Call `callback` with every datagram that reaches a connection. Those for which it returns true go no further."""

    def shown(receive: Callable[[bytes, tuple[Any, ...]], None]) -> Callable[[bytes, tuple[Any, ...]], None]:
        def datagram_received(data: bytes, address: tuple[Any, ...]) -> None:
            if not callback(data):
                receive(data, address)

        return datagram_received

    for protocol in transport.transport._connection._protocols:
        protocol.datagram_received = shown(protocol.datagram_received)  # type: ignore[method-assign,assignment]


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadSocket:
    """A socket of an established connection, which the caller reads and closes. `deliver` passes on what it has read
    and does not want to keep: the datagram, and the address of its sender.
    """

    socket: socket.socket
    deliver: Callable[[bytes, tuple[Any, ...]], None]


def take_over_reading(transport: RTCDtlsTransport) -> list[ReadSocket]:
    """Let the caller read the sockets of an established connection, whenever it likes, instead of the event loop."""
    loop = asyncio.get_running_loop()
    taken = []
    for protocol in transport.transport._connection._protocols:
        opened = protocol.transport.get_extra_info("socket").dup()
        loop._remove_reader(protocol.transport.get_extra_info("socket").fileno())  # type: ignore[attr-defined]
        taken.append(ReadSocket(socket=opened, deliver=protocol.datagram_received))
    return taken
