"""Where the packets of a connection go: the pair of candidates that ICE has selected."""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import aioice.ice
import aioice.stun
from aioice.turn import TurnTransport
from aiortc import RTCDtlsTransport

_COMPONENT = 1  # the only one, because RTP and RTCP share it


@dataclass(frozen=True, slots=True, kw_only=True)
class Path:
    """Where a connection's datagrams go: the pair of candidates that ICE has selected. `socket`: the descriptor of the
    socket, None if a TURN server relays. `send` sends a datagram; `waiting_bytes` tells how much was given to it that
    has not left this process yet.
    """

    socket: int | None
    host: str
    port: int
    send: Callable[[bytes], None]
    waiting_bytes: Callable[[], int]


def follow_path(transport: RTCDtlsTransport, changed: Callable[[Path | None], None]) -> None:
    """Call `changed` now and whenever the path of an established connection changes; with None before its socket is
    closed.
    """
    connection = transport.transport._connection

    def tell() -> None:
        pair = connection._nominated.get(_COMPONENT)
        changed(None if pair is None else _path_of(pair))

    class Nominated(dict[int, aioice.ice.CandidatePair]):
        def __setitem__(self, component: int, pair: aioice.ice.CandidatePair) -> None:
            super().__setitem__(component, pair)
            tell()

        def clear(self) -> None:
            super().clear()
            tell()

    lost = connection.protocol_lost

    def protocol_lost(protocol: aioice.ice.StunProtocol) -> None:
        pair = connection._nominated.get(_COMPONENT)
        if pair is not None and pair.protocol is protocol:
            changed(None)
        lost(protocol)

    connection._nominated = Nominated(connection._nominated)
    connection.protocol_lost = protocol_lost  # type: ignore[method-assign]
    tell()


def _path_of(pair: aioice.ice.CandidatePair) -> Path:
    transport, (host, port) = pair.protocol.transport, pair.remote_addr
    if isinstance(transport, TurnTransport):
        return Path(socket=None, host=host, port=port, **_relayed(transport, (host, port)))
    opened = transport.get_extra_info("socket")
    return Path(
        socket=None if opened is None else opened.fileno(),
        host=host,
        port=port,
        send=lambda data: transport.sendto(data, (host, port)),
        waiting_bytes=lambda: 0,  # the kernel takes a datagram or drops it
    )


def _relayed(transport: TurnTransport, address: tuple[str, int]) -> dict[str, Callable[..., Any]]:
    client = transport._TurnTransport__inner_protocol  # type: ignore[attr-defined]

    def send(data: bytes) -> None:
        channel = client.peer_to_channel.get(address)
        if channel is None:
            transport.sendto(data, address)  # binds a channel; consent checks keep it bound
        elif not client.transport.is_closing():
            client._send(struct.pack("!HH", channel, len(data)) + data)

    return {"send": send, "waiting_bytes": client.transport.get_write_buffer_size}
