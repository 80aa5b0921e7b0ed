"""One viewer's packets of one kind, as a track that aiortc sends."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from fractions import Fraction
from typing import Any, Protocol

import av
from aiortc import MediaStreamError, MediaStreamTrack

from visavis.rooms.backlog import Backlog
from visavis.rooms.port import EncodedPacket, MediaKind

TIME_BASE = Fraction(1, 48_000)


class TrackEvents(Protocol):
    """Receives the events of a track. Called in the event loop; must not block."""

    def track_started(self, kind: MediaKind) -> None:
        """The connection has begun to take packets of this kind. Called once."""
        ...

    def keyframe_wanted(self) -> None: ...

    def packet_sent(self, kind: MediaKind, position: int) -> None:
        """The packet of this position has been passed to the connection."""
        ...


class PacketTrack(MediaStreamTrack):
    """Passes encoded packets to aiortc, which packetises and sends them without encoding anything."""

    def __init__(self, kind: MediaKind, peer: TrackEvents) -> None:
        super().__init__()
        self.kind: MediaKind = kind
        self.position_last_sent: int | None = None
        self.after_first_packet: Callable[[], Awaitable[None]] | None = None  # called once
        self._peer = peer
        self._backlog = Backlog(kind)
        self._packet_added = asyncio.Event()
        self._started = False  # set by the first recv; packets before it are dropped

    def put(self, packet: EncodedPacket) -> None:
        if not self._started:
            return
        if self._backlog.put(packet):
            self._peer.keyframe_wanted()
        if self._backlog:
            self._packet_added.set()

    @property
    def dropped(self) -> int:
        """How many packets were dropped because the viewer could not keep up."""
        return self._backlog.dropped

    def drop_backlog(self) -> int | None:
        """Drop all packets that wait; return the position of the first one."""
        first = self._backlog.first_position
        if self._backlog.drop():
            self._peer.keyframe_wanted()
        return first

    async def recv(self) -> av.Packet[Any]:
        if not self._started:
            self._started = True
            self._peer.track_started(self.kind)
        elif self.after_first_packet is not None and self.position_last_sent is not None:
            after_first_packet, self.after_first_packet = self.after_first_packet, None
            await after_first_packet()
        while (sent := self._backlog.take()) is None:
            if self.readyState != "live":
                raise MediaStreamError
            self._packet_added.clear()
            await self._packet_added.wait()
        self.position_last_sent = sent.position
        packet = av.Packet(sent.data)
        packet.pts, packet.time_base = sent.position, TIME_BASE
        self._peer.packet_sent(self.kind, sent.position)
        return packet

    def stop(self) -> None:
        super().stop()
        self._packet_added.set()
