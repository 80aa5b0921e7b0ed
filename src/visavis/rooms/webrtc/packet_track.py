"""One viewer's packets of one kind, in the form in which aiortc takes its media."""

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
    """What a track tells its peer. Called in the event loop; must not block."""

    def packets_taken(self, kind: MediaKind) -> None:
        """The connection has begun to take packets of this kind; told once."""
        ...

    def keyframe_wanted(self) -> None: ...

    def video_sent(self) -> None:
        """A video packet has been handed to the connection."""
        ...


class PacketTrack(MediaStreamTrack):
    """Hands on packets that were encoded before; aiortc packetises and sends them, and encodes nothing."""

    def __init__(self, kind: MediaKind, peer: TrackEvents) -> None:
        super().__init__()
        self.kind: MediaKind = kind
        self.position_last_sent: int | None = None
        self.after_first_packet: Callable[[], Awaitable[None]] | None = None  # called once
        self._peer = peer
        self._backlog = Backlog(kind)
        self._arrived = asyncio.Event()
        self._taken = False  # set by the first recv: before it there is nobody to keep packets for

    def put(self, packet: EncodedPacket) -> None:
        if not self._taken:
            return
        if self._backlog.put(packet):
            self._peer.keyframe_wanted()
        if self._backlog:
            self._arrived.set()

    def drop_backlog(self) -> None:
        if self._backlog.drop():
            self._peer.keyframe_wanted()

    async def recv(self) -> av.Packet[Any]:
        if not self._taken:
            self._taken = True
            self._peer.packets_taken(self.kind)
        elif self.after_first_packet is not None and self.position_last_sent is not None:
            first_is_sent, self.after_first_packet = self.after_first_packet, None
            await first_is_sent()
        while (sent := self._backlog.take()) is None:
            if self.readyState != "live":
                raise MediaStreamError
            self._arrived.clear()
            await self._arrived.wait()
        self.position_last_sent = sent.position
        packet = av.Packet(sent.data)
        packet.pts, packet.time_base = sent.position, TIME_BASE
        if self.kind == "video":
            self._peer.video_sent()
        return packet

    def stop(self) -> None:
        super().stop()
        self._arrived.set()
