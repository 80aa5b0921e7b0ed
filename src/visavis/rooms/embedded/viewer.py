"""One viewer's WebRTC connection: packets in, packetised and sent by aiortc; nothing is encoded here."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from fractions import Fraction
from typing import Any, Literal, Protocol

import av
from aiortc import RTCRtpSender
from aiortc.mediastreams import MediaStreamError, MediaStreamTrack
from aiortc.rtp import AnyRtcpPacket, RtcpSenderInfo, RtcpSrPacket

from visavis.rooms.port import EncodedPacket

MAX_VIDEO_PACKETS = 15  # about half a second; then all go, and the viewer goes on with the next keyframe
MAX_AUDIO_PACKETS = 50  # one second; then the oldest goes
TIME_BASE = Fraction(1, 48_000)


class TrackEvents(Protocol):
    def sending(self, kind: str) -> None:
        """The connection has begun to take packets of this kind: the viewer is there."""
        ...

    def keyframe_wanted(self, *, joining: bool) -> None: ...

    def video_sent(self) -> None: ...


class PacketTrack(MediaStreamTrack):
    """A bounded queue of one viewer's packets of one kind, in the form in which aiortc takes its media."""

    def __init__(self, kind: Literal["audio", "video"], viewer: TrackEvents) -> None:
        super().__init__()
        self.kind = kind
        self.last_sent: int | None = None  # the position of the last packet handed over
        # sends the first sender report; called once, when the first packet has been sent
        self.report: Callable[[], Awaitable[None]] | None = None
        self._viewer = viewer
        self._queue: deque[EncodedPacket] = deque()
        self._arrived = asyncio.Event()
        self._taken = False  # set by the first recv: before it there is nobody to keep packets for
        self._needs_keyframe = kind == "video"

    def put(self, packet: EncodedPacket) -> None:
        if not self._taken:
            return
        if self._needs_keyframe:
            if not packet.keyframe:
                return
            self._needs_keyframe = False
        if self.kind == "audio" and len(self._queue) >= MAX_AUDIO_PACKETS:
            self._queue.popleft()
        elif self.kind == "video" and len(self._queue) >= MAX_VIDEO_PACKETS and not packet.keyframe:
            self.drop()
            return
        self._queue.append(packet)
        self._arrived.set()

    def drop(self) -> None:
        """Forget what has not been sent; video then goes on with a keyframe, which is asked for."""
        if self._queue and self.kind == "video":
            self._needs_keyframe = True
            self._viewer.keyframe_wanted(joining=False)
        self._queue.clear()
        self._arrived.clear()

    async def recv(self) -> av.Packet[Any]:
        if not self._taken:
            self._taken = True
            self._viewer.sending(self.kind)
        elif self.report is not None and self.last_sent is not None:
            report, self.report = self.report, None
            await report()
        while not self._queue:
            if self.readyState != "live":
                raise MediaStreamError
            self._arrived.clear()
            await self._arrived.wait()
        sent = self._queue.popleft()
        self.last_sent = sent.position
        packet = av.Packet(sent.data)
        packet.pts, packet.time_base = sent.position, TIME_BASE
        if self.kind == "video":
            self._viewer.video_sent()
        return packet

    def stop(self) -> None:
        super().stop()
        self._arrived.set()


def stamp_with_media_clock(sender: RTCRtpSender, track: PacketTrack, ntp_at: Callable[[int], int]) -> None:
    """Let the sender's reports map RTP time to the instant of the media, not to when a packet happened to be sent.

    A report says that the packet last sent shows `ntp_at(its position)`. Sound and picture then carry one time base
    however long either waited, and a viewer that has had no packet of a kind gets no report about it.
    """
    send = sender._send_rtcp

    async def send_rtcp(packets: list[AnyRtcpPacket]) -> None:
        reports = [p for p in packets if isinstance(p, RtcpSrPacket)]
        if reports and track.last_sent is None:
            return
        for report in reports:
            assert track.last_sent is not None
            report.sender_info.ntp_timestamp = ntp_at(track.last_sent)
        await send(packets)

    async def report() -> None:
        # aiortc sends its first report after 0.5 to 1.5 s; until then a viewer could only guess how sound and picture
        # belong together.
        counts = RtcpSenderInfo(
            ntp_timestamp=0,
            rtp_timestamp=sender._RTCRtpSender__rtp_timestamp,  # type: ignore[attr-defined]
            packet_count=sender._RTCRtpSender__packet_count,  # type: ignore[attr-defined]
            octet_count=sender._RTCRtpSender__octet_count,  # type: ignore[attr-defined]
        )
        await send_rtcp([RtcpSrPacket(ssrc=sender._ssrc, sender_info=counts)])

    sender._send_rtcp = send_rtcp  # type: ignore[method-assign]
    track.report = report


def hear_keyframe_requests(sender: RTCRtpSender, wanted: Callable[[], None]) -> None:
    """Call `wanted` at every PLI and FIR of this viewer. aiortc would tell its own encoder, which is not used."""
    sender._send_keyframe = wanted  # type: ignore[method-assign]
